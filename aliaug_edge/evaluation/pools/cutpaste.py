"""CutPaste: a piece of a good photo, pasted elsewhere on it.

C.-L. Li, K. Sohn, J. Yoon, T. Pfister: CutPaste - Self-supervised learning for anomaly detection
and localization, CVPR 2021, section 2.2 and supplement. Patch: 2-15 % of the image's area, aspect
ratio 0.3-1 or 1-3.3. Scar: 2-16 px wide and 10-25 px long on their 256 px images, scaled with
ours, turned by up to 45 degrees. Both with their colour jitter of 0.1.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageEnhance

from aliaug_edge.evaluation.photos import Photo
from aliaug_edge.evaluation.pools.surroundings import ANOMALY, Bools, UInt8, in_turn, require_goods
from aliaug_edge.generation.request import stable_seed

PATCH_AREA = (0.02, 0.15)  # of the image
PATCH_ASPECT = 3.3  # of the longer to the shorter side, at most
SCAR_WIDTH = (2.0, 16.0)  # px on an image of `SCAR_SIDE`
SCAR_LENGTH = (10.0, 25.0)
SCAR_SIDE = 256
SCAR_DEGREES = 45.0
JITTER = 0.1
PLACES = 40
ON_PART = 0.5  # of the pasted pixels, where the part leaves room for it


def cutpaste(goods: Sequence[Photo], count: int, seed: int) -> list[Photo]:
    """`count` good photos, by turns with a pasted patch and with a pasted scar.

    The label is where pasted pixels lie. Class "anomaly"; the group is the good photo's; equal
    arguments give equal bytes.

    Raises:
        DataError: there are no good photos.
    """
    require_goods(goods, "CutPaste")
    surfaces = in_turn(goods, np.random.default_rng(stable_seed(seed, "cutpaste", "goods")))
    return [
        _defective(
            f"cutpaste/{index:06d}",
            next(surfaces),
            index % 2 == 1,
            np.random.default_rng(stable_seed(seed, "cutpaste", index)),
        )
        for index in range(count)
    ]


def _defective(name: str, good: Photo, scar: bool, rng: np.random.Generator) -> Photo:
    hw = good.image.shape[:2]
    size = _scar_hw(hw, rng) if scar else _patch_hw(hw, rng)
    top, left = (int(rng.integers(n - s + 1)) for n, s in zip(hw, size, strict=True))
    piece = _jittered(good.image[top : top + size[0], left : left + size[1]], rng)
    shape = np.full(size, 255, np.uint8)
    if scar:
        piece, shape = _turned(piece, shape, float(rng.uniform(-SCAR_DEGREES, SCAR_DEGREES)))
    piece, shape = piece[: hw[0], : hw[1]], shape[: hw[0], : hw[1]]
    top, left = _place(shape > 0, good.part, rng)
    view = np.s_[top : top + shape.shape[0], left : left + shape.shape[1]]
    image, mask = good.image.copy(), np.zeros(hw, np.uint8)
    image[view] = np.where(shape[..., None] > 0, piece, image[view])
    mask[view] = shape
    return Photo(name, image, mask, ANOMALY, good.group)


def _patch_hw(hw: tuple[int, ...], rng: np.random.Generator) -> tuple[int, int]:
    area = float(rng.uniform(*PATCH_AREA)) * hw[0] * hw[1]
    ratio = math.exp(float(rng.uniform(-1, 1)) * math.log(PATCH_ASPECT))
    return _fitting(math.sqrt(area * ratio), hw[0]), _fitting(math.sqrt(area / ratio), hw[1])


def _scar_hw(hw: tuple[int, ...], rng: np.random.Generator) -> tuple[int, int]:
    scale = max(hw) / SCAR_SIDE
    width, length = float(rng.uniform(*SCAR_WIDTH)), float(rng.uniform(*SCAR_LENGTH))
    return _fitting(length * scale, hw[0]), _fitting(width * scale, hw[1])


def _fitting(side: float, limit: int) -> int:
    """At least a pixel, and never the whole side: a mask must leave some surface."""
    return max(1, min(round(side), limit - 1))


def _jittered(piece: UInt8, rng: np.random.Generator) -> UInt8:
    """Brightness, contrast and saturation, each by up to `JITTER` of itself; grey stays grey."""
    image = Image.fromarray(np.ascontiguousarray(piece))
    for enhancer in (ImageEnhance.Brightness, ImageEnhance.Contrast, ImageEnhance.Color):
        image = enhancer(image).enhance(float(rng.uniform(1 - JITTER, 1 + JITTER)))
    return np.asarray(image)


def _turned(piece: UInt8, shape: UInt8, degrees: float) -> tuple[UInt8, UInt8]:
    """Both turned alike, by nearest pixels: no edge pixel is mixed with the black beside it."""
    piece, shape = (
        np.asarray(Image.fromarray(array).rotate(degrees, Image.Resampling.NEAREST, expand=True))
        for array in (piece, shape)
    )
    return piece, shape


def _place(shape: Bools, part: Bools, rng: np.random.Generator) -> tuple[int, int]:
    """A corner for `shape` (h, w): the first with `ON_PART` of it on `part` (H, W), or else the
    best of those tried."""
    best, corner = -1.0, (0, 0)
    for _ in range(PLACES):
        top, left = (
            int(rng.integers(n - s + 1)) for n, s in zip(part.shape, shape.shape, strict=True)
        )
        share = float(part[top : top + shape.shape[0], left : left + shape.shape[1]][shape].mean())
        if share > best:
            best, corner = share, (top, left)
        if best >= ON_PART:
            break
    return corner
