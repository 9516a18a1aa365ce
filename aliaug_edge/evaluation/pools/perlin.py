"""Texture defects in the manner of DRAEM: Perlin noise says where, another texture says what.

V. Zavrtanik, M. Kristan, D. Skočaj: DRÆM - A discriminatively trained reconstruction embedding for
surface anomaly detection, ICCV 2021, section 3.1. As there: noise of 1 to 32 cells per axis, turned
at random and cut at half its height; three random augmentations of the texture; opacity drawn from
[0.2, 1]. Otherwise than there: textures come from our procedural materials and the other good
photos instead of the Describable Textures Dataset, and are drawn anew (a few times) where nobody
would see them; a mask lies on the part and takes `AREA` of the image, for which the cut is moved
where it would take more or less; and a grey photo stays grey.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence

import numpy as np
from PIL import Image, ImageEnhance, ImageOps

from aliaug_edge.crops import Window, cut
from aliaug_edge.data.procedural import MATERIALS, render_surface
from aliaug_edge.data.procedural.noise import grid
from aliaug_edge.evaluation.photos import Photo
from aliaug_edge.evaluation.pools.surroundings import (
    ANOMALY,
    Bools,
    Floats,
    UInt8,
    greyed,
    in_turn,
    require_goods,
)
from aliaug_edge.generation.request import stable_seed
from aliaug_edge.imaging import is_grey

AREA = (0.001, 0.1)  # of the image
CELLS_LOG2 = 5  # up to 2^5 noise cells along an axis
NOISE_CUT = 0.5
LEAST_OPACITY = 0.2
AUGMENTATIONS = 3
MATERIAL_SIDE = 256  # px of a rendered material; larger photos see it reflected
LEAST_CHANGE = 10.0  # mean grey levels under the mask; less is within a surface's own grain
TEXTURES_TRIED = 5
LEAST_CELL_PX = 8  # finer noise than this is specks, not regions

Augmentation = Callable[[Image.Image, np.random.Generator], Image.Image]


def perlin(goods: Sequence[Photo], count: int, seed: int) -> list[Photo]:
    """`count` good photos, each with regions of another texture; equal arguments, equal bytes.

    The mask takes between 0.1 % and 10 % of the image, all of it on the part (less where the part
    itself is smaller). Class "anomaly"; the group is the good photo's.

    Raises:
        DataError: there are no good photos.
    """
    require_goods(goods, "Perlin defects")
    surfaces = in_turn(goods, np.random.default_rng(stable_seed(seed, "perlin", "goods")))
    textures = _textures(goods, np.random.default_rng(stable_seed(seed, "perlin", "textures")))
    return [
        _defective(
            f"perlin/{index:06d}",
            next(surfaces),
            textures,
            np.random.default_rng(stable_seed(seed, "perlin", index)),
        )
        for index in range(count)
    ]


def perlin_noise(
    rng: np.random.Generator, image_hw: tuple[int, ...], cells_yx: tuple[int, int], angle: float
) -> Floats:
    """Gradient noise (H, W) float32 in [-1, 1] with `cells_yx` cells along the sides, its
    lattice turned by `angle` (radians) about the image's centre. K. Perlin, SIGGRAPH 1985."""
    height, width = image_hw
    y, x = grid(height, width, (height - 1) / 2, (width - 1) / 2)
    turned_y = y / height * math.cos(angle) + x / width * math.sin(angle)
    turned_x = x / width * math.cos(angle) - y / height * math.sin(angle)
    along_y: Floats = (turned_y - turned_y.min()) * np.float32(cells_yx[0])
    along_x: Floats = (turned_x - turned_x.min()) * np.float32(cells_yx[1])
    row, column = along_y.astype(np.intp), along_x.astype(np.intp)
    lattice = (int(row.max()) + 2, int(column.max()) + 2)
    direction = rng.random(lattice, np.float32) * np.float32(2 * np.pi)
    gradient_y, gradient_x = np.sin(direction), np.cos(direction)
    down, right = np.modf(along_y)[0], np.modf(along_x)[0]

    def ramp(below: int, beside: int) -> Floats:
        at = (row + below, column + beside)
        ramped: Floats = gradient_y[at] * (down - below) + gradient_x[at] * (right - beside)
        return ramped

    fade_y, fade_x = _fade(down), _fade(right)
    upper = ramp(0, 0) * (1 - fade_x) + ramp(0, 1) * fade_x
    lower = ramp(1, 0) * (1 - fade_x) + ramp(1, 1) * fade_x
    return np.asarray(math.sqrt(2) * (upper * (1 - fade_y) + lower * fade_y), np.float32)


