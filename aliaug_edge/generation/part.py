"""Where the part is in a photo, so that defects land on it and not on the background.

A deliberately simple rule, for photos with a plain background: take the border's colour, and call
background whatever is connected to the border and close to that colour. It is believed only where
the border really is plain and the rest really differs; in every other case (close-ups, textured
backgrounds, a part that touches most of the border, a vignette) the whole image is the part.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PIL import Image

WORKING_SIDE = 192  # px; the outline need not be finer than this to keep masks on the part
BORDER_AGREEMENT = (
    0.7  # this share of the border must be background: one edge may be cut by the part
)
TOLERANCE = 14.0  # grey levels around the border's median; above sensor noise, below a part's edge
CLEAR_DIFFERENCE = 35.0  # grey levels between background and the median of the rest
BACKGROUND_SHARE = (0.03, 0.9)  # outside of this, background or part would be an accident

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
    border = np.zeros(image.shape[:2], dtype=np.bool_)
    border[[0, -1], :] = True
    border[:, [0, -1]] = True
    colour = np.median(image[border], axis=0)
    apart = np.abs(image - colour)
    distance = np.maximum(np.maximum(apart[..., 0], apart[..., 1]), apart[..., 2])
    close = distance <= TOLERANCE
    if close[border].mean() < BORDER_AGREEMENT:
        return None
    background = connected(close, close & border)
    if not BACKGROUND_SHARE[0] <= background.mean() <= BACKGROUND_SHARE[1]:
        return None
    if np.median(distance[~background]) < CLEAR_DIFFERENCE:
        return None
    return background


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
