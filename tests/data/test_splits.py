"""Whole groups go to one side, each class has something to learn from."""

from __future__ import annotations

from pathlib import Path

from aliaug_edge.data.samples import Sample
from aliaug_edge.data.splits import split_groups


def samples(**groups_of: int) -> list[Sample]:
    return [
        Sample(Path(f"{name}{n}_{shot}.png"), None, name, group=f"{name}{n}", split="")
        for name, count in groups_of.items()
        for n in range(count)
        for shot in range(3)
    ]


def count(placed: dict[str, str], name: str) -> int:
    return sum(g.startswith(name) and split == "train" for g, split in placed.items())


def test_seventy_percent_of_the_groups_of_each_class_are_learned_from() -> None:
    placed = split_groups(samples(crack=10, pit=20))
    assert (count(placed, "crack"), count(placed, "pit")) == (7, 14)
    assert len(placed) == 30


def test_few_groups_give_at_least_one_to_each_side() -> None:
    placed = split_groups(samples(one=1, two=2, three=3))
    assert [count(placed, name) for name in ("one", "two", "three")] == [1, 1, 2]


def test_the_seed_decides_and_nothing_else() -> None:
    data = samples(crack=12, pit=9)
    assert split_groups(data, seed=3) == split_groups(reversed(data), seed=3)
    assert split_groups(data, seed=3) != split_groups(data, seed=4)


def test_an_added_part_moves_few_others() -> None:
    before, after = split_groups(samples(crack=20)), split_groups(samples(crack=21))
    assert sum(before[g] != after[g] for g in before) <= 1


def test_a_given_split_is_kept_and_counts() -> None:
    fixed = {f"crack{n}": "train" for n in range(7)}
    placed = split_groups(samples(crack=10), fixed=fixed)
    assert placed == fixed | {f"crack{n}": "test" for n in (7, 8, 9)}


def test_a_group_of_two_classes_lies_on_one_side() -> None:
    shared = [Sample(Path(f"{c}.png"), None, c, group="part", split="") for c in ("crack", "pit")]
    assert split_groups([*shared, *samples(pit=4)])["part"] in ("train", "test")
    assert split_groups(shared) == {"part": "train"}