def _fade(t: Floats) -> Floats:
    return t * t * t * (t * (t * 6 - 15) + 10)


def _defective(
    name: str, good: Photo, textures: Iterator[UInt8], rng: np.random.Generator
) -> Photo:
    hit = _region(rng, good.part)
    before = good.image[hit].astype(np.float32)
    for _ in range(TEXTURES_TRIED):
        texture = _fitted(next(textures), good.image, rng)
        opacity = np.float32(rng.uniform(LEAST_OPACITY, 1))
        change = opacity * (texture[hit] - before)
        if np.abs(change).mean() >= LEAST_CHANGE:
            break
    image = good.image.copy()
    image[hit] = np.clip(np.rint(before + change), 0, 255).astype(np.uint8)
    return Photo(name, image, np.where(hit, 255, 0).astype(np.uint8), ANOMALY, good.group)


def _fitted(texture: UInt8, image: UInt8, rng: np.random.Generator) -> UInt8:
    """A turned and augmented view of `texture` of the size of `image`, grey where that is."""
    texture = np.rot90(texture, int(rng.integers(4)))
    top, left = (int(rng.integers(side)) for side in texture.shape[:2])
    view = cut(texture, Window(top, left, image.shape[0], image.shape[1]))
    augmented = _augmented(Image.fromarray(np.ascontiguousarray(view)), rng)
    return greyed(augmented) if is_grey(image) else augmented


def _region(rng: np.random.Generator, part: Bools) -> Bools:
    """Where noise on `part` (H, W) is above its cut: `AREA` of the image, never empty."""
    cells = [
        2 ** int(rng.integers(1 + min(CELLS_LOG2, int(np.log2(max(side // LEAST_CELL_PX, 1))))))
        for side in part.shape
    ]
    angle = float(rng.uniform(-np.pi / 2, np.pi / 2))
    noise = perlin_noise(rng, part.shape, (cells[0], cells[1]), angle)
    heights = noise[part]
    least, most = (min(max(round(a * part.size), 1), heights.size) for a in AREA)
    at = int(np.clip(np.count_nonzero(heights > NOISE_CUT), least, most))
    return part & (noise >= np.partition(heights, -at)[-at])


def _textures(goods: Sequence[Photo], rng: np.random.Generator) -> Iterator[UInt8]:
    """Endlessly, by turns, a procedural material and a good photo."""
    seeds = {name: int(rng.integers(2**31)) for name in MATERIALS}
    rendered: dict[str, UInt8] = {}
    names, photos = in_turn(MATERIALS, rng), in_turn(goods, rng)
    while True:
        name = next(names)
        if name not in rendered:
            rendered[name] = render_surface(seeds[name], MATERIAL_SIDE, MATERIAL_SIDE, name)
        yield rendered[name]
        yield next(photos).image


def _augmented(image: Image.Image, rng: np.random.Generator) -> UInt8:
    """`image` after three of `_AUGMENTATIONS`."""
    for index in rng.choice(len(_AUGMENTATIONS), AUGMENTATIONS, replace=False):
        image = _AUGMENTATIONS[index](image, rng)
    return np.asarray(image)


_AUGMENTATIONS: tuple[Augmentation, ...] = (
    lambda image, rng: ImageOps.posterize(image, int(rng.integers(2, 7))),
    lambda image, rng: ImageOps.solarize(image, int(rng.integers(32, 129))),
    lambda image, _rng: ImageOps.equalize(image),
    lambda image, _rng: ImageOps.autocontrast(image),
    lambda image, _rng: ImageOps.invert(image),
    lambda image, rng: ImageEnhance.Brightness(image).enhance(float(rng.uniform(0.6, 1.5))),
    lambda image, rng: ImageEnhance.Contrast(image).enhance(float(rng.uniform(0.5, 2.0))),
    lambda image, rng: ImageEnhance.Color(image).enhance(float(rng.uniform(0.0, 2.0))),
    lambda image, rng: ImageEnhance.Sharpness(image).enhance(float(rng.uniform(0.0, 3.0))),
)
