"""One training batch as plain tensors, and the palette that names classes by colour."""

from __future__ import annotations

import colorsys
import dataclasses
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

Colour = tuple[float, float, float]
WHITE: Colour = (1.0, 1.0, 1.0)
# Corners and edge middles of the RGB cube, far from each other and from white; then hues between.
_PALETTE: tuple[Colour, ...] = (
    (1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0), (1.0, 1.0, 0.0),
    (1.0, 0.0, 1.0), (0.0, 1.0, 1.0), (1.0, 0.5, 0.0), (0.5, 0.0, 1.0),
)  # fmt: skip


@dataclass(frozen=True)
class Batch:
    """Inputs and target of one step; shapes and ranges as in `aliaug_edge.tensors`.

    `class_index` (B,) int64 is the class's place among those that are learned: the discriminator
    knows it whatever carries the label for the generator. `paired` (B,) is 1 where `target` shows
    this very part with the defect, 0 where it is known outside the mask only (a good image and
    another part's mask).
    `real`, `real_mask` (B, 3|1, H, W) show real defects of the same classes, for the discriminator.
    """

    image: Tensor
    mask: Tensor
    colour: Tensor
    severity: Tensor
    prompts: tuple[str, ...]
    target: Tensor
    class_index: Tensor
    paired: Tensor
    real: Tensor
    real_mask: Tensor

    def to(self, device: torch.device) -> Batch:
        """The batch on another device."""
        moved: dict[str, Any] = {
            name: value.to(device, non_blocking=True)
            for name, value in vars(self).items()
            if isinstance(value, Tensor)
        }
        return dataclasses.replace(self, **moved)


def class_colour(index: int) -> Colour:
    """The mask colour of the class with this index, distinct for any number of classes."""
    if index < len(_PALETTE):
        return _PALETTE[index]
    hue = (index * 0.61803398875) % 1.0  # golden-ratio steps never repeat a hue
    return colorsys.hsv_to_rgb(hue, 0.75, 1.0)


def seeded(*parts: int) -> torch.Generator:
    """A random generator that depends on `parts` alone, e.g. (seed, step): resuming is exact."""
    value = 0
    for part in parts:
        value = (value * 6364136223846793005 + part + 1442695040888963407) % (1 << 63)
    return torch.Generator().manual_seed(value)
