"""Insertions that are broken on purpose, one for each signature: what the limits must catch."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from aliaug_edge.quality.calibration import Real
from aliaug_edge.quality.signatures import (
    EMPTY,
    INCOHERENT,
    MISMATCH,
    MISPLACED,
    SMOOTH,
    UNREAL,
)

BLUR = 3  # radius in pixels of the box that smooths
CHECK = 24.0  # grey levels from valley to peak of the checkerboard
STEP = 30.0  # grey levels of the cut-out's brighter ground

UInt8 = NDArray[np.uint8]
Signed = NDArray[np.int16]

# What each of `broken` shows.
SHOWS: Mapping[str, str] = {
    "empty": EMPTY,
    "shifted": MISPLACED,
    "blurred": SMOOTH,
    "checkerboard": UNREAL,
    "hard seam": INCOHERENT,
    "other class": MISMATCH,
}


def broken(real: Real, other: Real | None) -> dict[str, UInt8]:
    """`real.photo` broken in each way: (h, w, 3) uint8. `other` is a defect of another class, whose
    change is put under the mask of `real`; without one, that way is left out."""
    inside = real.mask > 0
    change = real.photo.astype(np.int16) - real.good
    made = {
        "empty": real.good,
        "shifted": _added(real.good, _shifted(change, inside)),
        "blurred": np.where(inside[..., None], _smoothed(real.photo), real.photo),
        "checkerboard": _added(real.photo, _checks(inside)),
        "hard seam": _added(real.photo, _cut_out(real.photo, inside)),
    }
    if other is not None:
        made["other class"] = _added(real.good, _borrowed(other, inside))
    return made


def _added(image: UInt8, change: NDArray[np.int16]) -> UInt8:
    added: UInt8 = np.clip(image.astype(np.int16) + change, 0, 255).astype(np.uint8)
    return added


def _shifted(change: Signed, inside: NDArray[np.bool_]) -> Signed:
    """The change moved by the mask's own width or height, whichever is shorter: beside it."""
    height, width = (side.stop - side.start for side in _box(inside))
    axis, step = (0, height) if height <= width else (1, width)
    return np.roll(np.where(inside[..., None], change, 0), step, axis=axis).astype(np.int16)


def _smoothed(image: UInt8) -> UInt8:
    """Twice the mean of a box of 2 · `BLUR` + 1 pixels."""
    plane = image.astype(np.float64)
    for axis in (0, 1, 0, 1):
        widths = [(0, 0)] * 3
        widths[axis] = (BLUR + 1, BLUR)
        sums = np.cumsum(np.pad(plane, widths, mode="edge"), axis=axis)
        sums = np.moveaxis(sums, axis, 0)
        length = 2 * BLUR + 1
        plane = np.moveaxis((sums[length:] - sums[:-length]) / length, 0, axis)
    return np.clip(np.rint(plane), 0, 255).astype(np.uint8)


def _checks(inside: NDArray[np.bool_]) -> Signed:
    """Squares of 2 pixels, as a decoder's upsampling leaves them."""
    rows, columns = np.indices(inside.shape)
    sign = np.where((rows // 2 + columns // 2) % 2, 1, -1)
    return np.where(inside, sign * CHECK / 2, 0).astype(np.int16)[..., None]


def _cut_out(image: UInt8, inside: NDArray[np.bool_]) -> Signed:
    """A brighter ground under the mask, or a darker one where the photo is bright there."""
    sign = -1 if image[inside].mean() > 160 else 1
    return np.where(inside, sign * STEP, 0).astype(np.int16)[..., None]


def _borrowed(other: Real, inside: NDArray[np.bool_]) -> Signed:
    """The change of `other` laid over the box of `inside`, mirrored on where it is smaller. What
    lies in the box of its mask but not under it takes the mask's mean."""
    under = other.mask > 0
    change = other.photo.astype(np.int16) - other.good
    change = np.where(under[..., None], change, np.rint(change[under].mean(axis=0)))
    source, target = _box(under), _box(inside)
    piece = change[source]
    rows = _mirrored(target[0].stop - target[0].start, piece.shape[0])
    columns = _mirrored(target[1].stop - target[1].start, piece.shape[1])
    spread = np.zeros((*inside.shape, 3), dtype=np.int16)
    spread[target] = piece[np.ix_(rows, columns)]
    return np.where(inside[..., None], spread, 0).astype(np.int16)


def _box(mask: NDArray[np.bool_]) -> tuple[slice, slice]:
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    return slice(int(rows[0]), int(rows[-1]) + 1), slice(int(columns[0]), int(columns[-1]) + 1)


def _mirrored(length: int, period: int) -> NDArray[np.intp]:
    """Indices 0 … period-1, there and back again, `length` of them."""
    folded = np.arange(length, dtype=np.intp) % (2 * period)
    return np.minimum(folded, 2 * period - 1 - folded)
