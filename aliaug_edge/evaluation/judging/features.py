"""Offline features: the frozen encoder of the shipped base, which no run has tuned."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
import torch.nn.functional as F
from diffusers import AutoencoderKL
from numpy.typing import NDArray
from torch import Tensor

from aliaug_edge import crops, imaging
from aliaug_edge.assets import TINY
from aliaug_edge.components import components
from aliaug_edge.model.base import load_base
from aliaug_edge.model.vae import encode_with_taps

UInt8 = NDArray[np.uint8]
AT_ONCE = 16
CONTEXT = 1.25  # a view's side is at least this many times the longer side of the mask's box
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


def view_of(image: UInt8, mask: UInt8, side: int, *, reach: float = 1.0) -> UInt8:
    """RGB and mask (4, S, S) uint8 centred on the box of `mask`, S = round(side · reach).

    At full resolution where the box with `CONTEXT` fits into `side`, else scaled down.
    """
    box = crops.mask_box(mask)
    scale = max(1.0, CONTEXT * max(box.height, box.width) / side)
    length, shown = round(side * scale * reach), round(side * reach)
    window = crops.Window(
        box.top + box.height // 2 - length // 2,
        box.left + box.width // 2 - length // 2,
        length,
        length,
    )
    colours = crops.resize(np.ascontiguousarray(crops.cut(image, window)), (shown, shown))
    marked = crops.resize_mask(np.ascontiguousarray(crops.cut(mask, window)), (shown, shown))
    return np.ascontiguousarray(np.dstack([colours, marked]).transpose(2, 0, 1))


@torch.no_grad()
def statistics(vae: AutoencoderKL, views: Tensor) -> Tensor:
    """What a defect looks like, whatever its outline: (B, D) of `views` (B, 4, S, S) in [-1, 1].

    Per channel of every layer: mean, highest and lowest value under the mask less the mean around
    it, and the spread on both sides; their signed logarithms, as a few layers have long tails.
    """
    return torch.cat([_statistics(vae, part) for part in views.split(AT_ONCE)])


def _statistics(vae: AutoencoderKL, views: Tensor) -> Tensor:
    latent, taps = encode_with_taps(vae, views[:, :3])
    marked = (views[:, 3:] > 0).float()
    found = []
    for layer in (*taps, latent):
        inside = F.max_pool2d(marked, marked.shape[-1] // layer.shape[-1])
        mean, spread = _moments(layer, inside)
        around, spread_around = _moments(layer, 1 - inside)
        high = (layer - FAR * (1 - inside)).amax((2, 3))
        low = (layer + FAR * (1 - inside)).amin((2, 3))
        found += [mean - around, spread, spread_around, high - around, low - around]
    together = torch.cat(found, dim=1)
    return together.sign() * torch.log1p(3 * together.abs())


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
