"""Outlines of masks as polygons on the pixel grid, and polygons back to masks, exactly.

Corners are pixel corners: the pixel in row y, column x covers [x, x+1] × [y, y+1]. A polygon is
traced along the cracks between pixels, so filling it by the even-odd rule at pixel centres gives
the same mask back, bit by bit.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Points = NDArray[np.float64]

# Directions of travel along a crack: east, south, west, north, as (dy, dx); right turn = +1.
_STEPS = np.array([(0, 1), (1, 0), (0, -1), (-1, 0)])
_LEFT, _AHEAD, _RIGHT = 3, 0, 1


def trace(pixels: NDArray[np.bool_]) -> tuple[list[Points], list[Points]]:
    """Outlines and holes of `pixels` (H, W): polygons (N, 2) of x, y, corners only.

    The mask lies on the right of the direction of travel. Where two pixels touch only at a corner
    the outline passes through that corner twice, so what is 8-connected has one outline.
    """
    heads, directions, following = _cracks(pixels)
    outlines: list[Points] = []
    holes: list[Points] = []
    for loop in _loops(following):
        turns = directions[loop] != directions[np.roll(loop, 1)]
        polygon = heads[loop][turns][:, ::-1].astype(np.float64)
        (outlines if signed_area(polygon) > 0 else holes).append(polygon)
    return outlines, holes


def fill(polygons: Sequence[Points], hw: tuple[int, int]) -> NDArray[np.bool_]:
    """Pixels of an image of size `hw` whose centre lies inside `polygons` (even-odd rule), (H, W).

    Along each row the pixels right of an edge change sides; an edge takes part in the rows whose
    centre line it crosses.
    """
    height, width = hw
    crossings = np.zeros((height, width + 1), dtype=np.uint8)
    for polygon in polygons:
        start, end = polygon, np.roll(polygon, -1, axis=0)
        low, high = np.minimum(start[:, 1], end[:, 1]), np.maximum(start[:, 1], end[:, 1])
        first = np.clip(np.ceil(low - 0.5), 0, height).astype(np.intp)
        last = np.clip(np.ceil(high - 0.5), 0, height).astype(np.intp)
        edge = np.repeat(np.arange(len(polygon)), last - first)
        row = np.concatenate([np.arange(a, b) for a, b in zip(first, last, strict=True)])
        row = row.astype(np.intp)
        (x0, y0), (x1, y1) = start[edge].T, end[edge].T
        x = x0 + (row + 0.5 - y0) * (x1 - x0) / (y1 - y0)
        column = np.clip(np.ceil(x - 0.5), 0, width).astype(np.intp)
        np.bitwise_xor.at(crossings, (row, column), 1)
    return np.bitwise_xor.accumulate(crossings, axis=1)[:, :-1] > 0


def bridged(outline: Points, holes: Sequence[Points]) -> Points:
    """One polygon for an outline with holes, for formats that know none.

    Each hole is entered and left along the same straight line from the nearest corner; under the
    even-odd rule that line encloses nothing, so the polygon still fills to the same mask.
    """
    for hole in holes:
        gaps = ((outline - hole[0]) ** 2).sum(axis=1)
        at = int(gaps.argmin())
        outline = np.concatenate([outline[: at + 1], hole, hole[:1], outline[at:]])
    return outline


def signed_area(polygon: Points) -> float:
    """Area in pixels, positive when the inside lies on the right (clockwise on the screen)."""
    x, y = polygon.T
    return float((x * np.roll(y, -1) - np.roll(x, -1) * y).sum() / 2)


def _cracks(
    pixels: NDArray[np.bool_],
) -> tuple[NDArray[np.intp], NDArray[np.intp], NDArray[np.intp]]:
    """Unit cracks as their heads (N, 2) of y, x, their directions (N,), and who follows whom (N,).

    At a corner the leftmost way on is taken: that is what makes the outline 8-connected.
    """
    inside = np.pad(pixels, 1)
    above, below, left, right = inside[:-1], inside[1:], inside[:, :-1], inside[:, 1:]
    height, width = pixels.shape
    leaves = np.zeros((4, height + 1, width + 1), dtype=bool)  # a crack starts here, going there
    leaves[0, :, :-1] = (below & ~above)[:, 1:-1]
    leaves[1, :-1, :] = (left & ~right)[1:-1]
    leaves[2, :, 1:] = (above & ~below)[:, 1:-1]
    leaves[3, 1:, :] = (right & ~left)[1:-1]
    number = np.cumsum(leaves).reshape(leaves.shape) - 1
    direction, y, x = np.nonzero(leaves)
    end_y, end_x = y + _STEPS[direction, 0], x + _STEPS[direction, 1]
    following = np.full(direction.size, -1)
    for turn in (_RIGHT, _AHEAD, _LEFT):  # the last that exists wins
        onward = (direction + turn) % 4
        exists = leaves[onward, end_y, end_x]
        following = np.where(exists, number[onward, end_y, end_x], following)
    return np.stack([y, x], axis=1), direction, following


def _loops(following: NDArray[np.intp]) -> list[NDArray[np.intp]]:
    """The cycles of a permutation, each begun at its smallest index."""
    onward = following.tolist()
    seen = bytearray(len(onward))
    loops = []
    for start in range(len(onward)):
        loop, at = [], start
        while not seen[at]:
            seen[at] = 1
            loop.append(at)
            at = onward[at]
        if loop:
            loops.append(np.array(loop))
    return loops
