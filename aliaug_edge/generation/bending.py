"""Another defect of the same kind: a mask stretched along one axis and bent by a smooth field.

A handful of training masks, mirrored, turned and scaled, is still a handful of outlines, and a
detector learns them by heart. Bent ones keep the class's character (a crack stays a line, a hole a
blob) and never come twice. Their outlines are smooth: the stairs of a mask that was painted by
hand, and then turned, scaled and bent, would be drawn as the defect's own edge.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter

from aliaug_edge.crops import Window

KNOTS = 4  # of the field, along the longer side
AMPLITUDE = 0.1  # of `_size`: the farthest that a knot moves, either way
ASPECT = 1.3  # at most so much longer one way and shorter the other
SUBPIXELS = (-0.25, 0.25)  # a mask is read at four points per pixel, so that thin lines survive
CALM = 0.25  # of the longer side: from an anchored border on the field grows over so much
BLUR = (1, 4, 6, 4, 1)  # a standard deviation of one pixel, in whole numbers: exact everywhere

UInt8 = NDArray[np.uint8]
Floats = NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Bend:
    """`aspect` times taller and as much narrower; `knots` (2, KNOTS, KNOTS) float32 move what lies
    there down and right, in shares of the shape's size."""

    aspect: float
    knots: Floats


def drawn_bend(rng: np.random.Generator) -> Bend:
    """A random one."""
    aspect = float(np.exp(rng.uniform(-1, 1) * math.log(ASPECT)))
    knots = rng.uniform(-AMPLITUDE, AMPLITUDE, (2, KNOTS, KNOTS)).astype(np.float32)
    return Bend(aspect, knots)


def reach_px(height: int, width: int) -> int:
    """How far a shape of this box may grow beyond it when it is bent, in pixels."""
    return math.ceil(max(height, width) * (AMPLITUDE + (ASPECT - 1) / 2))


def bent(shape: UInt8, bend: Bend, borders: str = "") -> UInt8:
    """A tight mask (h, w) of 0 and 255, bent, with `reach_px` more on every side.

    What touches one of `borders` (any of t, b, l, r) of the tight mask stays there: a defect cut by
    the photo's edge.
    """
    reach = reach_px(*shape.shape)
    mask, box = np.pad(shape, reach), Window(reach, reach, *shape.shape)
    rows, cols = _origins(mask, box, bend, borders)
    points = [(rows + down, cols + right) for down in SUBPIXELS for right in SUBPIXELS]
    covered = np.max([_sampled(mask, *point) for point in points], axis=0)
    mask = np.zeros_like(mask)
    inside = _inside(mask.shape, reach, borders)
    mask[inside] = _smoothed(covered[inside] > 127)
    return mask


def _inside(shape_hw: tuple[int, ...], reach: int, borders: str) -> tuple[slice, slice]:
    """All but what lies beyond `borders`, where a defect that they cut goes on as it was."""
    height, width = shape_hw
    top, bottom, left, right = (reach if name in borders else 0 for name in "tblr")
    return slice(top, height - bottom), slice(left, width - right)


def _smoothed(covered: NDArray[np.bool_]) -> UInt8:
    """A mask of 0 and 255: what the blurred `covered` (h, w) fills by half, and, as they were, the
    lines that are too thin for that."""
    mask = np.where(covered, 255, 0).astype(np.uint8)
    thick = _grown(_shrunk(mask))
    beside = np.where(_grown(thick) > 0, 0, mask)  # a stair of one pixel is no line
    thin = np.minimum(mask, _grown(beside))
    return np.maximum(np.where(_blurred(covered) >= sum(BLUR) ** 2 / 2, 255, 0), thin)


def _blurred(covered: NDArray[np.bool_]) -> NDArray[np.int32]:
    """`covered` (h, w) weighted by `BLUR` along both axes; at an end the end is repeated."""
    soft = covered.astype(np.int32)
    for axis in (0, 1):
        ends = [(2, 2) if axis == which else (0, 0) for which in (0, 1)]
        padded = np.moveaxis(np.pad(soft, ends, mode="edge"), axis, 0)
        length = soft.shape[axis]
        summed = sum(weight * padded[k : k + length] for k, weight in enumerate(BLUR))
        soft = np.moveaxis(np.asarray(summed), 0, axis)
    return soft


