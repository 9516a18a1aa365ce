"""The three ways in which the mask and the image reach the output (an ablation, `docs/method.md`).

`paper`  the released Ali-AUG model: the image reaches the output through the latent alone, the
         mask through the shared encoder's taps alone. No noise, no severity.
`full`   image taps, the image itself and mask taps (the encoder runs twice), the mask's latent
         in a widened `conv_in`, noise in the masked latent. What the decoder draws replaces the
         image through a soft mask.
`light`  as `full`, but the encoder runs once: the painted mask enters by pooling, at the latent's
         resolution and beside each tap.
"""

from __future__ import annotations

from typing import Literal, get_args

import torch
import torch.nn.functional as F
from torch import Tensor

Conditioning = Literal["paper", "full", "light"]
CONDITIONINGS: tuple[str, ...] = get_args(Conditioning)
IMAGE_CHANNELS = 3
PAINT_CHANNELS = 3  # the mask painted with the class colour
GROWN, SOFTENED = 5, 3  # kernels in pixels: the soft mask ends 3 pixels beyond the mask


def unet_in_channels(conditioning: Conditioning, latent_channels: int) -> int:
    """Input width of the U-Net: z_t first, then the planes of `unet_planes`."""
    extra = {
        "paper": 0,
        "full": 2 * latent_channels + 2,
        "light": latent_channels + PAINT_CHANNELS + 1,
    }
    return latent_channels + extra[conditioning]


def skip_in_channels(conditioning: Conditioning, tap_channels: list[int]) -> list[int]:
    """Input width of each skip convolution: fine to coarse, then the image's own."""
    if conditioning == "paper":
        return tap_channels
    if conditioning == "full":
        return [*(2 * width for width in tap_channels), IMAGE_CHANNELS]
    return [*(width + PAINT_CHANNELS for width in tap_channels), IMAGE_CHANNELS]


def paint(mask: Tensor, colour: Tensor) -> Tensor:
    """The mask in its class colour: (B, 1, H, W) in {0, 1} and (B, 3) in [0, 1] → (B, 3, H, W)."""
    return mask * colour[:, :, None, None]


def noised(
    conditioning: Conditioning, latent: Tensor, mask: Tensor, noise: Tensor, alpha_bar: float
) -> Tensor:
    """z_t, the latent that the U-Net denoises.

    `paper` denoises the clean latent itself. The others follow the DDPM forward process
    z_t = √ᾱ·z + √(1−ᾱ)·ε (Ho et al. 2020, eq. 4) with ε = noise under the mask and 0 elsewhere, so
    that an inert U-Net leaves the part outside the mask alone and only noise inside it.
    """
    if conditioning == "paper":
        return latent
    factor = mask.shape[-1] // latent.shape[-1]
    touched = F.max_pool2d(mask, factor)
    return float(alpha_bar**0.5) * latent + float((1 - alpha_bar) ** 0.5) * touched * noise


def unet_planes(
    conditioning: Conditioning,
    latent: Tensor,
    mask: Tensor,
    colour: Tensor,
    severity: Tensor,
    mask_latent: Tensor | None,
) -> list[Tensor]:
    """What the widened `conv_in` sees beside z_t, each (B, k, H/8, W/8)."""
    if conditioning == "paper":
        return []
    coverage = F.avg_pool2d(mask, mask.shape[-1] // latent.shape[-1])
    strength = coverage * severity[:, :, None, None]
    if conditioning == "light":
        return [latent, coverage * colour[:, :, None, None], strength]
    assert mask_latent is not None
    return [latent, mask_latent, coverage, strength]


def decoder_taps(
    conditioning: Conditioning,
    image: Tensor,
    image_taps: list[Tensor],
    mask_taps: list[Tensor],
    mask: Tensor,
    colour: Tensor,
) -> list[Tensor]:
    """What the skip convolutions read: taps fine to coarse, then the image itself."""
    if conditioning == "paper":
        return mask_taps
    if conditioning == "full":
        both = zip(image_taps, mask_taps, strict=True)
        return [*(torch.cat(pair, dim=1) for pair in both), image]
    painted = paint(mask, colour)
    pooled = [F.avg_pool2d(painted, 2**level) if level else painted for level in range(4)]
    both = zip(image_taps, pooled, strict=True)
    return [*(torch.cat(pair, dim=1) for pair in both), image]


def composed(conditioning: Conditioning, image: Tensor, drawn: Tensor, mask: Tensor) -> Tensor:
    """What the decoder drew, through a soft mask over the image; `paper` shows the drawing itself.

    Without the soft mask the decoder must learn the product *change × mask* out of normalised sums
    (`docs/decisions/0007`), and must repeat every pixel that it should leave alone.
    """
    if conditioning == "paper":
        return drawn
    grown = F.max_pool2d(mask, GROWN, stride=1, padding=GROWN // 2)
    soft = F.avg_pool2d(grown, SOFTENED, stride=1, padding=SOFTENED // 2, count_include_pad=False)
    return image + soft * (drawn - image)
