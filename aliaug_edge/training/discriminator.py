"""A class-conditional PatchGAN: is this patch a real defect of the class that the colour names?"""

from __future__ import annotations

import itertools

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm

OUTSIDE_WEIGHT = 0.05  # patches without any mask still count a little: they must stay real too


class PatchDiscriminator(nn.Module):
    """Strided convolutions over image and painted mask; logits at 1/8 of the resolution.

    (Isola et al. 2017 for the patches; spectral normalisation after Miyato et al. 2018.) With
    `sees_change` it also looks at the difference to the good image, which tells a weak defect from
    a lively surface; that needs real defects whose good counterpart is known exactly.
    """

    def __init__(self, width: int = 32, *, sees_change: bool = False) -> None:
        super().__init__()
        self.sees_change = sees_change
        widths = [9 if sees_change else 6, width, 2 * width, 4 * width]
        self.blocks = nn.ModuleList(
            nn.Sequential(spectral_norm(nn.Conv2d(a, b, 4, stride=2, padding=1)), nn.LeakyReLU(0.2))
            for a, b in itertools.pairwise(widths)
        )
        self.head = spectral_norm(nn.Conv2d(widths[-1], 1, 3, padding=1))

    def forward(self, image: Tensor, good: Tensor, painted: Tensor) -> tuple[Tensor, list[Tensor]]:
        """Image, its good counterpart, painted mask, each (B, 3, H, W) → logits and features.

        Images are in [-1, 1]; logits are (B, 1, H/8, W/8).
        """
        change = [image - good] if self.sees_change else []
        x = torch.cat([image, *change, painted], dim=1)
        features = []
        for block in self.blocks:
            x = block(x)
            features.append(x)
        return self.head(x), features


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
