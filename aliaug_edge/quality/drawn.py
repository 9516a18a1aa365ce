"""Limits for a base that has met drawn defects alone: what drawn defects allow."""

from __future__ import annotations

from collections.abc import Iterator

from aliaug_edge.data.procedural import DEFECT_CLASSES, render_pair
from aliaug_edge.quality.calibration import Real, calibrate
from aliaug_edge.quality.limits import Limits

PER_CLASS = 24
FIRST_SEED = 10_000_000  # the base learned from none of these: its own seeds begin at 7 000 021


def drawn_limits(size_hw: tuple[int, int], per_class: int = PER_CLASS) -> Limits:
    """The limits that `per_class` drawn defects of each class allow, at `size_hw` (height, width);
    every defect is on a part of its own. Equal arguments give equal limits."""
    return calibrate(list(_drawn(size_hw, per_class)))


def _drawn(size_hw: tuple[int, int], per_class: int) -> Iterator[Real]:
    for index, name in enumerate(DEFECT_CLASSES):
        for number in range(per_class):
            seed = FIRST_SEED + index * per_class + number
            pair = render_pair(seed, *size_hw, defect_class=name)
            yield Real(name, f"drawn/{seed}", pair.good, pair.defect, pair.mask)
