"""The same part without its defect: the hole filled from the part's own texture.

A paired sample needs the good counterpart of a defective photo. Diffusion inpainting (Telea,
Navier-Stokes) leaves a smooth spot, and a generator trained on smooth spots learns to look for them
instead of drawing on texture. So the hole is filled with a patch of the same photo, shifted so that
its surroundings agree, and its remaining step at the border is spread smoothly over the hole.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter

UInt8 = NDArray[np.uint8]
MARGIN = 3  # pixels around the mask that still show the defect's halo
RING = 6  # width in pixels of the surroundings that must agree
CANDIDATES = 200  # shifts that are compared


def dilate(mask: UInt8, pixels: int) -> UInt8:
    """`mask` (H, W) of 0 and 255, grown by `pixels` in every direction (square neighbourhood)."""
    if pixels == 0:
        return mask
    grown = Image.fromarray(mask).filter(ImageFilter.MaxFilter(2 * pixels + 1))
    return np.asarray(grown)


def inpaint(image: UInt8, mask: UInt8, rng: np.random.Generator) -> UInt8:
    """`image` (H, W, 3) with the masked part replaced by texture from elsewhere in the image.

    Pixels farther than `MARGIN` from the mask are returned unchanged.
    """
    hole = dilate(mask, MARGIN) > 0
    ring = (dilate(mask, MARGIN + RING) > 0) & ~hole
    patch = _best_patch(image, hole, ring, rng)
    known = image.astype(np.float32)
    offset = _membrane(known - patch, hole, ring)
    filled = known.copy()
    filled[hole] = (patch + offset)[hole]
    return np.clip(np.rint(filled), 0, 255).astype(np.uint8)


def _best_patch(
    image: UInt8, hole: NDArray[np.bool_], ring: NDArray[np.bool_], rng: np.random.Generator
) -> NDArray[np.float32]:
    """The image shifted so that the ring's pixels agree best and the hole meets no hole."""
    height, width = hole.shape
    rows, columns = np.nonzero(hole | ring)
    if len(rows) == 0 or hole.all():
        return image.astype(np.float32)
    best, best_score = np.roll(image, (height // 2, width // 2), axis=(0, 1)), np.inf
    ring_at = np.nonzero(ring)
    hole_at = np.nonzero(hole)
    low = np.array([-rows.min(), -columns.min()])
    high = np.array([height - 1 - rows.max(), width - 1 - columns.max()])
    wanted = image[ring_at].astype(np.float32)
    for dy, dx in rng.integers(low, high + 1, size=(CANDIDATES, 2)):
        covered = hole[hole_at[0] + dy, hole_at[1] + dx].mean()
        if covered == 1.0:
            continue
        seen = image[ring_at[0] + dy, ring_at[1] + dx].astype(np.float32)
        difference = seen - wanted
        # Texture and structure must agree; a constant difference is what the membrane removes.
        score = float(difference.std() + 0.25 * np.abs(difference.mean()) + 255 * covered)
        if score < best_score:
            best_score = score
            best = np.roll(image, (-int(dy), -int(dx)), axis=(0, 1))
    return best.astype(np.float32)


def _membrane(
    difference: NDArray[np.float32], hole: NDArray[np.bool_], ring: NDArray[np.bool_]
) -> NDArray[np.float32]:
    """The ring's difference spread smoothly over the hole.

    A normalised blur at doubling widths: near the border the narrow ones decide, in the middle the
    wide ones, which approximates the membrane (Laplace) solution of Pérez et al. 2003.
    """
    weight = ring.astype(np.float32)
    spread = np.zeros_like(difference)
    unknown = hole.copy()
    radius = 2
    while unknown.any():
        mass = _blur(weight, radius)
        reached = unknown & (mass > 1e-3)
        for channel in range(difference.shape[2]):
            blurred = _blur(difference[..., channel] * weight, radius)
            spread[..., channel][reached] = blurred[reached] / mass[reached]
        unknown &= ~reached
        radius *= 2
        if radius > 2 * max(hole.shape):
            break
    return spread


def _blur(array: NDArray[Any], radius: int) -> NDArray[np.float32]:
    """Two box passes in each direction, which come close to a Gaussian."""
    blurred = array.astype(np.float64)
    for axis in (0, 1, 0, 1):
        padding = [(radius + 1, radius) if a == axis else (0, 0) for a in (0, 1)]
        sums = np.cumsum(np.pad(blurred, padding, "edge"), axis=axis)
        length = blurred.shape[axis]
        upper = np.take(sums, np.arange(2 * radius + 1, 2 * radius + 1 + length), axis=axis)
        lower = np.take(sums, np.arange(length), axis=axis)
        blurred = (upper - lower) / (2 * radius + 1)
    return blurred.astype(np.float32)
