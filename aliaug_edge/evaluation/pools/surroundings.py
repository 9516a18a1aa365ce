"""What the pools share: the brightness around a defect, greyness, and taking things in turn."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from aliaug_edge.crops import Window, inside, mask_box
from aliaug_edge.errors import DataError
from aliaug_edge.evaluation.photos import Photo
from aliaug_edge.generation.blend import grown
from aliaug_edge.quality.planes import LUMA

RING_PX = (2, 10)  # beyond the first a defect's blur has ended; within the second light is the same
ANOMALY = "anomaly"  # class of synthetic defects that imitate no class of the data

UInt8 = NDArray[np.uint8]
Floats = NDArray[np.float32]
Bools = NDArray[np.bool_]
T = TypeVar("T")


def surface_level(image: UInt8, mask: UInt8, defects: UInt8, part: Bools) -> Floats:
    """Mean colour (3,) float32 in [0, 255] of the surface in a ring around `mask`.

    `image` (H, W, 3); pixels of `defects` (H, W) > 0, which holds `mask`, and outside of `part`
    (H, W) are no surface. Where the ring shows none, it is the mean of the whole photo's surface,
    and where that has none either, of the photo.
    """
    near, far = RING_PX
    box = mask_box(mask)
    around = inside(
        Window(box.top - far, box.left - far, box.height + 2 * far, box.width + 2 * far), mask.shape
    )
    view = np.s_[around.top : around.top + around.height, around.left : around.left + around.width]
    ring = grown(mask[view] > 0, far) & ~grown(defects[view] > 0, near) & part[view]
    if ring.any():
        return image[view][ring].mean(axis=0, dtype=np.float32)
    surface = part & (defects == 0)
    seen = image[surface] if surface.any() else image.reshape(-1, 3)
    return seen.mean(axis=0, dtype=np.float32)


def greyed(image: UInt8) -> UInt8:
    """Luminance of `image` (H, W, 3) in three equal channels."""
    luminance = np.rint(image.astype(np.float32) @ LUMA).astype(np.uint8)
    return np.repeat(luminance[..., None], 3, axis=2)


def in_turn(items: Sequence[T], rng: np.random.Generator) -> Iterator[T]:
    """Endlessly all `items` in random order, each once before any comes again."""
    while True:
        for index in rng.permutation(len(items)):
            yield items[index]


def require_goods(goods: Sequence[Photo], what: str) -> None:
    """
    Raises:
        DataError: there are no good photos to put defects on.
    """
    if not goods:
        raise DataError(
            f"{what}: expected at least one good photo to put defects on, got none; add photos of "
            "good parts to the train pool"
        )
