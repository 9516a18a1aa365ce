"""Training crops of a lesson: which photos, where, and how they are varied."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from aliaug_edge import crops
from aliaug_edge.crops import Window
from aliaug_edge.evaluation.detector.base import Lesson
from aliaug_edge.evaluation.photos import Photo
from aliaug_edge.imaging import is_grey

SCALE = (0.8, 1.25)
GAMMA = (0.75, 1.35)
CONTRAST = (0.8, 1.25)
BRIGHTNESS = 0.12  # of the range [-1, 1], either way
NOISE = 0.04  # largest standard deviation, in the same range
PLAIN = np.linspace(-1, 1, 256, dtype=np.float32)  # grey levels as the network sees them
OFF_CENTRE = 0.4  # of the crop's side: how far a defect may lie from the middle

UInt8 = NDArray[np.uint8]
Floats = NDArray[np.float32]


@dataclass(frozen=True)
class CropPlan:
    """`real` and `good` crops of `side` pixels in every step; synthetic ones are added to them."""

    side: int = 128
    real: int = 6
    good: int = 6

    def synthetic(self, ratio: float) -> int:
        """Synthetic crops per step at `ratio` synthetic defects per real one."""
        return round(self.real * ratio)


@dataclass(frozen=True, eq=False)
class Dice:
    """`where` chooses crops, the same numbers for each; `how` varies them, or is not asked."""

    where: np.random.Generator
    how: np.random.Generator


class LessonCrops:
    """Draws batches from a lesson; a batch depends on the lesson, the seed and the step alone."""

    def __init__(self, lesson: Lesson, plan: CropPlan, seed: int) -> None:
        self.lesson = lesson
        self.plan = plan
        self.seed = seed
        self.real = _by_class(lesson.real)
        self.synthetic = _by_class(lesson.synthetic)
        self.good = [_held(photo) for photo in lesson.good]

    def batch(self, step: int) -> tuple[Tensor, Tensor]:
        """Images (B, 3, S, S) in about [-1, 1] and masks (B, 1, S, S) of 0 and 1.

        Real, good and synthetic crops each have generators of their own, one for what is seen and
        one for how it is varied, so that every condition sees the same real and good crops.
        """

        def dice(kind: int) -> Dice:
            where, how = (np.random.default_rng((self.seed, step, kind, use)) for use in (0, 1))
            return Dice(where, how)

        real, good, made = dice(0), dice(1), dice(2)
        drawn = [self._defect(self.real, real) for _ in range(self.plan.real if self.real else 0)]
        drawn += [self._good(good) for _ in range(self.plan.good)]
        added = self.plan.synthetic(self.lesson.ratio) if self.synthetic else 0
        drawn += [self._defect(self.synthetic, made) for _ in range(added)]
        return torch.stack([i for i, _ in drawn]), torch.stack([m for _, m in drawn])

    def _defect(self, by_class: Sequence[Sequence[_Held]], dice: Dice) -> tuple[Tensor, Tensor]:
        rng = dice.where
        photos = by_class[int(rng.integers(len(by_class)))]
        held = photos[int(rng.integers(len(photos)))]
        at = int(held.places[int(rng.integers(len(held.places)))])
        width = held.mask.shape[1]
        shift = rng.uniform(-OFF_CENTRE, OFF_CENTRE, 2) * self.plan.side
        return self._crop(held, (at // width + shift[0], at % width + shift[1]), dice.how)

    def _good(self, dice: Dice) -> tuple[Tensor, Tensor]:
        rng = dice.where
        held = self.good[int(rng.integers(len(self.good)))]
        height, width = held.mask.shape
        return self._crop(held, (rng.uniform(0, height), rng.uniform(0, width)), dice.how)

    def _crop(
        self, held: _Held, centre: tuple[float, float], rng: np.random.Generator
    ) -> tuple[Tensor, Tensor]:
        side = self.plan.side
        if not self.lesson.augment:
            pixels, mask = _cut(held, centre, side)
            picture, marked = _tensors(PLAIN[pixels], mask, side)
            return picture.expand(3, side, side), marked
        pixels, mask = _cut(held, centre, round(side * rng.uniform(*SCALE)))
        picture, marked = _turned(*_tensors(_light(rng)[pixels], mask, side), rng)
        return picture.expand(3, side, side), marked


@dataclass(frozen=True, eq=False)
class _Held:
    """A photo as `pixels` (C, H, W), one channel where it is grey: most of a crop's cost is per
    channel. `places` are the flat indices of its defect's pixels."""

    pixels: UInt8
    mask: UInt8
    places: NDArray[np.int64]


