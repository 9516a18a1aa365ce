"""Where the defect goes and what shape it has: a full-size mask for a request on an image.

Every function here is deterministic in its generator, tries a bounded number of times, and either
returns a mask that is not empty and lies on the part, or says why it cannot.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from aliaug_edge.crops import CONTEXT, mask_box, resize_mask
from aliaug_edge.data.procedural import defect_shape
from aliaug_edge.errors import DataError
from aliaug_edge.generation.bending import bent, drawn_bend
from aliaug_edge.mask_bank import MaskShape

SCALES = (0.7, 1.4)  # of a training mask that keeps its own size
INSIDE_PART = 0.98  # of the mask's pixels; a defect may overhang the estimated outline a little
PLACES_PER_SHAPE = 40
SHRINKINGS = 8
SHRINK = 0.8
AREA_TOLERANCE = 0.1  # of the wanted area, relative; pixels and thin lines do not scale exactly
AREA_STEPS = 6
SHAPE_AREA = (0.002, 0.02)  # of the image, for drawn shapes when no range is asked for
TURN_THRESHOLD = 96  # a thin line, blurred by the turn, keeps its width at about 3/8 coverage

UInt8 = NDArray[np.uint8]
Bools = NDArray[np.bool_]


class PlacementError(DataError):
    """The mask finds no place; another seed may."""


@dataclass(frozen=True)
class Placed:
    """A mask (H, W) uint8 of 0 and 255 at its place, and where its shape came from."""

    mask: UInt8
    mask_source: str


def from_bank(
    bank: Sequence[MaskShape],
    defect_class: str,
    part: Bools,
    area: tuple[float, float] | None,
    rng: np.random.Generator,
) -> Placed:
    """A training mask of the class: picked, mirrored, turned, scaled, bent and moved onto `part`
    (H, W).

    A shape that its photo's border had cut is mirrored instead of turned, and meets that border
    again.

    Raises:
        PlacementError: no place found within the bounded tries.
    """
    entry = int(rng.integers(len(bank)))
    chosen = _mirrored(bank[entry], rng)
    shape, scale = chosen.pixels, float(rng.uniform(*SCALES))
    if not chosen.borders:
        shape = _turned(shape if area else _scaled(shape, scale), float(rng.uniform(0, 360)))
    elif area is None:
        shape = _scaled(shape, scale)
    shape = _bent(shape, chosen.borders, rng)
    if area is not None:
        shape = _with_area(shape, _drawn_area(area, rng) * part.size)
    mask = _on_part(shape, part, area, rng, chosen.borders)
    return Placed(mask, f"bank:{defect_class}/{entry}")


def from_shape(
    defect_class: str,
    part: Bools,
    area: tuple[float, float] | None,
    rng: np.random.Generator,
    window_hw: tuple[int, int] | None = None,
) -> Placed:
    """A shape drawn for the class by its name, moved onto `part` (H, W).

    Without an `area` to obey it is kept small enough to be seen, with context, in the model's
    largest window `window_hw` at full resolution: a long crack would be drawn scaled up otherwise.

    Raises:
        PlacementError: no place found within the bounded tries.
    """
    wanted = _drawn_area(area or SHAPE_AREA, rng)
    height, width = part.shape
    drawn = defect_shape(rng, height, width, defect_class, wanted)
    if not drawn.any():
        raise PlacementError(
            f"no shape could be drawn for class {defect_class!r} at area {wanted:.4g}"
        )
    shape = _tight(np.where(drawn, 255, 0).astype(np.uint8))
    if area is not None:
        shape = _with_area(shape, wanted * part.size)
    elif window_hw is not None:
        room = min(window_hw[0] / shape.shape[0], window_hw[1] / shape.shape[1]) / CONTEXT
        shape = _scaled(shape, room) if room < 1 else shape
    return Placed(_on_part(shape, part, area, rng), f"shape:{defect_class}")


def check_mask(name: str, mask: UInt8, image_hw: tuple[int, int]) -> UInt8:
    """`mask` (H, W) from a file, when it can be used on an image of `image_hw`.

    Raises:
        DataError: another size, empty, or full.
    """
    if mask.shape != image_hw:
        raise DataError(
            f"mask {name} is {mask.shape[1]} x {mask.shape[0]} px, its image is "
            f"{image_hw[1]} x {image_hw[0]} px; they must be equal"
        )
    if not mask.any():
        raise DataError(f"mask {name} is empty: no pixel above 127; paint where the defect goes")
    if mask.all():
        raise DataError(f"mask {name} is full: every pixel is marked; paint only the defect")
    return mask


def _mirrored(shape: MaskShape, rng: np.random.Generator) -> MaskShape:
    """`shape`, upside down or not, left to right or not, with the borders that it then touches."""
    pixels, borders = shape.pixels, shape.borders
    if rng.random() < 0.5:
        pixels, borders = pixels[::-1], borders.translate(str.maketrans("tb", "bt"))
    if rng.random() < 0.5:
        pixels, borders = pixels[:, ::-1], borders.translate(str.maketrans("lr", "rl"))
    return MaskShape(pixels, borders)


def _bent(shape: UInt8, borders: str, rng: np.random.Generator) -> UInt8:
    """Never empty: what vanishes stays as it was."""
    moved = bent(shape, drawn_bend(rng), borders)
    return _tight(moved) if moved.any() else shape


def _on_part(
    shape: UInt8,
    part: Bools,
    area: tuple[float, float] | None,
    rng: np.random.Generator,
    borders: str = "",
) -> UInt8:
    """`shape` at a random place of `part`, at `borders` of the image where it has any, shrunk when
    there is no room for it."""
    least = 0.0 if area is None else area[0] * (1 - AREA_TOLERANCE) * part.size
    for _ in range(SHRINKINGS):
        corner = corner_on_part(shape, part, borders, rng)
        if corner is not None:
            top, left = corner
            mask = np.zeros(part.shape, dtype=np.uint8)
            mask[top : top + shape.shape[0], left : left + shape.shape[1]] = shape
            return mask
        shape = _scaled(shape, SHRINK)
        if np.count_nonzero(shape) < least:
            break
    raise PlacementError(
        f"no place on the part for a mask of {np.count_nonzero(shape) / part.size:.4f} of the "
        "image; ask for a smaller --area"
    )


def corner_on_part(
    shape: UInt8, part: Bools, borders: str, rng: np.random.Generator
) -> tuple[int, int] | None:
    """Top and left at which `shape` (h, w) lies on `part` (H, W), at the `borders` of the image
    where it has any; None when no place is found within `PLACES_PER_SHAPE` tries."""
    height, width = shape.shape
    room = (part.shape[0] - height, part.shape[1] - width)
    if min(room) < 0:
        return None
    for _ in range(PLACES_PER_SHAPE):
        top, left = _corner(room[0], borders, "tb", rng), _corner(room[1], borders, "lr", rng)
        if part[top : top + height, left : left + width][shape > 0].mean() >= INSIDE_PART:
            return top, left
    return None


def _corner(free: int, borders: str, ends: str, rng: np.random.Generator) -> int:
    """An offset of 0 … `free`: at the end that `borders` names, else anywhere."""
    if ends[0] in borders:
        return 0
    return free if ends[1] in borders else int(rng.integers(free + 1))


def _drawn_area(area: tuple[float, float], rng: np.random.Generator) -> float:
    """Log-uniform: small defects are as frequent as large ones, per octave."""
    return float(np.exp(rng.uniform(np.log(area[0]), np.log(area[1]))))


def _with_area(shape: UInt8, pixels: float) -> UInt8:
    """`shape` scaled until its area is `pixels`, always from the original so nothing erodes."""
    factor, scaled = 1.0, shape
    for _ in range(AREA_STEPS):
        ratio = max(pixels, 1.0) / np.count_nonzero(scaled)
        if abs(ratio - 1) <= AREA_TOLERANCE / 2:
            break
        factor *= float(np.sqrt(ratio))
        scaled = _scaled(shape, factor)
    return scaled


def _scaled(shape: UInt8, factor: float) -> UInt8:
    """Never empty: what vanishes becomes a single pixel."""
    size_hw = (max(1, round(shape.shape[0] * factor)), max(1, round(shape.shape[1] * factor)))
    scaled = resize_mask(np.ascontiguousarray(shape), size_hw)
    return _tight(scaled) if scaled.any() else np.full((1, 1), 255, dtype=np.uint8)


def _turned(shape: UInt8, degrees: float) -> UInt8:
    turned = np.asarray(
        Image.fromarray(np.ascontiguousarray(shape)).rotate(
            degrees, Image.Resampling.BILINEAR, expand=True
        )
    )
    kept = np.where(turned >= TURN_THRESHOLD, 255, 0).astype(np.uint8)
    return _tight(kept) if kept.any() else shape


def _tight(mask: UInt8) -> UInt8:
    box = mask_box(mask)
    return mask[box.top : box.top + box.height, box.left : box.left + box.width]
