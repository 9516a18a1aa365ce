"""Notes about data: what the readers left out, said in few lines to whoever learns from them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image
from support.bases import write_dataset

from aliaug_edge.data.check import check_dataset
from aliaug_edge.data.notes import MOST_SAID, data_notes, say_notes
from aliaug_edge.data.reader import load_dataset


def test_notes_name_the_drawn_split_what_is_never_read_and_dim_photos(tmp_path: Path) -> None:
    root = write_dataset(tmp_path / "parts")
    Image.new("L", (8, 8)).save(root / "train" / "stray.png")
    dim = np.full((96, 128), 4000, np.uint16)
    Image.fromarray(dim).save(root / "train" / "good" / "dim.png")
    notes = data_notes(load_dataset(root))
    for said in (
        "no split.json: 70% of the groups",
        "1 images are not read, e.g. train/stray.png",
        "1 photos have 16 bits but hold at most 12, e.g. train/good/dim.png",
    ):
        assert any(note.startswith(said) for note in notes), said
    assert not any(str(tmp_path) in note for note in notes)


def test_few_defects_are_noted_of_the_classes_that_were_asked_for(split_mvtec: Path) -> None:
    both = {
        "the class crack has only 6 defects to learn from",
        "the class pit has only 2 defects to learn from",
    }
    assert both <= set(data_notes(load_dataset(split_mvtec)))
    assert both <= set(check_dataset(split_mvtec).notes)
    asked = data_notes(load_dataset(split_mvtec, classes=["crack"]))
    assert {note for note in asked if "to learn from" in note} == both - {
        "the class pit has only 2 defects to learn from"
    }


def test_one_defect_is_noted_as_one(split_mvtec: Path) -> None:
    notes = data_notes(load_dataset(split_mvtec, pool="few"))
    assert "the class pit has only 1 defect to learn from" in notes


def test_many_notes_are_cut_short_and_counted() -> None:
    said: list[str] = []
    say_notes([str(n) for n in range(MOST_SAID + 3)], Path("parts"), said.append)
    assert len(said) == MOST_SAID + 1
    assert said[-1] == "note: and 3 more; `ali-aug data check parts` shows everything"
