"""A data set with fewer defects to learn from, for questions about how many are needed."""

from __future__ import annotations

import hashlib
from collections import Counter
from dataclasses import replace

from aliaug_edge.data.samples import Dataset, Sample


def fewer_defects(dataset: Dataset, count: int, seed: int = 0) -> Dataset:
    """`dataset` with at most `count` train photos that show a defect, classes taken in turn.

    A class comes with a photo of each of its parts (groups) before a second of any. Which photos
    come first depends on `seed` and their paths alone, so more photos contain the fewer. Good
    photos and the test split stay.
    """
    ranked = sorted(dataset.defects("train"), key=lambda s: _rank(s, dataset, seed))
    of_group: Counter[tuple[str, str]] = Counter()
    turn: dict[Sample, int] = {}
    for sample in ranked:
        turn[sample] = of_group[sample.defect_class, sample.group]
        of_group[sample.defect_class, sample.group] += 1
    of_class: Counter[str] = Counter()
    order: list[tuple[int, str, Sample]] = []
    for sample in sorted(ranked, key=turn.__getitem__):
        order.append((of_class[sample.defect_class], sample.defect_class, sample))
        of_class[sample.defect_class] += 1
    kept = {sample for *_, sample in sorted(order, key=lambda entry: entry[:2])[:count]}
    left_out = set(ranked) - kept
    return replace(dataset, samples=tuple(s for s in dataset.samples if s not in left_out))


def _rank(sample: Sample, dataset: Dataset, seed: int) -> bytes:
    name = sample.image_path.relative_to(dataset.root).as_posix()
    return hashlib.sha256(f"{seed}:{name}".encode()).digest()