def _grown(mask: UInt8) -> UInt8:
    return np.asarray(Image.fromarray(mask).filter(ImageFilter.MaxFilter(3)))


def _shrunk(mask: UInt8) -> UInt8:
    return np.asarray(Image.fromarray(mask).filter(ImageFilter.MinFilter(3)))


def _origins(mask: UInt8, box: Window, bend: Bend, borders: str) -> tuple[Floats, Floats]:
    """Where the pixel that comes to (y, x) lies now: rows and columns (h, w) float32."""
    height, width = mask.shape
    side, size = max(box.height, box.width), np.float32(_size(mask, box))
    ends_y, ends_x = (box.top, box.top + box.height - 1), (box.left, box.left + box.width - 1)
    rows, cols = np.arange(height, dtype=np.float32), np.arange(width, dtype=np.float32)
    down, right = (_field(knots, height, width, box) * size for knots in bend.knots)
    down *= _calm(rows, ends_y, "tb", borders, side)[:, None]
    right *= _calm(cols, ends_x, "lr", borders, side)[None, :]
    stretched_y = _stretched(rows, ends_y, "tb", borders, bend.aspect)[:, None]
    stretched_x = _stretched(cols, ends_x, "lr", borders, 1 / bend.aspect)[None, :]
    return stretched_y - down, stretched_x - right


def _size(mask: UInt8, box: Window) -> float:
    """Between the longer side and the root of the area: a blob is about as large as its box, and a
    long scratch stays nearly straight."""
    return math.sqrt(max(box.height, box.width) * math.sqrt(np.count_nonzero(mask)))


def _field(knots: Floats, height: int, width: int, box: Window) -> Floats:
    """One component of the field (h, w): the knots span a square around the box's middle, and what
    lies beyond it moves as its edge does."""
    side = max(box.height, box.width, 2)
    image = Image.fromarray(knots).resize((side, side), Image.Resampling.BICUBIC)
    top, left = box.top + (box.height - side) // 2, box.left + (box.width - side) // 2
    rows = np.clip(np.arange(height) - top, 0, side - 1)
    cols = np.clip(np.arange(width) - left, 0, side - 1)
    return np.asarray(image)[rows[:, None], cols]


def _calm(at: Floats, ends: tuple[int, int], names: str, borders: str, side: int) -> Floats:
    """A factor per row (or column), 0 at and beyond an anchored end and 1 far inside."""
    factor = np.ones_like(at)
    for inside, name in zip((at - ends[0], ends[1] - at), names, strict=True):
        if name in borders:
            factor *= np.clip(inside / (CALM * side), 0, 1)
    return factor


def _stretched(
    at: Floats, ends: tuple[int, int], names: str, borders: str, factor: float
) -> Floats:
    """Rows (or columns) `factor` times as far from the middle, or from the anchored end; between
    two anchored ends there is no room to stretch."""
    anchored = [end for end, name in zip(ends, names, strict=True) if name in borders]
    if len(anchored) == 2:
        return at
    middle = np.float32(anchored[0] if anchored else sum(ends) / 2)
    return middle + (at - middle) / np.float32(factor)


def _sampled(mask: UInt8, rows: Floats, cols: Floats) -> Floats:
    """`mask` read at `rows` and `cols` (h, w), bilinear; beyond its edge the edge is repeated."""
    height, width = mask.shape
    rows, cols = np.clip(rows, 0, height - 1), np.clip(cols, 0, width - 1)
    top, left = np.floor(rows).astype(np.intp), np.floor(cols).astype(np.intp)
    bottom, right = np.minimum(top + 1, height - 1), np.minimum(left + 1, width - 1)
    down, over = rows - top, cols - left
    upper = mask[top, left] * (1 - over) + mask[top, right] * over
    lower = mask[bottom, left] * (1 - over) + mask[bottom, right] * over
    mixed: Floats = (upper * (1 - down) + lower * down).astype(np.float32)
    return mixed
