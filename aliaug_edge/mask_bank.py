"""The bank of training masks: tight shapes per class, for placement at generation.

On disk (`masks.npz`) a shape's key is `<class index>/<running number>`, with `/<borders>` behind it
where the photo's border cut the defect: a broken edge or a frayed rim belongs at an edge again.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from aliaug_edge.crops import Window

TOUCHING_PX = 2  # annotators stop a pixel or two short of the border
BORDERS = "tblr"

UInt8 = NDArray[np.uint8]
Bank = dict[str, list["MaskShape"]]


@dataclass(frozen=True)
class MaskShape:
    """A training mask's tight `pixels` (h, w), 0 and 255, and the borders of its photo that it
    touched: any of t(op), b(ottom), l(eft), r(ight)."""

    pixels: UInt8
    borders: str = ""


def shape_at(mask: UInt8, box: Window) -> MaskShape:
    """The part of a photo's `mask` (H, W) inside `box`."""
    height, width = mask.shape
    bottom, right = box.top + box.height, box.left + box.width
    gaps = (box.top, height - bottom, box.left, width - right)
    return MaskShape(
        mask[box.top : bottom, box.left : right],
        "".join(b for b, gap in zip(BORDERS, gaps, strict=True) if gap < TOUCHING_PX),
    )


def pack(bank: Mapping[str, Sequence[MaskShape]]) -> dict[str, UInt8]:
    """`bank` as the arrays of a `masks.npz`, classes in their order."""
    return {
        f"{index}/{number:04d}" + (f"/{shape.borders}" if shape.borders else ""): shape.pixels
        for index, shapes in enumerate(bank.values())
        for number, shape in enumerate(shapes)
    }


def unpack(arrays: Mapping[str, UInt8], classes: Sequence[str]) -> Bank:
    """The bank of `classes` from the arrays of a `masks.npz`.

    Raises:
        LookupError, ValueError: a key or a mask that `pack` does not write.
    """
    bank: Bank = {name: [] for name in classes}
    for key, pixels in arrays.items():
        index, _number, *rest = key.split("/")
        borders = "/".join(rest)
        if set(borders) - set(BORDERS) or not index.isdecimal():
            raise ValueError(f"key {key!r}")
        if pixels.dtype != np.uint8 or pixels.ndim != 2 or not pixels.any():
            raise ValueError(f"{key} is no mask: {pixels.dtype} of shape {list(pixels.shape)}")
        bank[classes[int(index)]].append(MaskShape(pixels, borders))
    return bank
