"""The folder that a YOLO trainer is given: labels, lists, and how often each photo comes."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from support.lessons import small_lesson

from aliaug_edge import imaging
from aliaug_edge.evaluation.detector.yolo_folder import EpochPlan, epoch_photos, write_lesson
from aliaug_edge.evaluation.photos import Photo
from aliaug_edge.labels.yolo import load_yolo

PLAN = EpochPlan(steps=5, real=4, good=3)


def names(photos: Sequence[Photo]) -> list[str]:
    return [p.name for p in photos]


def test_labels_fill_back_to_the_masks_and_good_photos_have_none(tmp_path: Path) -> None:
    shown = small_lesson()
    write_lesson(tmp_path, shown, PLAN, seed=1)
    masks = {label.image: label.mask for label in load_yolo(tmp_path)}
    photos = list(dict.fromkeys(epoch_photos(shown, PLAN, seed=1)))
    assert len(list((tmp_path / "images").iterdir())) == len(photos) == 24
    for number, expected in enumerate(photos):
        name = f"images/{number:06d}.png"
        assert np.array_equal(imaging.load_image(tmp_path / name), expected.image)
        if expected.is_good:
            assert (tmp_path / "labels" / f"{number:06d}.txt").read_text() == ""
        else:
            assert np.array_equal(masks[name], expected.mask)


def test_the_lists_name_images_that_are_there_and_validate_on_train_photos(tmp_path: Path) -> None:
    data = write_lesson(tmp_path, small_lesson(), PLAN, seed=1)
    assert data.read_text() == "train: epoch.txt\nval: val.txt\nnames:\n  0: defect\n"
    epoch, val = ((tmp_path / f"{name}.txt").read_text().split() for name in ("epoch", "val"))
    assert len(epoch) == PLAN.steps * PLAN.batch(small_lesson()) == 5 * (4 + 3 + 2)
    assert all((tmp_path / line).is_file() for line in epoch)
    assert len(val) == 4 and set(val) < set(epoch)


def test_equal_lessons_are_equal_bytes(tmp_path: Path) -> None:
    def written(folder: Path, seed: int) -> dict[str, bytes]:
        write_lesson(folder, small_lesson(), PLAN, seed)
        return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*.*")}

    first = written(tmp_path / "a", 1)
    assert first == written(tmp_path / "b", 1) != written(tmp_path / "c", 2)


@pytest.mark.parametrize(("ratio", "added"), [(0, 0), (0.5, 2), (1, 4), (2, 8), (5, 20)])
def test_synthetic_photos_are_added_and_take_no_real_ones_place(ratio: float, added: int) -> None:
    plain, shown = (epoch_photos(small_lesson(r), PLAN, seed=3) for r in (0, ratio))
    made = [p for p in shown if p.name.startswith("made")]
    assert len(made) == PLAN.steps * added
    assert names([p for p in shown if p not in made]) == names(plain)


def test_without_real_photos_the_steps_hold_synthetic_and_good_ones() -> None:
    only_made = small_lesson(1.0, real=False)
    assert PLAN.batch(only_made) == 3 + 4
    drawn = epoch_photos(only_made, PLAN, seed=3)
    assert len([p for p in drawn if p.is_good]) == 15 and len(drawn) == 35


def test_classes_take_turns_and_no_photo_is_left_out() -> None:
    real = [p for p in epoch_photos(small_lesson(0), PLAN, seed=3) if not p.is_good]
    assert len([p for p in real if p.defect_class == "stain"]) == 10  # of 20, from 2 of 8 photos
    assert len(set(names(real))) == 8
