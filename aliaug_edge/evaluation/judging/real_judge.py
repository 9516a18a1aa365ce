"""The judge of real data: linear discriminants on offline features of a few real defects.

A few dozen defects of a class are too few to train a network on, and a closed form needs no luck.
It also knows good surface, so that an empty insertion is seen as what it is. Masks say where to
look; what their shape tells is taken out of the lessons (`lessons`), wholly for swap tests.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from diffusers import AutoencoderKL
from torch import Tensor

from aliaug_edge.data.samples import GOOD
from aliaug_edge.errors import AliAugError
from aliaug_edge.evaluation.judging.features import UInt8, statistics
from aliaug_edge.evaluation.judging.lessons import (
    alone,
    lent_lessons,
    lesson_places,
    pasted_lessons,
)
from aliaug_edge.evaluation.judging.views import Views, views_of
from aliaug_edge.evaluation.photos import Photo

LEAST_SPREAD = 1e-3


@dataclass(frozen=True)
class RealJudgeSettings:
    """`views` augmented views of each real defect are learned, and `lessons` made photos.

    `shrinkage` in (0, 1] is the share of the covariance that is its mean variance alone.
    """

    side: int = 64
    views: int = 4
    lessons: int = 360
    shrinkage: float = 0.5
    seed: int = 0


@dataclass(frozen=True, eq=False)
class RealJudge:
    """`answers` are the classes and, last, good. Statistics are scaled by `mean` and `spread` (D,);
    `weights` (D, A) and `offsets` (A,) turn them into log-likelihoods up to a constant."""

    answers: tuple[str, ...]
    side: int
    vae: AutoencoderKL
    mean: Tensor
    spread: Tensor
    weights: Tensor
    offsets: Tensor


@dataclass(frozen=True)
class Verdict:
    """The likeliest class, and whether good surface is likelier than any."""

    name: str
    empty: bool

    def is_of(self, name: str) -> bool:
        """Whether a defect is seen, and one of class `name`."""
        return self.name == name and not self.empty


@dataclass(frozen=True, eq=False)
class RealJudges:
    """`plain` has learned real defects as they are, and pasted ones: it says what a defect is.
    `swaps` has learned every class under the outlines of every class alike: it can but read the
    pixels, and knows less. Where there is one class, nothing can be swapped, and it is None."""

    plain: RealJudge
    swaps: RealJudge | None


def train_real_judges(
    defects: Sequence[Photo],
    goods: Sequence[Photo],
    vae: AutoencoderKL,
    settings: RealJudgeSettings,
) -> RealJudges:
    """Judges that have learned `defects` and `goods`; equal arguments give equal judges.

    Raises:
        AliAugError: there are no defects, or no good photos.
    """
    classes = {photo.defect_class for photo in defects}
    if not defects or not goods:
        raise AliAugError(
            "a judge tells defects from good surface, and from each other; got "
            f"{len(defects)} defects and {len(goods)} good photos: give it a pool with both"
        )
    places = lesson_places(defects, goods, settings.lessons, settings.seed)
    pasted = pasted_lessons(places, settings.seed)
    return RealJudges(
        plain=judge_from([*alone(defects) * settings.views, *pasted], vae, settings),
        swaps=judge_from(lent_lessons(places, settings.seed), vae, settings)
        if len(classes) > 1
        else None,
    )


def judge_from(
    lessons: Sequence[Photo], vae: AutoencoderKL, settings: RealJudgeSettings
) -> RealJudge:
    """A judge that has learned one augmented view of each of `lessons`: defects under masks of any
    outline, and photos of class good with a mask of where nothing is to be seen."""
    chance = torch.Generator().manual_seed(settings.seed)
    views = views_of([(lesson.image, lesson.mask) for lesson in lessons], settings.side)
    rows = views.averaged(statistics(vae, _augmented(views, chance)).double())
    mean, spread = rows.mean(0), rows.std(0) + LEAST_SPREAD
    answers = (*sorted({lesson.defect_class for lesson in lessons} - {GOOD}), GOOD)
    labels = np.array([answers.index(lesson.defect_class) for lesson in lessons])
    scaled = (rows - mean) / spread
    parts = [scaled[torch.from_numpy(labels == index)] for index in range(len(answers))]
    weights, offsets = discriminants(parts, settings.shrinkage)
    return RealJudge(answers, settings.side, vae, mean, spread, weights, offsets)


def chance_of(classes: int) -> float:
    """The share that guessing gets right: among the classes, or, where there is but one, between
    it and good surface."""
    return round(1 / max(classes, 2), 4)


def discriminants(parts: Sequence[Tensor], shrinkage: float) -> tuple[Tensor, Tensor]:
    """Weights (D, A) and offsets (A,) of linear discriminants of A classes, each of equal weight.

    Args:
        parts: The rows (n, D) of each class. The covariance within classes is shrunk towards a
            multiple of the identity (Friedman 1989, equation 18, with λ = 1).
    """
    means = torch.stack([part.mean(0) for part in parts])
    within = torch.zeros(means.shape[1], means.shape[1], dtype=means.dtype)
    for part, mean in zip(parts, means, strict=True):
        off = part - mean
        within += off.T @ off / (len(part) * len(parts))
    flat = within.diagonal().mean() * torch.eye(len(within), dtype=within.dtype)
    weights = torch.linalg.solve((1 - shrinkage) * within + shrinkage * flat, means.T)
    return weights, -0.5 * (means.T * weights).sum(0)


def verdicts(judge: RealJudge, images: Sequence[UInt8], masks: Sequence[UInt8]) -> list[Verdict]:
    """What the judge sees under each mask (H, W) of the images (H, W, 3)."""
    if not images:
        return []
    scores = features(judge, images, masks) @ judge.weights + judge.offsets
    best, empty = scores[:, :-1].argmax(1).tolist(), (scores.argmax(1) == scores.shape[1] - 1)
    return [
        Verdict(judge.answers[index], bool(good)) for index, good in zip(best, empty, strict=True)
    ]


def features(judge: RealJudge, images: Sequence[UInt8], masks: Sequence[UInt8]) -> Tensor:
    """Scaled statistics (N, D) float64 of what lies under the masks, averaged over four poses."""
    views = views_of(zip(images, masks, strict=True), judge.side)
    upright = views.stacked
    turned = (upright, upright.flip((2, 3)), upright.flip(2), upright.transpose(2, 3))
    rows = torch.stack([statistics(judge.vae, pose).double() for pose in turned]).mean(0)
    return (views.averaged(rows) - judge.mean) / judge.spread


def _augmented(views: Views, chance: torch.Generator) -> Tensor:
    """(V, 4, S, S): each picture's views in one of eight orientations, lighter or darker, with more
    or less contrast, and noisy."""
    count, owners = len(views.counts), views.owners()

    def drawn(*shape: int) -> Tensor:
        return (2 * torch.rand(count, *shape, generator=chance) - 1)[owners]

    turns = torch.randint(8, (count,), generator=chance)[owners].tolist()
    pairs = zip(views.stacked, turns, strict=True)
    turned = torch.stack([_turned(view, turn) for view, turn in pairs])
    colours, masks = turned[:, :3], turned[:, 3:]
    level = colours.mean((1, 2, 3), keepdim=True)
    contrast, light = torch.exp(0.35 * drawn(1, 1, 1)), 0.3 * drawn(1, 1, 1)
    noise = 0.03 * drawn(1, 1, 1).abs() * torch.randn(colours.shape, generator=chance)
    return torch.cat([(colours - level) * contrast + level + light + noise, masks], dim=1)


def _turned(view: Tensor, turn: int) -> Tensor:
    mirrored = view.flip(2) if turn % 2 else view
    return torch.rot90(mirrored, turn // 2, (1, 2))