def _held(photo: Photo) -> _Held:
    channels = photo.image[..., :1] if is_grey(photo.image) else photo.image
    pixels = np.ascontiguousarray(channels.transpose(2, 0, 1))
    return _Held(pixels, photo.mask, np.flatnonzero(photo.mask))


def _by_class(photos: Sequence[Photo]) -> list[list[_Held]]:
    classes = sorted({photo.defect_class for photo in photos})
    return [[_held(p) for p in photos if p.defect_class == name] for name in classes]


def _cut(held: _Held, centre: tuple[float, float], window: int) -> tuple[UInt8, UInt8]:
    """The square of `window` pixels around `centre`, kept inside the photo where it fits."""
    height, width = held.mask.shape
    top = _inside(centre[0] - window / 2, height - window)
    left = _inside(centre[1] - window / 2, width - window)
    if top >= 0 and left >= 0 and top + window <= height and left + window <= width:
        where = (..., slice(top, top + window), slice(left, left + window))
        return held.pixels[where], held.mask[where]
    frame = Window(top, left, window, window)
    pixels = crops.cut(held.pixels.transpose(1, 2, 0), frame).transpose(2, 0, 1)
    return pixels, crops.cut(held.mask, frame)


def _tensors(image: Floats, mask: UInt8, side: int) -> tuple[Tensor, Tensor]:
    """(C, side, side) and (1, side, side) of 0 and 1, scaled without filters: they change by a
    quarter at most."""
    picture = torch.from_numpy(np.ascontiguousarray(image))
    if mask.shape[0] != side:
        picture = F.interpolate(picture[None], (side, side), mode="bilinear")[0]
        nearest = ((np.arange(side) + 0.5) * (mask.shape[0] / side)).astype(np.intp)
        mask = mask[nearest[:, None], nearest]
    marked = torch.from_numpy((mask > 127)[None].astype(np.float32))
    return picture, marked


def _inside(start: float, room: int) -> int:
    """A photo smaller than the window lies in its middle."""
    return round(min(max(start, 0), room)) if room >= 0 else room // 2


def _light(rng: np.random.Generator) -> Floats:
    """A table (256,) float32 from grey levels to [-1, 1] under another gamma, gain and offset."""
    unit = np.linspace(0, 1, 256) ** np.exp(rng.uniform(*np.log(GAMMA)))
    contrast = np.exp(rng.uniform(*np.log(CONTRAST)))
    table = (2 * unit - 1) * contrast + rng.uniform(-BRIGHTNESS, BRIGHTNESS)
    return table.astype(np.float32)


def _turned(image: Tensor, mask: Tensor, rng: np.random.Generator) -> tuple[Tensor, Tensor]:
    """Both in the same one of the eight orientations, the image with grain."""
    if rng.random() < 0.5:
        image, mask = image.flip(2), mask.flip(2)
    turns = int(rng.integers(4))
    image, mask = torch.rot90(image, turns, (1, 2)), torch.rot90(mask, turns, (1, 2))
    strength = np.float32(rng.uniform(0, NOISE))
    grain = rng.standard_normal((1, *image.shape[1:]), dtype=np.float32)
    return image + torch.from_numpy(strength * grain), mask
