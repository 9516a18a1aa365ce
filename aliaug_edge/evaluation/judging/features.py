"""Offline features: the frozen encoder of the shipped base, which no run has tuned."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
import torch.nn.functional as F
from diffusers import AutoencoderKL
from numpy.typing import NDArray
from torch import Tensor

from aliaug_edge import imaging
from aliaug_edge.assets import TINY
from aliaug_edge.components import components
from aliaug_edge.model.base import load_base
from aliaug_edge.model.vae import encode_with_taps

UInt8 = NDArray[np.uint8]
AT_ONCE = 16
LOOSE_PX = 1  # by which masks are grown: an outline is drawn to a pixel, and edges are blurred
FAR = 1e4


def frozen_encoder() -> AutoencoderKL:
    """The shipped base's autoencoder in evaluation mode.

    Raises:
        AliAugError: the base is not in this installation.
    """
    return load_base(TINY).vae.requires_grad_(False).eval()


def largest_part(mask: UInt8) -> UInt8:
    """The largest component alone of `mask` (H, W), which is not empty."""
    part = max(components(mask), key=lambda found: found.area)
    alone = np.zeros_like(mask)
    rows, columns = part.pixels.shape
    alone[part.top : part.top + rows, part.left : part.left + columns][part.pixels] = 255
    return alone


def middle_of(mask: UInt8) -> tuple[int, int]:
    """Row and column of the pixel of `mask` (H, W), not empty, that is nearest to its centroid."""
    rows, columns = np.nonzero(mask)
    off = np.square(rows - rows.mean()) + np.square(columns - columns.mean())
    nearest = int(off.argmin())
    return int(rows[nearest]), int(columns[nearest])


@torch.no_grad()
def statistics(vae: AutoencoderKL, views: Tensor) -> Tensor:
    """What a defect looks like, whatever its outline: (B, D) of `views` (B, 4, S, S) in [-1, 1].

    Per channel of every layer: mean, highest and lowest value under the mask less the
    mean around it, and the spread on both sides; their signed logarithms, as a few layers have
    long tails. The mask says where to look and is no feature.
    """
    return torch.cat([_statistics(vae, part) for part in views.split(AT_ONCE)])


def _statistics(vae: AutoencoderKL, views: Tensor) -> Tensor:
    latent, taps = encode_with_taps(vae, views[:, :3])
    marked = F.max_pool2d((views[:, 3:] > 0).float(), 2 * LOOSE_PX + 1, 1, LOOSE_PX)
    found = []
    for layer in (_edges(views[:, :3]), *taps, latent):
        inside = F.max_pool2d(marked, marked.shape[-1] // layer.shape[-1])
        mean, spread = _moments(layer, inside)
        around, spread_around = _moments(layer, 1 - inside)
        high = (layer - FAR * (1 - inside)).amax((2, 3))
        low = (layer + FAR * (1 - inside)).amin((2, 3))
        found += [mean - around, spread, spread_around, high - around, low - around]
    together = torch.cat(found, dim=1)
    return together.sign() * torch.log1p(3 * together.abs())


def _edges(colours: Tensor) -> Tensor:
    """Lightness and its change down and across, (B, 3, S, S): what normalisation forgets."""
    light = colours.mean(1, keepdim=True)
    padded = F.pad(light, (1, 0, 1, 0), mode="replicate")
    down = (padded[..., 1:, 1:] - padded[..., :-1, 1:]).abs()
    across = (padded[..., 1:, 1:] - padded[..., 1:, :-1]).abs()
    return torch.cat([light, down, across], dim=1)


def _moments(layer: Tensor, where: Tensor) -> tuple[Tensor, Tensor]:
    count = where.sum((2, 3)).clamp(min=1)
    mean = (layer * where).sum((2, 3)) / count
    square = ((layer - mean[..., None, None]).square() * where).sum((2, 3)) / count
    return mean, square.sqrt()


@torch.no_grad()
def perceptual_distances(
    vae: AutoencoderKL, first: Sequence[UInt8], second: Sequence[UInt8]
) -> list[float]:
    """LPIPS-like distance of each pair of images (h, w, 3) uint8; 0 for equal ones.

    Layers are normalised to unit length along channels; the mean over positions of the squared
    difference, then over layers (Zhang et al. 2018, equation 1, without its learned weights).
    """
    distances = []
    for one, other in zip(first, second, strict=True):
        pair = torch.from_numpy(imaging.images_to_tensor(np.stack([one, other])))
        latent, taps = encode_with_taps(vae, pair)
        layers = [F.normalize(layer, dim=1) for layer in (*taps, latent)]
        apart = [(layer[0] - layer[1]).square().sum(0).mean() for layer in layers]
        distances.append(float(torch.stack(apart).mean()))
    return distances
