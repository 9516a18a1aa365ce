"""The judge of real data: small classifiers on offline features of a few real defects.

It also knows good surface, under the boxes of the train defects: what a mask's size tells about
the class is then no proof of a defect, and an empty insertion is seen as what it is. It never sees
an outline, only the box around it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from diffusers import AutoencoderKL
from numpy.typing import NDArray
from torch import Tensor, nn

from aliaug_edge import crops
from aliaug_edge.data.samples import GOOD
from aliaug_edge.errors import AliAugError
from aliaug_edge.evaluation.judging.features import UInt8, largest_part, statistics, view_of
from aliaug_edge.evaluation.photos import Photo

REACH = 1.5  # of a view that is turned and shifted before its middle is taken
WEIGHT_DECAY = 0.1
LEARNING_RATE = 3e-3
HIDDEN = 64
LEAST_SPREAD = 1e-3


@dataclass(frozen=True)
class RealJudgeSettings:
    """`views` augmented views of each photo are learned by `seeds` networks for `steps` steps."""

    side: int = 64
    views: int = 6
    steps: int = 500
    batch_size: int = 128
    seeds: int = 3
    seed: int = 0


@dataclass(frozen=True, eq=False)
class RealJudge:
    """`answers` are the classes and, last, good; statistics are scaled by `mean` and `spread`."""

    answers: tuple[str, ...]
    side: int
    vae: AutoencoderKL
    mean: Tensor
    spread: Tensor
    networks: tuple[nn.Module, ...]


def train_real_judge(
    defects: Sequence[Photo],
    goods: Sequence[Photo],
    vae: AutoencoderKL,
    settings: RealJudgeSettings,
) -> RealJudge:
    """A judge that has learned `defects` and `goods`; equal arguments give an equal judge.

    Raises:
        AliAugError: there are no defects or no good photos to learn from.
    """
    if not defects or not goods:
        raise AliAugError(
            f"a judge learns from defects and good photos, got {len(defects)} and {len(goods)}; "
            "give it a pool with both"
        )
    answers = (*sorted({photo.defect_class for photo in defects}), GOOD)
    views, labels = _lessons(defects, goods, answers, settings)
    chance = torch.Generator().manual_seed(settings.seed)
    rounds = [
        torch.cat([_augmented(part, settings.side, chance) for part in views.split(32)])
        for _ in range(settings.views)
    ]
    rows = torch.cat([statistics(vae, one) for one in rounds])
    mean, spread = rows.mean(0), rows.std(0) + LEAST_SPREAD
    scaled, wanted = (rows - mean) / spread, labels.repeat(settings.views)
    networks = tuple(
        _fitted(scaled, wanted, len(answers), settings, settings.seed + number)
        for number in range(settings.seeds)
    )
    return RealJudge(answers, settings.side, vae, mean, spread, networks)


@torch.no_grad()
def names_of(judge: RealJudge, images: Sequence[UInt8], masks: Sequence[UInt8]) -> list[str]:
    """What the judge sees under each mask (H, W) of the images (H, W, 3): a class, or good.

    The mean probability of all networks over four orientations.
    """
    if not images:
        return []
    views = [view_of(i, boxed(m), judge.side) for i, m in zip(images, masks, strict=True)]
    upright = torch.from_numpy(np.stack(views)).float() / 127.5 - 1
    total = torch.zeros(len(views), len(judge.answers))
    for posed in (upright, upright.flip(3), upright.flip(2), upright.flip((2, 3))):
        rows = (statistics(judge.vae, posed) - judge.mean) / judge.spread
        for network in judge.networks:
            total += F.softmax(network(rows), dim=1)
    return [judge.answers[index] for index in total.argmax(1).tolist()]


def boxed(mask: UInt8) -> UInt8:
    """The filled box of `mask` (H, W)."""
    box = crops.mask_box(mask)
    filled = np.zeros_like(mask)
    filled[box.top : box.top + box.height, box.left : box.left + box.width] = 255
    return filled


def moved_box(mask: UInt8, image_hw: tuple[int, int], rng: np.random.Generator) -> UInt8:
    """The box of `mask` at a random place of an image of (H, W), cut to fit with a pixel left."""
    box = crops.mask_box(mask)
    height, width = min(box.height, image_hw[0] - 1), min(box.width, image_hw[1] - 1)
    top = int(rng.integers(image_hw[0] - height + 1))
    left = int(rng.integers(image_hw[1] - width + 1))
    moved: NDArray[np.uint8] = np.zeros(image_hw, np.uint8)
    moved[top : top + height, left : left + width] = 255
    return moved


def _lessons(
    defects: Sequence[Photo],
    goods: Sequence[Photo],
    answers: tuple[str, ...],
    settings: RealJudgeSettings,
) -> tuple[Tensor, Tensor]:
    """Views (2 N, 4, S, S) uint8 of N defects, and of as many boxes on good photos."""
    rng = np.random.default_rng(settings.seed)
    views, labels = [], []
    for photo in defects:
        box = boxed(largest_part(photo.mask))
        views.append(view_of(photo.image, box, settings.side, reach=REACH))
        labels.append(answers.index(photo.defect_class))
        good = goods[int(rng.integers(len(goods)))]
        moved = moved_box(box, (good.image.shape[0], good.image.shape[1]), rng)
        views.append(view_of(good.image, moved, settings.side, reach=REACH))
        labels.append(len(answers) - 1)
    return torch.from_numpy(np.stack(views)), torch.tensor(labels)


def _fitted(
    rows: Tensor, labels: Tensor, answers: int, s: RealJudgeSettings, seed: int
) -> nn.Module:
    """A small network that has learned `rows` (N, D); every answer is drawn equally often."""
    members = [torch.nonzero(labels == answer)[:, 0] for answer in range(answers)]
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = nn.Sequential(
            nn.Dropout(0.3),
            nn.Linear(rows.shape[1], HIDDEN),
            nn.SiLU(),
            nn.Dropout(0.3),
            nn.Linear(HIDDEN, answers),
        )
        optimizer = torch.optim.AdamW(
            network.parameters(), LEARNING_RATE, weight_decay=WEIGHT_DECAY
        )
        schedule = torch.optim.lr_scheduler.OneCycleLR(
            optimizer, LEARNING_RATE, total_steps=s.steps
        )
        each = math.ceil(s.batch_size / answers)
        wanted = torch.arange(answers).repeat_interleave(each)
        for _ in range(s.steps):
            chosen = torch.cat([m[torch.randint(len(m), (each,))] for m in members])
            loss = F.cross_entropy(network(rows[chosen]), wanted, label_smoothing=0.05)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
    return network.eval()


def _augmented(views: Tensor, side: int, chance: torch.Generator) -> Tensor:
    """The middle of `views` (B, 4, S, S) uint8 as (B, 4, side, side) in [-1, 1]: turned by any
    angle, mirrored, scaled, shifted; lighter or darker, more or less contrast, blurred, noisy."""
    count, share = len(views), side / views.shape[-1]

    def drawn(*shape: int) -> Tensor:
        return 2 * torch.rand(count, *shape, generator=chance) - 1

    angle, scale, mirror = math.pi * drawn(), torch.exp(0.22 * drawn()), drawn().sign()
    cos, sin = scale * angle.cos(), scale * angle.sin()
    theta = share * torch.stack([cos * mirror, -sin, sin * mirror, cos], dim=1).view(count, 2, 2)
    theta = torch.cat([theta, 0.15 * share * drawn(2, 1)], dim=2)
    grid = F.affine_grid(theta, [count, 4, side, side], align_corners=False)
    source = views.float() / 127.5 - 1
    turned = F.grid_sample(source, grid, padding_mode="reflection", align_corners=False)
    image, mask = turned[:, :3], turned[:, 3:]
    mean = image.mean((1, 2, 3), keepdim=True)
    image = (image - mean) * torch.exp(0.35 * drawn(1, 1, 1)) + mean + 0.3 * drawn(1, 1, 1)
    blurred = F.avg_pool2d(F.pad(image, (1,) * 4, mode="reflect"), 3, 1)
    image = image + drawn(1, 1, 1).clamp(min=0) * (blurred - image)
    noise = torch.randn(image.shape, generator=chance)
    return torch.cat([image + 0.04 * drawn(1, 1, 1).abs() * noise, mask], dim=1)
