"""Fewer defects to learn from: classes in turn, parts before their second photos, nested."""

from __future__ import annotations

import itertools
from collections import Counter
from pathlib import Path

import pytest

from aliaug_edge.data.fewer import fewer_defects
from aliaug_edge.data.samples import GOOD, Dataset, Sample

ROOT = Path("parts")


def sample(name: str, defect_class: str, group: str, split: str = "train") -> Sample:
    mask = None if defect_class == GOOD else ROOT / f"{name}_mask.png"
    return Sample(ROOT / f"{name}.png", mask, defect_class, group, split)


@pytest.fixture
def dataset() -> Dataset:
    """Three cracked parts with two photos each, two stained parts, one good one, a test photo."""
    samples = [sample(f"c{g}{i}", "crack", f"c{g}") for g in range(3) for i in range(2)]
    samples += [sample(f"s{g}", "stain", f"s{g}") for g in range(2)]
    samples += [sample("g", GOOD, "g"), sample("t", "crack", "t", "test")]
    return Dataset(ROOT, "folders", tuple(samples))


@pytest.mark.parametrize(
    "count, expected",
    [(1, (1, 0)), (2, (1, 1)), (3, (2, 1)), (5, (3, 2)), (8, (6, 2)), (99, (6, 2))],
)
def test_classes_take_turns(dataset: Dataset, count: int, expected: tuple[int, int]) -> None:
    kept = Counter(s.defect_class for s in fewer_defects(dataset, count).defects("train"))
    assert (kept["crack"], kept["stain"]) == expected


def test_every_part_comes_before_a_second_photo_of_one(dataset: Dataset) -> None:
    for seed in range(5):
        kept = fewer_defects(dataset, 5, seed).defects("train")
        assert {s.group for s in kept if s.defect_class == "crack"} == {"c0", "c1", "c2"}


def test_more_photos_contain_the_fewer(dataset: Dataset) -> None:
    kept = [set(fewer_defects(dataset, count, 3).defects("train")) for count in range(9)]
    assert all(few <= more for few, more in itertools.pairwise(kept))


def test_another_seed_keeps_others_and_the_same_seed_the_same(dataset: Dataset) -> None:
    chosen = {fewer_defects(dataset, 2, seed).samples for seed in range(8)}
    assert len(chosen) > 1
    assert fewer_defects(dataset, 2, 1) == fewer_defects(dataset, 2, 1)


def test_good_photos_and_the_test_split_stay(dataset: Dataset) -> None:
    few = fewer_defects(dataset, 1)
    assert few.goods("train") == dataset.goods("train")
    assert few.defects("test") == dataset.defects("test")
