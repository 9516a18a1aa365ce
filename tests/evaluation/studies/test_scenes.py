"""Held-out scenes: real photos of the test side, windows around the largest defect."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from aliaug_edge.data.reader import load_dataset
from aliaug_edge.errors import DataError
from aliaug_edge.evaluation.studies.scenes import scenes_of
from aliaug_edge.imaging import load_image

CLASSES = ("crack", "stain")


def test_scenes_show_the_photo_its_good_side_and_the_mask_between(data_dir: Path) -> None:
    scenes = scenes_of(load_dataset(data_dir), CLASSES, "test", size=64, per_class=None)
    assert {s.defect_class for s in scenes} == set(CLASSES)
    assert len({s.name for s in scenes}) == len(scenes)
    for scene in scenes:
        assert scene.good.shape == scene.truth.shape == (64, 64, 3)
        assert set(np.unique(scene.mask)) == {0, 255}
        differs = (scene.good != scene.truth).any(axis=2)
        assert differs[scene.mask > 0].any()
        assert 0 < scene.severity < 1


def test_train_and_test_scenes_are_of_different_photos(data_dir: Path) -> None:
    dataset = load_dataset(data_dir)
    sides = [
        {s.truth.tobytes() for s in scenes_of(dataset, CLASSES, side, size=64, per_class=None)}
        for side in ("train", "test")
    ]
    assert sides[0] and sides[1] and not sides[0] & sides[1]


def test_the_truth_is_cut_from_a_test_photo(data_dir: Path) -> None:
    """Where a defect fits into the window unscaled, every row of it is a row of such a photo."""
    dataset = load_dataset(data_dir)
    sides = {}
    for side in ("train", "test"):
        photos = [load_image(s.image_path) for s in dataset.defects(side)]
        sides[side] = {
            photo[y, x : x + 64].tobytes()
            for photo in photos
            for y in range(photo.shape[0])
            for x in range(photo.shape[1] - 63)
        }
    scenes = scenes_of(dataset, CLASSES, "test", size=64, per_class=None)
    assert any(scene.truth[32].tobytes() in sides["test"] for scene in scenes)
    assert not any(scene.truth[32].tobytes() in sides["train"] for scene in scenes)


def test_no_more_than_so_many_of_a_class(data_dir: Path) -> None:
    scenes = scenes_of(load_dataset(data_dir), CLASSES, "train", size=32, per_class=1)
    assert [s.defect_class for s in scenes] == list(CLASSES)


def test_a_class_without_held_out_photos_is_refused_by_name(data_dir: Path) -> None:
    dataset = load_dataset(data_dir)
    samples = tuple(
        replace(s, split="train") if s.defect_class == "stain" else s for s in dataset.samples
    )
    with pytest.raises(DataError, match=r"no test photos of stain; .*--classes"):
        scenes_of(replace(dataset, samples=samples), CLASSES, "test", size=32, per_class=None)
