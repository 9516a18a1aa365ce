"""What all scores look at: the crop around the mask, as luma and as the change that was made."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

LUMA = np.array([0.299, 0.587, 0.114], dtype=np.float32)  # ITU-R BT.601
REACH = 16  # pixels around the mask's box that are looked at
LEAST_GRAIN = 1.0  # grey levels: below that a camera's grain is rounding

UInt8 = NDArray[np.uint8]
Floats = NDArray[np.float32]
Bools = NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class Planes:
    """The box of the mask and `REACH` pixels around it, (h, w), luma in grey levels.

    `change` is `result` - `good`, `blunt` its 3 x 3 mean, in which the grain is a third; `blue` the
    change of R - B. `grain` is the standard deviation of the good surface's fine texture.
    `whole_change` and `whole_mask` are of the whole crop, (H, W).
    """

    good: Floats
    result: Floats
    change: Floats
    blunt: Floats
    blue: Floats
    inside: Bools
    grain: float
    whole_change: Floats
    whole_mask: Bools


def planes(good: UInt8, result: UInt8, mask: UInt8) -> Planes:
    """Of `good` and `result` (H, W, 3) uint8, equal but for a defect, and its `mask` (H, W) uint8.

    Raises:
        ValueError: the mask is empty.
    """
    whole_mask = mask > 0
    box = _box(whole_mask)
    before = good.astype(np.float32) @ LUMA
    after = result.astype(np.float32) @ LUMA
    change = after - before
    own = good[box].astype(np.float32)
    theirs = result[box].astype(np.float32)
    return Planes(
        good=before[box],
        result=after[box],
        change=change[box],
        blunt=box_mean(change[box]),
        blue=(theirs[..., 0] - theirs[..., 2]) - (own[..., 0] - own[..., 2]),
        inside=whole_mask[box],
        grain=max(grain(before[box]), LEAST_GRAIN),
        whole_change=change,
        whole_mask=whole_mask,
    )


def box_mean(plane: Floats) -> Floats:
    """The 3 x 3 mean of `plane` (h, w); beyond the border the edge is repeated."""
    padded = np.pad(plane, 1, mode="edge")
    rows = padded[:-2] + padded[1:-1] + padded[2:]
    total: Floats = rows[:, :-2] + rows[:, 1:-1] + rows[:, 2:]
    return total / np.float32(9)


def grain(luma: Floats) -> float:
    """Root mean square difference of neighbours, over √2: the standard deviation of white noise,
    and blind to shading."""
    down, across = np.diff(luma, axis=0), np.diff(luma, axis=1)
    count = down.size + across.size
    total = float(np.square(down).sum()) + float(np.square(across).sum())
    return float(np.sqrt(total / count / 2)) if count else 0.0


def _box(inside: Bools) -> tuple[slice, slice]:
    rows, columns = np.flatnonzero(inside.any(axis=1)), np.flatnonzero(inside.any(axis=0))
    if rows.size == 0:
        raise ValueError("the mask is empty")
    return (
        slice(max(int(rows[0]) - REACH, 0), int(rows[-1]) + 1 + REACH),
        slice(max(int(columns[0]) - REACH, 0), int(columns[-1]) + 1 + REACH),
    )
