"""A class-conditional PatchGAN: is this patch a real defect, and of which class?"""

from __future__ import annotations

import itertools
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm

CHANGE_GAIN = 4.0  # spectral normalisation would leave a weak defect's change within the margin
OUTSIDE_WEIGHT = 0.05  # patches without any mask still count a little: they must stay real too


class Verdict(NamedTuple):
    """What the discriminator says of a batch.

    `realness` (B, 1, H/8, W/8), the activations of the strided blocks, and `class_logits`
    (B, classes) of what is seen around the mask.
    """

    realness: Tensor
    features: list[Tensor]
    class_logits: Tensor


class PatchDiscriminator(nn.Module):
    """Strided convolutions over image and mask: is this patch real, of the class it should be?

    Patches after Isola et al. 2017, spectral normalisation after Miyato et al. 2018, the class by
    projection (Miyato and Koyama 2018) and by an auxiliary classifier (Odena et al. 2017). With
    `sees_change` it also looks at the difference to the good image, which tells a weak defect from
    a lively surface; that needs real defects whose good counterpart is known exactly.
    """

    def __init__(self, classes: int, width: int = 32, *, sees_change: bool = False) -> None:
        super().__init__()
        self.sees_change = sees_change
        widths = [7 if sees_change else 4, width, 2 * width, 4 * width]
        self.blocks = nn.ModuleList(
            nn.Sequential(spectral_norm(nn.Conv2d(a, b, 4, stride=2, padding=1)), nn.LeakyReLU(0.2))
            for a, b in itertools.pairwise(widths)
        )
        last = widths[-1]
        self.mix = nn.Sequential(
            spectral_norm(nn.Conv2d(last, last, 3, padding=1)), nn.LeakyReLU(0.2)
        )
        self.real = spectral_norm(nn.Conv2d(last, 1, 1))
        self.real_of_class = spectral_norm(nn.Embedding(classes, last))
        self.classify = nn.Linear(last, classes)

    def forward(self, image: Tensor, good: Tensor, mask: Tensor, class_index: Tensor) -> Verdict:
        """`image` and its `good` counterpart (B, 3, H, W) in [-1, 1], `mask` (B, 1, H, W),
        `class_index` (B,)."""
        change = [CHANGE_GAIN * (image - good)] if self.sees_change else []
        x = torch.cat([image, *change, mask], dim=1)
        features = []
        for block in self.blocks:
            x = block(x)
            features.append(x)
        x = self.mix(x)
        of_class = (x * self.real_of_class(class_index)[:, :, None, None]).sum(1, keepdim=True)
        near = F.max_pool2d(mask, mask.shape[-1] // x.shape[-1])
        seen = (x * near).sum(dim=(2, 3)) / near.sum(dim=(2, 3)).clamp(min=1.0)
        return Verdict(self.real(x) + of_class, features, self.classify(seen))


def patch_weights(mask: Tensor) -> Tensor:
    """Weight of each patch (B, 1, H/8, W/8): 1 near the mask, little elsewhere; mean 1."""
    near = F.max_pool2d(F.max_pool2d(mask, 8), 3, stride=1, padding=1)
    weights = near + OUTSIDE_WEIGHT
    return weights / weights.mean(dim=(1, 2, 3), keepdim=True)


def discriminator_loss(real: Tensor, fake: Tensor, real_w: Tensor, fake_w: Tensor) -> Tensor:
    """Hinge loss (Lim and Ye 2017), weighted per patch."""
    return (F.relu(1 - real) * real_w).mean() + (F.relu(1 + fake) * fake_w).mean()


def generator_loss(fake: Tensor, weights: Tensor) -> Tensor:
    """The generator's side of the hinge loss."""
    return -(fake * weights).mean()
