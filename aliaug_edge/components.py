"""Connected components of a mask, by runs and union of their labels, in numpy alone.

Pixels that touch at a corner belong together (8-connectivity): a thin diagonal scratch is one
defect, not a row of single pixels.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.intp]


@dataclass(frozen=True, eq=False)
class Component:
    """One component: its pixels (h, w) bool within its tight box, whose corner is (top, left)."""

    top: int
    left: int
    pixels: NDArray[np.bool_]

    @property
    def area(self) -> int:
        """Number of pixels."""
        return int(np.count_nonzero(self.pixels))

    @property
    def box_xywh(self) -> tuple[int, int, int, int]:
        """x, y, width, height in pixels of the image."""
        return self.left, self.top, self.pixels.shape[1], self.pixels.shape[0]


def components(mask: NDArray[np.uint8]) -> list[Component]:
    """Components of the non-zero pixels of `mask` (H, W), ordered by their first pixel (row, then
    column). An empty mask has none."""
    rows, starts, ends = _runs(mask)
    if rows.size == 0:
        return []
    label = _joined(rows.size, *_touching(rows, starts, ends, mask.shape[1]))
    order = np.argsort(label, kind="stable")
    bounds = np.flatnonzero(np.diff(label[order])) + 1
    return [_component(rows[i], starts[i], ends[i]) for i in np.split(order, bounds)]


def _runs(mask: NDArray[np.uint8]) -> tuple[Ints, Ints, Ints]:
    """Row, start and end (exclusive) of every horizontal run, in raster order."""
    padded = np.zeros((mask.shape[0], mask.shape[1] + 2), dtype=np.int8)
    padded[:, 1:-1] = mask > 0
    change = np.diff(padded, axis=1)
    rows, starts = np.nonzero(change == 1)
    return rows, starts, np.nonzero(change == -1)[1]


def _touching(rows: Ints, starts: Ints, ends: Ints, width: int) -> tuple[Ints, Ints]:
    """Pairs of runs (upper, lower) in neighbouring rows that share a pixel's side or corner."""
    stride = width + 1  # ends reach `width`, so keys of one row stay below those of the next
    below = (rows + 1) * stride
    first = np.searchsorted(rows * stride + ends, below + starts, side="left")
    last = np.searchsorted(rows * stride + starts, below + ends, side="right")
    counts = np.maximum(last - first, 0)
    upper = np.repeat(np.arange(rows.size), counts)
    within = np.arange(upper.size) - np.repeat(np.cumsum(counts) - counts, counts)
    return upper, np.repeat(first, counts) + within


def _joined(count: int, upper: Ints, lower: Ints) -> Ints:
    """For each run the smallest run it is connected to: union by minimum, then path halving."""
    parent = np.arange(count)
    while True:
        above, below = parent[upper], parent[lower]
        if np.array_equal(above, below):
            return parent
        np.minimum.at(parent, np.maximum(above, below), np.minimum(above, below))
        while not np.array_equal(shorter := parent[parent], parent):
            parent = shorter


def _component(rows: Ints, starts: Ints, ends: Ints) -> Component:
    top, left = int(rows[0]), int(starts.min())
    change = np.zeros((int(rows[-1]) - top + 1, int(ends.max()) - left + 1), dtype=np.int8)
    change[rows - top, starts - left] = 1
    change[rows - top, ends - left] -= 1
    return Component(top, left, np.cumsum(change, axis=1)[:, :-1] > 0)
