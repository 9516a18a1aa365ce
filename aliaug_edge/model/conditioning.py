"""The three ways in which the mask and the image reach the output (an ablation, `docs/method.md`).

`paper`  the released Ali-AUG model: the image reaches the output through the latent alone, the
         mask through the shared encoder's taps alone. No noise, no severity.
`full`   image taps, the image itself and mask taps (the encoder runs twice), the mask's latent
         in a widened `conv_in`, noise in the masked latent and, as grain, under the mask beside
         each tap. What the decoder draws replaces the image through a soft mask.
`light`  as `full`, but the encoder runs once: the painted mask enters by pooling, at the latent's
         resolution and beside each tap.
"""

from __future__ import annotations

from typing import Literal, get_args

import torch
import torch.nn.functional as F
from torch import Tensor

from aliaug_edge.model.appearance import FLOOR, LEVEL_GAIN, rim_and_core

Conditioning = Literal["paper", "full", "light"]
CONDITIONINGS: tuple[str, ...] = get_args(Conditioning)
IMAGE_CHANNELS = 3
PAINT_CHANNELS = 3  # the mask painted with the class colour
APPEARANCE = 7  # numbers (`model.appearance`): levels, coarse and fine roughness, rim and core
PLANES = 5  # of these are planes beside the taps and in `conv_in`; rim and core act by the tint
GRAIN_CHANNELS = 1
STRESS, GRAIN_GAIN = 4.0, 2.0  # their weights begin at zero, and learn faster from large inputs
FINE_TAPS = 2
GROWN, SOFTENED = 5, 3  # kernels in pixels: the soft mask ends 3 pixels beyond the mask


def unet_in_channels(conditioning: Conditioning, latent_channels: int) -> int:
    """Input width of the U-Net: z_t first, then the planes of `unet_planes`."""
    extra = {
        "paper": 0,
        "full": 2 * latent_channels + 2 + PLANES,
        "light": latent_channels + PAINT_CHANNELS + 1 + PLANES,
    }
    return latent_channels + extra[conditioning]


def skip_in_channels(conditioning: Conditioning, tap_channels: list[int]) -> list[int]:
    """Input width of each skip convolution: fine to coarse, then the image's own."""
    if conditioning == "paper":
        return tap_channels
    if conditioning == "full":
        extra = PLANES + GRAIN_CHANNELS
        return [*(2 * width + extra for width in tap_channels), IMAGE_CHANNELS]
    extra = PAINT_CHANNELS + PLANES + GRAIN_CHANNELS
    return [*(width + extra for width in tap_channels), IMAGE_CHANNELS]


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
    appearance: Tensor,
    mask_latent: Tensor | None,
) -> list[Tensor]:
    """What the widened `conv_in` sees beside z_t, each (B, k, H/8, W/8)."""
    if conditioning == "paper":
        return []
    coverage = F.avg_pool2d(mask, mask.shape[-1] // latent.shape[-1])
    asked = coverage * torch.cat([severity, appearance[:, :PLANES]], dim=1)[:, :, None, None]
    if conditioning == "light":
        return [latent, coverage * colour[:, :, None, None], asked]
    assert mask_latent is not None
    return [latent, mask_latent, coverage, asked]


def decoder_taps(
    conditioning: Conditioning,
    image: Tensor,
    image_taps: list[Tensor],
    mask_taps: list[Tensor],
    mask: Tensor,
    colour: Tensor,
    appearance: Tensor,
    grain: Tensor,
) -> list[Tensor]:
    """What the skip convolutions read: taps fine to coarse, then the image itself."""
    if conditioning == "paper":
        return mask_taps
    if conditioning == "full":
        placed = mask_taps
    else:
        painted = paint(mask, colour)
        placed = [_pooled(painted, level) for level in range(len(image_taps))]
    asked = STRESS * appearance[:, :PLANES, None, None]
    beside = [_pooled(mask, level) * asked for level in range(len(image_taps))]
    grains = _grains(mask, appearance, grain, len(image_taps))
    parts = zip(image_taps, placed, beside, grains, strict=True)
    return [*(torch.cat(tap, dim=1) for tap in parts), tinted(image, mask, appearance)]


def _grains(mask: Tensor, appearance: Tensor, grain: Tensor, levels: int) -> list[Tensor]:
    """White noise under the mask for each tap, of the asked roughness at any resolution: the fine
    one in the two fine taps, the coarse one in the others."""
    coarse, fine = (appearance[:, IMAGE_CHANNELS:PLANES, None, None] / 2).exp().split(1, dim=1)
    noise = GRAIN_GAIN * grain * mask
    return [
        _pooled(noise, level) * 2**level * (fine if level < FINE_TAPS else coarse)
        for level in range(levels)
    ]


def _pooled(plane: Tensor, level: int) -> Tensor:
    """The mean over squares of 2^level pixels."""
    return F.avg_pool2d(plane, 2**level) if level else plane


def tinted(image: Tensor, mask: Tensor, appearance: Tensor) -> Tensor:
    """`image` with the levels under the mask, in its rim and in its core multiplied as the
    appearance asks, blurred over three pixels as an outline in a photo is: what the decoder starts
    from, so that it has to draw structure and not to find the brightness."""
    asked = appearance[:, :, None, None]
    rim, core = rim_and_core(mask)
    sharp = (
        mask * asked[:, :IMAGE_CHANNELS]
        + rim * asked[:, PLANES : PLANES + 1]
        + core * asked[:, PLANES + 1 :]
    )
    change = F.avg_pool2d(sharp, SOFTENED, stride=1, padding=SOFTENED // 2, count_include_pad=False)
    level = (image + 1) / 2 + FLOOR
    return image + 2 * level * ((change / LEVEL_GAIN).exp() - 1)


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
