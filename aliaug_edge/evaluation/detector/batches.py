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

SCALE = (0.8, 1.25)
GAMMA = (0.75, 1.35)
CONTRAST = (0.8, 1.25)
BRIGHTNESS = 0.12  # of the range [-1, 1], either way
NOISE = 0.04  # largest standard deviation, in the same range
OFF_CENTRE = 0.4  # of the crop's side: how far a defect may lie from the middle


@dataclass(frozen=True)
class CropPlan:
    """`real` and `good` crops of `side` pixels in every step; synthetic ones are added to them."""

    side: int = 128
    real: int = 6
    good: int = 6

    def synthetic(self, ratio: float) -> int:
        """Synthetic crops per step at `ratio` synthetic defects per real one."""
        return round(self.real * ratio)


class LessonCrops:
    """Draws batches from a lesson; a batch depends on the lesson, the seed and the step alone."""

    def __init__(self, lesson: Lesson, plan: CropPlan, seed: int) -> None:
        self.lesson = lesson
        self.plan = plan
        self.seed = seed
        self.real = _by_class(lesson.real)
        self.synthetic = _by_class(lesson.synthetic)

    def batch(self, step: int) -> tuple[Tensor, Tensor]:
        """Images (B, 3, S, S) in [-1, 1] and masks (B, 1, S, S) of 0 and 1.

        Real and good crops are drawn before synthetic ones and by a generator of their own, so that
        every condition sees the same of them.
        """
        rng = np.random.default_rng((self.seed, step, 0))
        drawn = [self._defect(self.real, rng) for _ in range(self.plan.real if self.real else 0)]
        drawn += [self._good(rng) for _ in range(self.plan.good)]
        rng = np.random.default_rng((self.seed, step, 1))
        added = self.plan.synthetic(self.lesson.ratio) if self.synthetic else 0
        drawn += [self._defect(self.synthetic, rng) for _ in range(added)]
        return torch.stack([i for i, _ in drawn]), torch.stack([m for _, m in drawn])

    def _defect(
        self, by_class: Sequence[Sequence[_Spotted]], rng: np.random.Generator
    ) -> tuple[Tensor, Tensor]:
        photos = by_class[int(rng.integers(len(by_class)))]
        spotted = photos[int(rng.integers(len(photos)))]
        at = int(spotted.places[int(rng.integers(len(spotted.places)))])
        width = spotted.photo.image.shape[1]
        shift = rng.uniform(-OFF_CENTRE, OFF_CENTRE, 2) * self.plan.side
        centre = (at // width + shift[0], at % width + shift[1])
        return self._crop(spotted.photo, centre, rng)

    def _good(self, rng: np.random.Generator) -> tuple[Tensor, Tensor]:
        photo = self.lesson.good[int(rng.integers(len(self.lesson.good)))]
        height, width = photo.image.shape[:2]
        return self._crop(photo, (rng.uniform(0, height), rng.uniform(0, width)), rng)

    def _crop(
        self, photo: Photo, centre: tuple[float, float], rng: np.random.Generator
    ) -> tuple[Tensor, Tensor]:
        side = self.plan.side
        if not self.lesson.augment:
            return _cut(photo, centre, side, side)
        image, mask = _cut(photo, centre, round(side * rng.uniform(*SCALE)), side)
        return _varied(image, mask, rng)


@dataclass(frozen=True, eq=False)
class _Spotted:
    """A defective photo and the flat indices of its defect's pixels."""

    photo: Photo
    places: NDArray[np.int64]


def _by_class(photos: Sequence[Photo]) -> list[list[_Spotted]]:
    classes = sorted({photo.defect_class for photo in photos})
    return [
        [_Spotted(p, np.flatnonzero(p.mask)) for p in photos if p.defect_class == name]
        for name in classes
    ]


def _cut(
    photo: Photo, centre: tuple[float, float], window: int, side: int
) -> tuple[Tensor, Tensor]:
    """The square of `window` pixels around `centre`, kept inside the photo, as `side` pixels."""
    height, width = photo.mask.shape
    top = _inside(centre[0] - window / 2, height - window)
    left = _inside(centre[1] - window / 2, width - window)
    where = Window(top, left, window, window)
    image = torch.from_numpy(crops.cut(photo.image, where).copy()).permute(2, 0, 1).float()
    mask = torch.from_numpy(crops.cut(photo.mask, where).copy())[None].float()
    if window != side:
        image = F.interpolate(image[None], (side, side), mode="bilinear", antialias=True)[0]
        mask = F.interpolate(mask[None], (side, side), mode="bilinear", antialias=True)[0]
    return image / 127.5 - 1, (mask > 127).float()


def _inside(start: float, room: int) -> int:
    """A photo smaller than the window lies in its middle."""
    return round(min(max(start, 0), room)) if room >= 0 else room // 2


def _varied(image: Tensor, mask: Tensor, rng: np.random.Generator) -> tuple[Tensor, Tensor]:
    """Mirrored, turned by quarters, and under another light."""
    if rng.random() < 0.5:
        image, mask = image.flip(2), mask.flip(2)
    turns = int(rng.integers(4))
    image, mask = torch.rot90(image, turns, (1, 2)), torch.rot90(mask, turns, (1, 2))
    unit = ((image + 1) / 2).clamp(0, 1) ** float(np.exp(rng.uniform(*np.log(GAMMA))))
    contrast = float(np.exp(rng.uniform(*np.log(CONTRAST))))
    image = (unit * 2 - 1) * contrast + float(rng.uniform(-BRIGHTNESS, BRIGHTNESS))
    strength = float(rng.uniform(0, NOISE))
    grain = rng.standard_normal((1, *image.shape[1:]), dtype=np.float32)
    return image + strength * torch.from_numpy(grain), mask
