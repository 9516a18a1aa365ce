"""Splits that do not leak: a group goes to train or to test as a whole."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Iterable, Mapping

from aliaug_edge.data.samples import Sample

TRAIN, TEST = "train", "test"
TRAIN_SHARE = 0.7


def split_groups(
    samples: Iterable[Sample],
    *,
    seed: int = 0,
    train_share: float = TRAIN_SHARE,
    fixed: Mapping[str, str] | None = None,
) -> dict[str, str]:
    """{group: "train" | "test"}: of each class, `train_share` of its groups to train.

    At least one group of a class goes to train and, where it has two, at least one to test. The
    order in which groups are drawn depends on the seed and the group's name alone, so a photo that
    is added later moves few others. `fixed` are groups whose split is given. A group that shows
    several classes is placed with the first of them by name and counts for the others.
    """
    groups_of: dict[str, set[str]] = defaultdict(set)
    for sample in samples:
        groups_of[sample.defect_class].add(sample.group)
    placed = dict(fixed or {})
    for defect_class in sorted(groups_of):
        groups = groups_of[defect_class]
        wanted = max(1, min(round(train_share * len(groups)), len(groups) - 1))
        in_train = sum(placed.get(group) == TRAIN for group in groups)
        for group in sorted(groups - placed.keys(), key=lambda name: _rank(seed, name)):
            placed[group] = TRAIN if in_train < wanted else TEST
            in_train += placed[group] == TRAIN
    return placed


def _rank(seed: int, group: str) -> bytes:
    # What is no text has its place too; `structure.finish` says that it must be renamed.
    return hashlib.sha256(f"{seed}:{group}".encode("utf-8", "surrogatepass")).digest()
