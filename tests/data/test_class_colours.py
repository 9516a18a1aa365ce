"""Classes that only the colours of the masks tell apart."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from aliaug_edge.data.check import check_dataset
from aliaug_edge.data.colours import RGB, colour_names, paint_colours
from aliaug_edge.data.load import load_pair
from aliaug_edge.data.reader import load_dataset
from aliaug_edge.data.samples import Dataset

Write = Callable[..., Path]
RED, GREEN, BLUE, WHITE = (255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 255)


def paint(path: Path, colour: RGB, side: int = 6) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    mask = np.zeros((24, 32, 3), dtype=np.uint8)
    mask[2 : 2 + side, 3 : 3 + side] = colour
    Image.fromarray(mask).save(path)
    return path


@pytest.fixture
def coloured(tmp_path: Path, photo: Write) -> Callable[[Sequence[RGB]], Path]:
    """Photos 000, 001, … with the prompt "Add a defect.", their masks in the given colours."""

    def make(colours: Sequence[RGB]) -> Path:
        for number, colour in enumerate(colours):
            paint(tmp_path / "train_A" / f"{number:03d}.png", colour)
            photo(tmp_path / "train_B" / f"{number:03d}.png", seed=number)
        prompts = {f"{number:03d}.png": "Add a defect." for number in range(len(colours))}
        (tmp_path / "train_prompts.json").write_text(json.dumps(prompts))
        return tmp_path

    return make


Make = Callable[[Sequence[RGB]], Path]


def classes(dataset: Dataset) -> dict[str, str]:
    return {sample.image_path.stem: sample.defect_class for sample in dataset.samples}


def test_the_colours_of_the_masks_name_the_classes(coloured: Make) -> None:
    dataset = load_dataset(coloured([RED, GREEN, BLUE, RED, GREEN, BLUE]))
    assert dataset.classes == ("colour_0000ff", "colour_00ff00", "colour_ff0000")
    assert classes(dataset)["003"] == "colour_ff0000"
    assert any("named after the colours of the masks" in note for note in dataset.notes)
    assert {sample.prompt for sample in dataset.samples} == {None}  # it names none of them


def test_a_dark_class_colour_is_no_empty_mask(coloured: Make) -> None:
    root = coloured([(0, 100, 0), (64, 0, 0), RED])
    assert check_dataset(root).problems == ()
    dataset = load_dataset(root)
    assert dataset.classes == ("colour_006400", "colour_400000", "colour_ff0000")
    for sample in dataset.samples:
        assert int((load_pair(sample)[1] == 255).sum()) == 36


def test_one_colour_tells_no_classes_apart_and_that_is_said(coloured: Make) -> None:
    dataset = load_dataset(coloured([WHITE, WHITE, WHITE]))
    assert dataset.classes == ("defect",)
    assert any("every defect is of the class defect" in note for note in dataset.notes)


def test_names_and_prompts_that_tell_classes_apart_go_before_colours(aliaug: Path) -> None:
    paint(aliaug / "train_A" / "000.png", RED)
    assert load_dataset(aliaug).classes == ("crack", "gray_stroke")


def test_an_unreadable_mask_among_coloured_ones_is_one_problem(coloured: Make) -> None:
    root = coloured([RED, GREEN, BLUE])
    (root / "train_A" / "001.png").write_text("no image")
    paint(root / "train_A" / "002.png", (0, 0, 0))
    paint(root / "train_A" / "003.png", GREEN)
    photo = root / "train_B" / "000.png"
    (root / "train_B" / "003.png").write_bytes(photo.read_bytes())
    problems = check_dataset(root).problems
    assert sum("001.png is not an image" in problem for problem in problems) == 1
    assert sum("002.png is empty" in problem for problem in problems) == 1


def test_the_colour_of_most_pixels_counts_and_any_grey_is_white(tmp_path: Path) -> None:
    soft = np.zeros((24, 32, 3), dtype=np.uint8)
    soft[4:12, 4:12] = (0, 0, 255)
    soft[4:12, 12] = (0, 0, 140)  # an anti-aliased edge
    Image.fromarray(soft).save(tmp_path / "soft.png")
    assert paint_colours(tmp_path / "soft.png") == [BLUE]
    assert paint_colours(paint(tmp_path / "grey.png", (200, 200, 200))) == [WHITE]
    assert paint_colours(paint(tmp_path / "black.png", (0, 0, 0))) == []


def test_a_mask_of_two_colours_counts_as_the_larger_and_is_noted(coloured: Make) -> None:
    root = coloured([RED, GREEN])
    mask = np.zeros((24, 32, 3), dtype=np.uint8)
    mask[2:8, 2:8], mask[10:14, 2:8] = RED, BLUE
    Image.fromarray(mask).save(root / "train_A" / "000.png")
    dataset = load_dataset(root)
    assert classes(dataset) == {"000": "colour_ff0000", "001": "colour_00ff00"}
    assert any("1 masks have several colours, e.g." in note for note in dataset.notes)


def test_colours_that_a_jpeg_moved_are_one_class() -> None:
    names = colour_names([(254, 0, 0), (255, 0, 0), (254, 0, 0), (0, 0, 255)])
    assert names[(255, 0, 0)] == names[(254, 0, 0)] == "colour_fe0000"
    assert names[(0, 0, 255)] == "colour_0000ff"
