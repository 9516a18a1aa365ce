"""Losses that need nothing but what is at hand: no downloaded network, no hub.

Every term says where it looks: under the mask, outside it, or both. Divisors are those of the whole
batch where several processes share it, so that the mean over processes is the batch's own loss.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from aliaug_edge.errors import AliAugError
from aliaug_edge.training.parallel import divisor, mean_over_ranks

BEYOND = 8.0  # above every difference of two values in [-1, 1]


@dataclass(frozen=True)
class LossWeights:
    """Weight of each term; 0 leaves a term out and saves its cost.

    preserve: L1 outside the mask. inside: L1 under it; histogram: distance between the values
    there, whatever their order (both of paired samples). appearance: L1 between the numbers that
    were asked for and those that came (`model.appearance`). gradient: L1 of image gradients.
    perceptual: frozen encoder features. adversarial, matching, classified: the discriminator's
    verdict, its features, and the class that it sees. In pretraining only: latent keeps latents at
    unit scale; label is the cross entropy of the class, read linearly from the denoised latent
    under the mask.
    """

    preserve: float = 4.0
    inside: float = 0.5
    histogram: float = 3.0
    appearance: float = 0.5
    gradient: float = 1.0
    perceptual: float = 0.5
    adversarial: float = 0.1
    matching: float = 1.0
    classified: float = 0.1
    latent: float = 0.0
    label: float = 0.0

    def __post_init__(self) -> None:
        for name, weight in vars(self).items():
            if not isinstance(weight, int | float) or not 0 <= weight < math.inf:
                raise AliAugError(f"loss weight {name} {weight!r}: expected a number of 0 or more")


def masked_l1(a: Tensor, b: Tensor, where: Tensor) -> Tensor:
    """Mean |a − b| over the pixels where `where` (B, 1, H, W) is 1; 0 if there are none."""
    weight = where.expand_as(a)
    return ((a - b).abs() * weight).sum() / divisor(weight.sum())


def inside_loss(output: Tensor, target: Tensor, mask: Tensor, paired: Tensor) -> Tensor:
    """L1 under the mask, averaged per sample: a small defect counts as much as a large one."""
    error = ((output - target).abs() * mask).sum(dim=(1, 2, 3))
    per_sample = error / (3 * mask.sum(dim=(1, 2, 3))).clamp(min=1.0)
    return (per_sample * paired).sum() / divisor(paired.sum())


def histogram_loss(output: Tensor, target: Tensor, mask: Tensor, paired: Tensor) -> Tensor:
    """Distance between the histograms under the mask, of the values and of their differences to
    neighbours one and two pixels away, averaged per sample.

    Where texture cannot be foretold, a loss pixel by pixel is least for a flat mean. This one lets
    pixels change places: the Wasserstein-1 distance in one dimension, the mean difference of the
    sorted values (Vallender 1974).
    """
    views = [(output, target, mask)]
    for step in (1, 2):
        for dim in (2, 3):
            length = output.shape[dim] - step
            near, far = mask.narrow(dim, 0, length), mask.narrow(dim, step, length)
            ours, theirs = (
                x.narrow(dim, step, length) - x.narrow(dim, 0, length) for x in (output, target)
            )
            views.append((ours, theirs, near * far))
    return torch.stack([_sorted_distance(*view, paired) for view in views]).mean()


def _sorted_distance(ours: Tensor, theirs: Tensor, where: Tensor, paired: Tensor) -> Tensor:
    """Mean difference of the sorted values (B, C, H, W) where `where` (B, 1, H, W) is 1."""
    held = where.expand_as(ours) > 0
    # what is not looked at is above every value: sorted to the end, and equal there
    a, b = (torch.where(held, x, BEYOND).flatten(2).sort(dim=2).values for x in (ours, theirs))
    per_sample = (a - b).abs().sum(dim=(1, 2)) / held.flatten(1).sum(dim=1).clamp(min=1)
    return (per_sample * paired).sum() / divisor(paired.sum())


def gradient_loss(output: Tensor, target: Tensor, mask: Tensor, paired: Tensor) -> Tensor:
    """L1 of horizontal and vertical differences; unpaired samples count outside the mask only."""
    known = 1 - mask * (1 - paired)[:, None, None, None]
    total = output.new_zeros(())
    for dim in (2, 3):
        length = output.shape[dim] - 1
        near, far = known.narrow(dim, 0, length), known.narrow(dim, 1, length)
        total = total + masked_l1(output.diff(dim=dim), target.diff(dim=dim), near * far)
    return total


def feature_loss(ours: Sequence[Tensor], theirs: Sequence[Tensor], paired: Tensor) -> Tensor:
    """Mean over layers of the L1 between features, each relative to its own scale (paired only)."""
    weight = paired[:, None, None, None]
    total = paired.new_zeros(())
    for a, b in zip(ours, theirs, strict=True):
        scale = mean_over_ranks(b.abs().mean()).clamp(min=1e-3)
        total = total + ((a - b.detach()).abs() * weight).mean() / scale
    return total / len(ours)


def latent_moments(latent: Tensor) -> Tensor:
    """Pulls each latent channel to zero mean and unit variance, so that noise is on its scale."""
    mean = latent.mean(dim=(0, 2, 3))
    variance = latent.var(dim=(0, 2, 3))
    return mean.square().mean() + (variance.clamp(min=1e-4).log()).square().mean()


def label_loss(head: nn.Linear, denoised: Tensor, mask: Tensor, class_index: Tensor) -> Tensor:
    """Cross entropy of the class, read by `head` from the mean of the latent under the mask.

    `denoised` (B, C, H/8, W/8), `mask` (B, 1, H, W), `class_index` (B,) integers.
    """
    touched = F.max_pool2d(mask, mask.shape[-1] // denoised.shape[-1])
    mean = (denoised * touched).sum(dim=(2, 3)) / touched.sum(dim=(2, 3)).clamp(min=1.0)
    return F.cross_entropy(head(mean), class_index)


@torch.no_grad()
def psnr_db(a: Tensor, b: Tensor, where: Tensor | None = None) -> float:
    """Peak signal-to-noise ratio in dB of images in [-1, 1], over `where` (B, 1, H, W) if given."""
    weight = torch.ones_like(a) if where is None else where.expand_as(a)
    mse = ((a - b).square() * weight).sum() / weight.sum().clamp(min=1.0)
    return float(10 * torch.log10(4.0 / mse.clamp(min=1e-10)))
