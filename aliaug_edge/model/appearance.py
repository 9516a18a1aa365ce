"""What a defect looks like, as seven numbers that can be measured, asked for and learned from.

A mask and a class leave most of a defect open: pits of one class are black or grey, frays smooth or
rough. A generator that is told nothing more answers with their mean. So it is told: the appearance
of the real defect in training, one of those seen at generation.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

LEVEL_GAIN = 2.0  # so that each number spans about one unit among defects
ROUGH_ZERO = 3.0  # minus the log of a usual roughness
LIMIT = 3.0
FLOOR = 0.04  # of levels in [0, 1]: no surface is darker, for a ratio's sake
STEADY = 0.004  # a grey level: no surface is smoother
BAND = 2  # pixels inside the outline: the rim of a defect, whatever its size
GAP, RING = 5, 25  # kernels in pixels: the surroundings begin and end this far from the mask
EVERYWHERE = 1e-4  # weight of what is not in the ring, where nothing is


def appearance_of(image: Tensor, mask: Tensor) -> Tensor:
    """(B, 7) of `image` (B, 3, H, W) in [-1, 1] under `mask` (B, 1, H, W) in {0, 1}.

    Three log ratios of the level under the mask to that around it, by channel; the logs of the
    coarse and the fine roughness under it, relative to the level around it; the log ratios of the
    level in the rim and in the core to that under the whole mask, 0 where there is no core.
    """
    level = (image + 1) / 2
    ring = _grown(mask, RING) - _grown(mask, GAP) + EVERYWHERE
    around = _mean(level, ring) + FLOOR
    inside = _mean(level, mask) + FLOOR
    grey = level.mean(dim=1, keepdim=True)
    blurred = F.avg_pool2d(grey * mask, 3, 1, 1) / F.avg_pool2d(mask, 3, 1, 1).clamp(min=1e-3)
    coarse = _spread(blurred - _mean(grey, mask)[:, :, None, None], mask)
    fine = _spread(grey - blurred, mask)
    rough = torch.cat([coarse, fine], dim=1) / around.mean(dim=1, keepdim=True)
    usual = _mean(grey, mask) + FLOOR
    ratios = [_ratio(grey, where, usual) for where in rim_and_core(mask)]
    numbers = [LEVEL_GAIN * (inside / around).log(), rough.log() + ROUGH_ZERO, *ratios]
    return torch.cat(numbers, dim=1).clamp(-LIMIT, LIMIT)


def rim_and_core(mask: Tensor) -> tuple[Tensor, Tensor]:
    """Two masks (B, 1, H, W): of what is wider than two rims the outermost `BAND` pixels, and what
    these enclose. A thin line has neither. Where the image ends there is no rim."""
    core = 1 - _grown(1 - mask, 2 * BAND + 1)
    return mask * _grown(core, 2 * BAND + 1) - core, core


def _ratio(grey: Tensor, where: Tensor, usual: Tensor) -> Tensor:
    """(B, 1): how far the level `where` lies from `usual`, as a log; 0 where it is nowhere."""
    ratio = LEVEL_GAIN * ((_mean(grey, where) + FLOOR) / usual).log()
    return torch.where(where.amax(dim=(2, 3)) > 0, ratio, torch.zeros_like(ratio))


def _grown(mask: Tensor, kernel: int) -> Tensor:
    return F.max_pool2d(mask, kernel, stride=1, padding=kernel // 2)


def _mean(values: Tensor, where: Tensor) -> Tensor:
    """(B, C): the weighted mean over pixels."""
    return (values * where).sum(dim=(2, 3)) / where.sum(dim=(2, 3)).clamp(min=1e-6)


def _spread(deviation: Tensor, mask: Tensor) -> Tensor:
    return (_mean(deviation.square(), mask) + STEADY**2).sqrt()
