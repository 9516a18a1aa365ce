"""Copy-paste: a real defect's own pixels on a good photo."""

from __future__ import annotations

import numpy as np
from PIL import Image, ImageFilter

from aliaug_edge.evaluation.photos import Photo
from aliaug_edge.evaluation.pools.placements import Placement
from aliaug_edge.evaluation.pools.surroundings import Floats, UInt8, greyed, surface_level
from aliaug_edge.imaging import is_grey
from aliaug_edge.quality.planes import LUMA

FEATHER_PX = 1.2  # standard deviation of the edge's fall, outwards from the mask


def paste(placement: Placement) -> Photo:
    """The good photo with the source's pixels under the mask, which is the label.

    The pasted pixels are shifted by the difference between the surface's mean colour around the
    place and that around the source defect. At the mask's edge they fade out over about two
    pixels of their own surroundings; under the mask they are whole, so a thin crack keeps its
    contrast. A grey good photo stays grey.
    """
    good, mask = placement.good, placement.mask
    patch, level = placement.patch, placement.level
    if is_grey(good.image):
        patch = greyed(patch)
        level = np.repeat(level @ LUMA, 3)
    here = surface_level(good.image, mask, mask, good.part)
    pasted = patch.astype(np.float32) + (here - level)
    weight = _feathered(mask)[..., None]
    mixed = good.image + weight * (pasted - good.image)
    image = np.clip(np.rint(mixed), 0, 255).astype(np.uint8)
    name = placement.name.replace("placement", "copy-paste")
    return Photo(name, image, mask, placement.defect_class, good.group)


def _feathered(mask: UInt8) -> Floats:
    """Weight (H, W) in [0, 1]: 1 on the mask, falling to 0 beside it."""
    blurred = Image.fromarray(mask).filter(ImageFilter.GaussianBlur(FEATHER_PX))
    outside = np.minimum(np.asarray(blurred, dtype=np.float32) * np.float32(2 / 255), 1)
    return np.where(mask > 0, np.float32(1), outside)
