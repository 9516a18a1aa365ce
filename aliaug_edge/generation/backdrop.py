"""What lies behind the part in a photo, by one of two rules, and which of them a line bears out.

`plain`: a side of the border that is of one colour seeds a region of that colour. `uneven`: that,
or any even region at the border, however its light falls off. Either is background when the picture
changes sharply at its edge. To the second rule print on an even surface looks like a part on a
backdrop, so it is used only where real defects, which lie on parts, bear it out.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Iterator

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter

from aliaug_edge.bundle import BACKDROPS
from aliaug_edge.components import components
from aliaug_edge.generation.blend import box_sum, grown

SHARE = (0.01, 0.9)  # of the photo; outside of it background or part would be an accident
EDGE_SHARP = 0.8  # of the edge: print and holes on a plain part are sharp too, but not all around

SIDE_AGREEMENT = 0.9  # this share of a side must have its median colour for it to be background
TOLERANCE = 14.0  # grey levels around that colour: above sensor noise, below a part's edge
PLAIN_RING_PX = (1, 4)  # where the step at the background's edge is looked for, in working pixels
PLAIN_STEP = 30.0  # grey levels: shading reaches little more than TOLERANCE there

EVEN = 8  # grey levels between neighbours, after a median: above sensor noise and falling light
LEAST_AT_BORDER = 8  # working pixels of a region
NEAR_PX = 6  # the region's own colour is that of its pixels so near
UNEVEN_RING_PX = (1, 3)  # the first is where the median has widened the edge
UNEVEN_STEP = 16  # grey levels to the region's colour nearby: light falls off more slowly
IN_ONE_PIECE = 0.8  # of what is left: a part, and not the strokes of a print
SURROUNDING = 0.5  # of the border; with less, a region must also be darker and smoother:
DARKER, SMOOTHER = 0.8, 0.7  # than what is left, as a share of its median and of its mean step

ON_PART = 0.25  # of a defect and its surroundings; at a part's edge most of them may lie beside it
SURROUNDINGS_PX = 4
DOUBTS = 0.05  # of the photos may speak against a rule: masks are drawn by people
LEAST_PHOTOS = 5  # fewer cannot vouch for the bolder rule

Bools = NDArray[np.bool_]
UInt8 = NDArray[np.uint8]


def background(photo: Image.Image, rule: str) -> Bools | None:
    """Background pixels (h, w) of a small `photo` by one of `BACKDROPS`; None when there are none
    to be sure of."""
    if rule == "none":
        return None
    found = np.zeros((photo.height, photo.width), dtype=np.bool_)
    pixels = np.asarray(photo)
    regions = _uneven(photo) if rule == "uneven" else iter(())
    for region in (*_plain(pixels.astype(np.float32)), *regions):
        found |= region
    return found if SHARE[0] <= found.mean() <= SHARE[1] else None


def borne_out(mask: UInt8, part: Bools) -> bool:
    """Whether the defects of `mask` (H, W) lie on `part` (H, W), or at least at its edge."""
    around = grown(mask > 0, SURROUNDINGS_PX)
    return bool(part[around].mean() >= ON_PART)


def choose(borne: Iterable[Collection[str]]) -> str:
    """The boldest rule that a line's photos bear out; each of `borne` names the rules that keep one
    photo's defects on its part."""
    photos = list(borne)
    counts = Counter(rule for one in photos for rule in one)
    for rule in reversed(BACKDROPS):
        enough = len(photos) >= LEAST_PHOTOS or rule != "uneven"
        if enough and counts[rule] >= (1 - DOUBTS) * len(photos):
            return rule
    return "none"


def _plain(image: NDArray[np.float32]) -> Iterator[Bools]:
    """Regions of `image` (h, w, 3) that have the colour of a side."""
    done = np.zeros(image.shape[:2], dtype=np.bool_)
    for side in (np.s_[:1], np.s_[-1:], np.s_[:, :1], np.s_[:, -1:]):
        seeds = np.zeros_like(done)
        seeds[side] = True
        distance = np.abs(image - np.median(image[seeds], axis=0)).max(axis=2)
        close = distance <= TOLERANCE
        if close[seeds].mean() < SIDE_AGREEMENT or done[close & seeds].all():
            continue
        region = connected(close, close & seeds)
        inner, outer = (grown(region, radius) for radius in PLAIN_RING_PX)
        if _sharp(distance[outer & ~inner], PLAIN_STEP):
            done |= region
            yield region


def _uneven(photo: Image.Image) -> Iterator[Bools]:
    """Regions of `photo` that are even, reach the border and are not the part themselves."""
    image = np.asarray(photo.filter(ImageFilter.MedianFilter(3))).astype(np.int64)
    border = np.zeros(image.shape[:2], dtype=np.bool_)
    border[[0, -1]] = border[:, [0, -1]] = True
    even = _steps(image) <= EVEN
    for piece in components(connected(even, even & border).astype(np.uint8)):
        if piece.area < SHARE[0] * border.size:
            continue
        region = np.zeros_like(border)
        height, width = piece.pixels.shape
        region[piece.top : piece.top + height, piece.left : piece.left + width] = piece.pixels
        if np.count_nonzero(region & border) < LEAST_AT_BORDER:
            continue
        inner, outer = (grown(region, radius) for radius in UNEVEN_RING_PX)
        if (
            inner.mean() <= SHARE[1]
            and _sharp(_from_nearby(image, region)[outer & ~inner], UNEVEN_STEP)
            and _largest_share(~inner) >= IN_ONE_PIECE
            and (inner[border].mean() >= SURROUNDING or _stands_back(np.asarray(photo), inner))
        ):
            yield inner


def _sharp(steps: NDArray[np.floating], least: float) -> bool:
    """Whether enough of an edge's `steps` in grey levels are no shading."""
    return bool(steps.size and np.quantile(steps, 1 - EDGE_SHARP) >= least)


def _from_nearby(image: NDArray[np.int64], region: Bools) -> NDArray[np.float64]:
    """Grey levels (h, w) between each pixel of `image` (h, w, 3) and the mean of `region` nearby,
    the largest of its channels."""
    count = np.maximum(box_sum(region.astype(np.int64), NEAR_PX), 1)
    away = [
        np.abs(channel - box_sum(channel * region, NEAR_PX) / count)
        for channel in np.moveaxis(image, 2, 0)
    ]
    found: NDArray[np.float64] = np.maximum.reduce(away)
    return found


def _largest_share(rest: Bools) -> float:
    """Of the pixels of `rest`, the share that hangs together."""
    return max(piece.area for piece in components(rest.astype(np.uint8))) / int(rest.sum())


def _stands_back(pixels: UInt8, region: Bools) -> bool:
    """Whether `region` is darker and smoother than the rest of `pixels` (h, w, 3), as what lies
    out of the lamp's light and out of focus is."""
    light, steps = pixels.mean(axis=2), _steps(pixels.astype(np.int64))
    return bool(
        np.median(light[region]) <= DARKER * np.median(light[~region])
        and steps[region].mean() <= SMOOTHER * steps[~region].mean()
    )


def _steps(image: NDArray[np.int64]) -> NDArray[np.int64]:
    """The largest difference (h, w) of a channel between a pixel of `image` (h, w, 3) and those
    beside, above and below it."""
    found = np.zeros(image.shape[:2], dtype=np.int64)
    for axis in (0, 1):
        step = np.abs(np.diff(image, axis=axis)).max(axis=2)
        for part in (np.s_[1:], np.s_[:-1]):
            view = np.moveaxis(found, axis, 0)[part]
            np.maximum(view, np.moveaxis(step, axis, 0), out=view)
    return found


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
