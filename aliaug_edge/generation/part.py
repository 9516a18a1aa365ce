"""Where the part is in a photo, so that defects land on it and not on the background.

A deliberately simple rule, for photos with a plain background on one or more sides: a side of the
border that is of one colour seeds a region of that colour, and the region is background when the
picture changes sharply at its edge. In every other case (close-ups, textured backgrounds, shading
that falls off towards a side, a part in the background's colour) the whole image is the part.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from aliaug_edge.generation.blend import grown

WORKING_SIDE = 128  # px; the outline need not be finer than this to keep masks on the part
SIDE_AGREEMENT = 0.9  # this share of a side must have its median colour for it to be background
TOLERANCE = 14.0  # grey levels around that colour: above sensor noise, below a part's edge
EDGE_RING_PX = (1, 4)  # where the step at the background's edge is looked for, in working pixels
EDGE_SHARP = 0.8  # of the edge: print and holes on a plain part are sharp too, but not all around
EDGE_STEP = 30.0  # grey levels: shading reaches little more than TOLERANCE there
BACKGROUND_SHARE = (0.01, 0.9)  # outside of this, background or part would be an accident

Bools = NDArray[np.bool_]


def part_mask(image: NDArray[np.uint8]) -> Bools:
    """Pixels of `image` (H, W, 3) uint8 that belong to the part, (H, W) bool; all when unsure.

    Holes in the part whose colour is the background's still count as part: they do not reach
    the border.
    """
    height, width = image.shape[:2]
    scale = min(1.0, WORKING_SIDE / max(height, width))
    small_wh = (max(1, round(width * scale)), max(1, round(height * scale)))
    small = np.asarray(Image.fromarray(image).resize(small_wh, Image.Resampling.BOX))
    background = _background(small.astype(np.float32))
    if background is None:
        return np.ones((height, width), dtype=np.bool_)
    part = Image.fromarray(np.where(background, 0, 255).astype(np.uint8))
    return np.asarray(part.resize((width, height), Image.Resampling.NEAREST)) > 127


def _background(image: NDArray[np.float32]) -> Bools | None:
    """Background pixels of `image` (h, w, 3), or None when there are none to be sure of."""
    background = np.zeros(image.shape[:2], dtype=np.bool_)
    for side in (np.s_[:1], np.s_[-1:], np.s_[:, :1], np.s_[:, -1:]):
        seeds = np.zeros_like(background)
        seeds[side] = True
        distance = _largest(np.abs(image - np.median(image[seeds], axis=0)))
        close = distance <= TOLERANCE
        if close[seeds].mean() < SIDE_AGREEMENT or background[close & seeds].all():
            continue
        region = connected(close, close & seeds)
        inner, outer = (grown(region, radius) for radius in EDGE_RING_PX)
        ring = distance[outer & ~inner]
        if ring.size and np.quantile(ring, 1 - EDGE_SHARP) >= EDGE_STEP:
            background |= region
    if BACKGROUND_SHARE[0] <= background.mean() <= BACKGROUND_SHARE[1]:
        return background
    return None


def _largest(values: NDArray[np.float32]) -> NDArray[np.float32]:
    """Maximum over the last axis of (h, w, 3); numpy's own is slow on an axis of three."""
    return np.maximum(np.maximum(values[..., 0], values[..., 1]), values[..., 2])


def connected(free: Bools, seeds: Bools) -> Bools:
    """Pixels of `free` (H, W) that 4-connected steps inside `free` reach from `seeds`."""
    reached = free & seeds
    while True:
        grown = _along_rows(free, reached)
        grown = _along_rows(free.T, grown.T).T
        if np.array_equal(grown, reached):
            return reached
        reached = grown


def _along_rows(free: Bools, reached: Bools) -> Bools:
    """Whole horizontal runs of `free` that hold a reached pixel."""
    starts = free.copy()
    starts[:, 1:] &= ~free[:, :-1]
    run = np.cumsum(starts.ravel()) * free.ravel()  # 0 outside of runs
    hit = np.zeros(int(run.max()) + 1, dtype=np.bool_)
    hit[run[reached.ravel()]] = True
    hit[0] = False
    spread: Bools = hit[run].reshape(free.shape)
    return spread
