"""The same part without its defect: the hole filled from the part's own texture.

A paired sample needs the good counterpart of a defective photo. Diffusion inpainting (Telea,
Navier-Stokes) leaves a smooth spot, and a generator trained on smooth spots learns to look for them
instead of drawing on texture. So the hole is filled with a patch of the same photo, shifted so that
its surroundings agree, and its remaining step at the border is spread smoothly over the hole.

Only the surroundings of the hole are worked on, so time and memory follow the hole, not the photo.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

UInt8 = NDArray[np.uint8]
Floats = NDArray[np.float32]
Bools = NDArray[np.bool_]
Shift = tuple[int, int]
MARGIN = 3  # pixels around the mask that still show the defect's halo
RING = 6  # width in pixels of the surroundings that must agree
CANDIDATES = 200  # shifts that are compared
PROBES = 8192  # pixels of a hole that are looked up per shift; more say nothing new
MOST_COVERED = 0.25  # share of a patch that may itself come from under a mask
NEAR = 2.0  # grey levels in mean and spread that nobody sees


class Filled(NamedTuple):
    """`image` (H, W, 3) uint8; `sound` where the hole now looks like its surroundings."""

    image: UInt8
    sound: bool


def dilate(mask: UInt8, pixels: int) -> UInt8:
    """`mask` (H, W) of 0 and 255, grown by `pixels` in every direction (square neighbourhood)."""
    if pixels == 0 or not mask.any():
        return mask
    box = _box(mask > 0, pixels)
    tight = mask[box] > 0
    for axis in (0, 1):
        before = np.moveaxis(tight, axis, 0)
        after = before.copy()
        for step in range(1, min(pixels, len(before) - 1) + 1):
            after[step:] |= before[:-step]
            after[:-step] |= before[step:]
        tight = np.moveaxis(after, 0, axis)
    grown = np.zeros_like(mask)
    grown[box] = np.where(tight, 255, 0)
    return grown


def inpaint(image: UInt8, mask: UInt8, rng: np.random.Generator) -> Filled:
    """`image` (H, W, 3) with the masked part replaced by texture from elsewhere in the image.

    Pixels farther than `MARGIN` from the mask are returned unchanged. The result is not sound where
    the photo shows too little surface to borrow from, or where the hole ends up no nearer to its
    surroundings than the defect was, and outside their own variation.
    """
    if not mask.any():
        return Filled(image, True)
    hole = dilate(mask, MARGIN) > 0
    ring = (dilate(mask, MARGIN + RING) > 0) & ~hole
    shift, covered = _best_shift(image, hole, ring, rng)
    box = _box(hole | ring, 1)  # the pixel around it is outside the ring: blurs end in nothing
    patch = _shifted(image, box, shift)
    inside, around = hole[box], ring[box]
    before = image[box].astype(np.float32)
    after = before.copy()
    after[inside] = (patch + _membrane(before - patch, inside, around))[inside]
    filled = image.copy()
    filled[box] = np.clip(np.rint(after), 0, 255).astype(np.uint8)
    was, now = (_distance(pixels, mask[box] > 0, around) for pixels in (before, after))
    usual = max(NEAR, float(before[around].std(axis=0).mean())) if around.any() else NEAR
    return Filled(filled, covered <= MOST_COVERED and (now < was or now <= usual))


def _box(marked: Bools, margin: int) -> tuple[slice, slice]:
    """The tight box of `marked`, which is not empty, grown by `margin` within the image."""
    rows, columns = np.flatnonzero(marked.any(axis=1)), np.flatnonzero(marked.any(axis=0))
    return (
        slice(max(0, int(rows[0]) - margin), int(rows[-1]) + 1 + margin),
        slice(max(0, int(columns[0]) - margin), int(columns[-1]) + 1 + margin),
    )


def _best_shift(
    image: UInt8, hole: Bools, ring: Bools, rng: np.random.Generator
) -> tuple[Shift, float]:
    """Where to borrow from, so that the ring's pixels agree best and the hole meets no hole, and
    the share of the borrowed pixels that lie under the hole all the same."""
    height, width = hole.shape
    best, best_score, least = (height // 2, width // 2), np.inf, 1.0
    if hole.all():
        return best, least
    rows, columns = np.nonzero(hole | ring)
    low = np.array([-rows.min(), -columns.min()])
    high = np.array([height - 1 - rows.max(), width - 1 - columns.max()])
    ring_at, hole_at = np.nonzero(ring), np.nonzero(hole)
    probes = tuple(at[:: 1 + len(at) // PROBES] for at in hole_at)
    wanted = image[ring_at].astype(np.float32)
    for dy, dx in rng.integers(low, high + 1, size=(CANDIDATES, 2)).tolist():
        covered = float(hole[probes[0] + dy, probes[1] + dx].mean())
        if covered == 1.0:
            continue
        seen = image[ring_at[0] + dy, ring_at[1] + dx].astype(np.float32)
        difference = seen - wanted
        # Texture and structure must agree; a constant difference is what the membrane removes.
        score = float(difference.std() + 0.25 * np.abs(difference.mean()) + 255 * covered)
        if score < best_score:
            best, best_score, least = (dy, dx), score, covered
    return best, least


def _shifted(image: UInt8, box: tuple[slice, slice], shift: Shift) -> Floats:
    """What lies `shift` away from `box`, around the image's borders where it must."""
    places = [
        np.arange(side.start, min(side.stop, length)) + step
        for side, length, step in zip(box, image.shape[:2], shift, strict=True)
    ]
    rows, columns = (at % length for at, length in zip(places, image.shape[:2], strict=True))
    return image[np.ix_(rows, columns)].astype(np.float32)


def _distance(pixels: Floats, inside: Bools, around: Bools) -> float:
    """Grey levels between the pixels inside and around, in mean and in spread."""
    if not around.any():
        return float("inf")
    ours, theirs = pixels[inside], pixels[around]
    means = np.abs(ours.mean(axis=0) - theirs.mean(axis=0)).mean()
    return float(means + np.abs(ours.std(axis=0) - theirs.std(axis=0)).mean())


def _membrane(difference: Floats, hole: Bools, ring: Bools) -> Floats:
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


def _blur(array: NDArray[Any], radius: int) -> Floats:
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
