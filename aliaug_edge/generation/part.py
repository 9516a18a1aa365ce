"""Where the part is in a photo, so that defects land on it and not on the background.

A deliberately simple estimate (its rules are in `generation.backdrop`), for photos with a backdrop
on one or more sides. In every other case (close-ups, textured backgrounds, a part in the backdrop's
colour) the whole image is the part.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from aliaug_edge.bundle import BACKDROPS, PLAIN_BACKDROP
from aliaug_edge.generation.backdrop import background, borne_out

WORKING_SIDE = 128  # px; the outline need not be finer than this to keep masks on the part

Bools = NDArray[np.bool_]
UInt8 = NDArray[np.uint8]


def part_mask(image: UInt8, backdrop: str = PLAIN_BACKDROP) -> Bools:
    """Pixels of `image` (H, W, 3) uint8 that belong to the part, (H, W) bool; all when unsure.

    `backdrop` is one of `BACKDROPS`. Holes in the part whose colour is the background's still count
    as part: they do not reach the border.
    """
    height, width = image.shape[:2]
    scale = min(1.0, WORKING_SIDE / max(height, width))
    small_wh = (max(1, round(width * scale)), max(1, round(height * scale)))
    small = Image.fromarray(image).resize(small_wh, Image.Resampling.BOX)
    behind = background(small, backdrop)
    if behind is None:
        return np.ones((height, width), dtype=np.bool_)
    part = Image.fromarray(np.where(behind, 0, 255).astype(np.uint8))
    return np.asarray(part.resize((width, height), Image.Resampling.NEAREST)) > 127


def borne_backdrops(image: UInt8, mask: UInt8) -> frozenset[str]:
    """Those of `BACKDROPS` by which the defects of `mask` (H, W) lie on the part of `image`
    (H, W, 3)."""
    return frozenset(rule for rule in BACKDROPS if borne_out(mask, part_mask(image, rule)))
