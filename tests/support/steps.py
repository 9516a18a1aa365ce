"""What tests of training steps share: the batch's other inputs, and whether weights moved."""

from __future__ import annotations

import torch
from torch import Tensor

from aliaug_edge.training.batch import Batch, seeded
from tests.support.bases import TEXT_WIDTH


def conditions(batch: Batch) -> tuple[Tensor, Tensor, Tensor]:
    count = batch.image.shape[0]
    embeds = torch.randn(count, 77, TEXT_WIDTH, generator=seeded(2))
    noise = torch.randn(count, 4, 4, 4, generator=seeded(1))
    return embeds, noise, torch.randn(count, 1, 32, 32, generator=seeded(3))


def values(parameters: object) -> list[Tensor]:
    return [p.detach().clone() for p in parameters]  # type: ignore[attr-defined]


def changed(parameters: object, before: list[Tensor]) -> bool:
    return any(not torch.equal(p, b) for p, b in zip(parameters, before, strict=True))  # type: ignore[call-overload]
