"""A small classifier that says which defect a crop shows: the judge of generated defects.

It learns from real (drawn) defects alone. Half of its examples wear the outline of another class,
so that it must look at the surface under the mask and not at the mask's shape.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from aliaug_edge import crops
from aliaug_edge.errors import AliAugError, DataError

WIDTHS = (24, 48, 80, 96)
Progress = Callable[[int, int, str], None]


@dataclass(frozen=True)
class Example:
    """A picture (H, W, 3) uint8, the mask (H, W) uint8 of its defect, and the defect's class."""

    image: NDArray[np.uint8]
    mask: NDArray[np.uint8]
    defect_class: str


@dataclass(frozen=True)
class JudgeSettings:
    """`side` is that of the square crop in pixels; three to five minutes on one core as it is."""

    side: int = 80
    epochs: int = 10
    batch_size: int = 64
    learning_rate: float = 3e-3
    seed: int = 0


@dataclass(frozen=True)
class Judge:
    """A trained judge of `classes`, for crops of `side` pixels."""

    classes: tuple[str, ...]
    side: int
    network: nn.Module


class JudgeNet(nn.Module):
    """Image and mask (B, 4, S, S) to class scores (B, N).

    Features are pooled twice, over the crop and over the mask: a small defect is not drowned.
    """

    def __init__(self, classes: int) -> None:
        super().__init__()
        stages: list[nn.Module] = []
        before = 4
        for width in WIDTHS:
            stages += [_conv(before, width, stride=2), _conv(width, width, stride=1)]
            before = width
        self.features = nn.Sequential(*stages)
        self.head = nn.Sequential(nn.Dropout(0.2), nn.Linear(2 * before, classes))

    def forward(self, crop: Tensor) -> Tensor:
        features = self.features(crop)
        mask = F.adaptive_max_pool2d(crop[:, 3:], features.shape[-2:])
        under = (features * mask).sum((2, 3)) / mask.sum((2, 3)).clamp(min=1)
        return self.head(torch.cat([features.mean((2, 3)), under], dim=1))


def train_judge(
    examples: list[Example],
    classes: tuple[str, ...],
    settings: JudgeSettings | None = None,
    progress: Progress | None = None,
) -> Judge:
    """A judge that has learned `examples`; the same examples and settings give the same judge.

    Every class weighs the same, however many examples it has. `progress` is called with
    (epoch, epochs, note).

    Raises:
        AliAugError: fewer than two classes, or a class without examples.
    """
    settings = settings or JudgeSettings()
    _check_classes(examples, classes)
    inputs, labels = _tensors(examples, classes, settings.side)
    weights = len(labels) / torch.bincount(labels, minlength=len(classes)).float()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(settings.seed)
        network = JudgeNet(len(classes))
        steps = math.ceil(len(labels) / settings.batch_size)
        optimizer = torch.optim.AdamW(network.parameters(), settings.learning_rate)
        schedule = torch.optim.lr_scheduler.OneCycleLR(
            optimizer, settings.learning_rate, total_steps=steps * settings.epochs
        )
        for epoch in range(settings.epochs):
            losses = []
            for chosen in torch.randperm(len(labels)).tensor_split(steps):
                scores = network(_turned(inputs[chosen]).float() / 127.5 - 1)
                loss = F.cross_entropy(scores, labels[chosen], weights, label_smoothing=0.05)
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
                schedule.step()
                losses.append(loss.item())
            if progress is not None:
                progress(epoch + 1, settings.epochs, f"loss {float(np.mean(losses)):.3f}")
    return Judge(classes, settings.side, network.eval())


def classify(judge: Judge, examples: list[Example]) -> list[str]:
    """The class that the judge sees in each example; `defect_class` is not looked at."""
    if not examples:
        return []
    inputs = torch.from_numpy(np.stack([judge_crop(e, judge.side) for e in examples]))
    with torch.no_grad():
        scores = torch.cat([judge.network(part.float() / 127.5 - 1) for part in inputs.split(64)])
    return [judge.classes[index] for index in scores.argmax(1).tolist()]


def judge_accuracy(judged: list[str], examples: list[Example]) -> float:
    """Share of `examples` whose class the judge named.

    Raises:
        AliAugError: there are no examples.
    """
    if not examples:
        raise AliAugError("no examples to judge: an accuracy needs at least one")
    hits = [seen == e.defect_class for seen, e in zip(judged, examples, strict=True)]
    return sum(hits) / len(hits)


def judge_crop(example: Example, side: int) -> NDArray[np.uint8]:
    """RGB and mask (4, side, side) uint8 around the mask at full resolution, reflected at borders.

    Raises:
        DataError: the mask is empty.
    """
    if not example.mask.any():
        raise DataError(f"the mask of a {example.defect_class} is empty; nothing to judge")
    box = crops.mask_box(example.mask)
    centre_y, centre_x = box.top + box.height // 2, box.left + box.width // 2
    window = crops.Window(centre_y - side // 2, centre_x - side // 2, side, side)
    planes = np.dstack([crops.cut(example.image, window), crops.cut(example.mask, window)])
    return np.ascontiguousarray(planes.transpose(2, 0, 1))


def _conv(before: int, width: int, *, stride: int) -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(before, width, 3, stride, padding=1, bias=False),
        nn.BatchNorm2d(width),
        nn.SiLU(),
    )


def _turned(crops: Tensor) -> Tensor:
    """Quarter by quarter in one of the eight orientations: lamps and grain come from all sides."""
    parts = [
        torch.rot90(part.flip(3) if int(torch.randint(2, ())) else part, turns, (2, 3))
        for part, turns in zip(crops.chunk(4), torch.randperm(4).tolist(), strict=False)
    ]
    return torch.cat(parts)


def _tensors(examples: list[Example], classes: tuple[str, ...], side: int) -> tuple[Tensor, Tensor]:
    inputs = torch.from_numpy(np.stack([judge_crop(e, side) for e in examples]))
    return inputs, torch.tensor([classes.index(e.defect_class) for e in examples])


def _check_classes(examples: list[Example], classes: tuple[str, ...]) -> None:
    if len(classes) < 2:
        raise AliAugError(f"a judge tells classes apart: expected at least 2, got {list(classes)}")
    present = {e.defect_class for e in examples}
    if present != set(classes):
        lacking, extra = sorted(set(classes) - present), sorted(present - set(classes))
        raise AliAugError(f"examples to learn from: none of {lacking}, and unasked for {extra}")
