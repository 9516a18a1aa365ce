"""A defect carried to another photo: its mask and its pixels by one and the same transform."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from aliaug_edge import crops
from aliaug_edge.crops import Window
from aliaug_edge.generation.placement import SCALES, TURN_THRESHOLD

UInt8 = NDArray[np.uint8]

MARGIN_PX = 6  # surroundings that travel with a defect, in pixels of the photo it comes to
_SWAPPED = str.maketrans("tblr", "btrl")


@dataclass(frozen=True)
class Pose:
    """Mirrored, then scaled, then turned counter-clockwise by `degrees`."""

    upside_down: bool
    left_to_right: bool
    scale: float
    degrees: float


def drawn_pose(borders: str, rng: np.random.Generator) -> Pose:
    """As masks of the bank are posed: what its photo's `borders` had cut is not turned."""
    upside_down, left_to_right = bool(rng.random() < 0.5), bool(rng.random() < 0.5)
    scale, degrees = float(rng.uniform(*SCALES)), float(rng.uniform(0, 360))
    return Pose(upside_down, left_to_right, scale, 0.0 if borders else degrees)


def carried_borders(borders: str, pose: Pose) -> str:
    """The borders (any of t, b, l, r) that a mirrored shape meets."""
    moved = {"t": pose.upside_down, "b": pose.upside_down}
    return "".join(
        b.translate(_SWAPPED) if moved.get(b, pose.left_to_right) else b for b in borders
    )


def carried(array: UInt8, pose: Pose) -> UInt8:
    """Pixels (h, w, 3), or a mask (h, w) of 0 and 255, in `pose`.

    Of equal input sizes both come out at equal sizes, pixel on pixel. Beyond the turned rectangle
    it is 0. A mask keeps its thin lines, as masks of the bank do.
    """
    if pose.upside_down:
        array = array[::-1]
    if pose.left_to_right:
        array = array[:, ::-1]
    height, width = (max(1, round(side * pose.scale)) for side in array.shape[:2])
    array, is_mask = np.ascontiguousarray(array), array.ndim == 2
    array = (crops.resize_mask if is_mask else crops.resize)(array, (height, width))
    if not pose.degrees:
        return array
    method = Image.Resampling.BILINEAR if is_mask else Image.Resampling.BICUBIC
    turned = np.asarray(Image.fromarray(array).rotate(pose.degrees, method, expand=True))
    return np.where(turned >= TURN_THRESHOLD, 255, 0).astype(np.uint8) if is_mask else turned


def carried_defect(image: UInt8, shape: UInt8, box: Window, pose: Pose) -> tuple[UInt8, UInt8]:
    """The mask (h, w) and the pixels (h, w, 3) of a defect in `pose`.

    `shape` (0 and 255) are the defect's pixels within `box` of the photo `image` (H, W, 3). Both
    results reach at least `MARGIN_PX` beyond the mask; beyond its border the photo is reflected.
    The mask is empty where scaling or turning has left nothing.
    """
    reach = math.ceil(MARGIN_PX / pose.scale) + 1
    window = Window(
        box.top - reach, box.left - reach, box.height + 2 * reach, box.width + 2 * reach
    )
    return carried(np.pad(shape, reach), pose), carried(crops.cut(image, window), pose)
