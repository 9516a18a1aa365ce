"""The crop around a mask: cut out, worked on at the model's size, put back.

Training and generation cut with the same rule, so the model meets at the line what it learned from.
A window may reach beyond the image; what lies there is the image's reflection, and is not put back.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from aliaug_edge.shrinking import shrunk

CONTEXT = 1.5  # a window's side is at least this many times the longer side of the mask's box

UInt8 = NDArray[np.uint8]


@dataclass(frozen=True)
class Window:
    """A rectangle in image pixels, which may reach beyond the image."""

    top: int
    left: int
    height: int
    width: int


def mask_box(mask: UInt8) -> Window:
    """The tight box of the non-zero pixels of `mask` (H, W).

    Raises:
        ValueError: the mask is empty.
    """
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    if rows.size == 0:
        raise ValueError("the mask is empty")
    top, left = int(rows[0]), int(columns[0])
    return Window(top, left, int(rows[-1]) + 1 - top, int(columns[-1]) + 1 - left)


def size_for(box: Window, sizes: Sequence[tuple[int, int]]) -> tuple[int, int]:
    """The smallest of the model's (height, width) sizes that shows `box` with context at full
    resolution; the largest one if none does (its window is then scaled down)."""
    ordered = sorted(sizes, key=lambda hw: (hw[0] * hw[1], hw))
    for height, width in ordered:
        if box.height * CONTEXT <= height and box.width * CONTEXT <= width:
            return height, width
    return ordered[-1]


def window_around(
    box: Window,
    image_hw: tuple[int, int],
    size_hw: tuple[int, int],
    shift: tuple[float, float] = (0.5, 0.5),
) -> Window:
    """The window around `box` for a model of `size_hw`: never smaller than `size_hw`, its aspect.

    `shift` in [0, 1]² places the box within the window's free room (0.5 = centred). The window is
    then moved inside the image as far as it fits.
    """
    scale = max(1.0, box.height * CONTEXT / size_hw[0], box.width * CONTEXT / size_hw[1])
    height, width = round(size_hw[0] * scale), round(size_hw[1] * scale)
    top = box.top - round((height - box.height) * shift[0])
    left = box.left - round((width - box.width) * shift[1])
    return Window(
        _moved_inside(top, height, image_hw[0]),
        _moved_inside(left, width, image_hw[1]),
        height,
        width,
    )


def cut(array: NDArray[Any], window: Window) -> NDArray[Any]:
    """`array` (H, W[, C]) under `window`; beyond the border the image is reflected."""
    rows = _reflected(window.top, window.height, array.shape[0])
    columns = _reflected(window.left, window.width, array.shape[1])
    return array[np.ix_(rows, columns)]


def put(array: NDArray[Any], window: Window, patch: NDArray[Any]) -> None:
    """Write `patch` into `array` in place, where `window` lies inside it."""
    seen = inside(window, array.shape)
    top, left = seen.top - window.top, seen.left - window.left
    array[seen.top : seen.top + seen.height, seen.left : seen.left + seen.width] = patch[
        top : top + seen.height, left : left + seen.width
    ]


def inside(window: Window, image_hw: Sequence[int]) -> Window:
    """The part of `window` that lies in an image of (height, width, …): no reflection in it."""
    top, left = max(window.top, 0), max(window.left, 0)
    bottom = min(window.top + window.height, image_hw[0])
    right = min(window.left + window.width, image_hw[1])
    return Window(top, left, bottom - top, right - left)


def seen(window: Window, image_hw: Sequence[int], size_hw: Sequence[int]) -> tuple[slice, slice]:
    """The rows and columns of `window`, cut at `size_hw`, that are not, or not only, the image's
    reflection: what is made beyond the border is never put back, so it is not judged either."""
    return (
        _overlap(window.top, window.height, image_hw[0], size_hw[0]),
        _overlap(window.left, window.width, image_hw[1], size_hw[1]),
    )


def resize(image: UInt8, size_hw: tuple[int, int]) -> UInt8:
    """`image` (H, W[, 3]) uint8 at another size: area-averaged when shrunk, bicubic when grown."""
    if image.shape[:2] == size_hw:
        return image
    shrinks = size_hw[0] * size_hw[1] < image.shape[0] * image.shape[1]
    method = Image.Resampling.BOX if shrinks else Image.Resampling.BICUBIC
    return np.asarray(Image.fromarray(image).resize((size_hw[1], size_hw[0]), method))


def resize_mask(mask: UInt8, size_hw: tuple[int, int]) -> UInt8:
    """`mask` (H, W) of 0 and 255 at another size; shrinking keeps its thin parts (`shrunk`)."""
    if mask.shape == size_hw:
        return mask
    if size_hw[0] <= mask.shape[0] and size_hw[1] <= mask.shape[1]:
        return shrunk(mask, size_hw)
    return np.where(resize(mask, size_hw) >= 64, 255, 0).astype(np.uint8)


def _moved_inside(start: int, length: int, limit: int) -> int:
    if length >= limit:
        return (limit - length) // 2
    return min(max(start, 0), limit - length)


def _overlap(start: int, length: int, limit: int, cells: int) -> slice:
    """Of `cells` cells over `start … start+length`, those that meet `0 … limit`."""
    first, last = max(-start, 0), min(limit - start, length)
    return slice(first * cells // length, -(-last * cells // length))


def _reflected(start: int, length: int, limit: int) -> NDArray[np.intp]:
    """Indices `start … start+length-1`, folded back into 0 … limit-1 at the borders."""
    if limit == 1:
        return np.zeros(length, dtype=np.intp)
    period = 2 * (limit - 1)
    folded = np.arange(start, start + length, dtype=np.intp) % period
    return np.minimum(folded, period - folded)
