"""The autoencoder's forward with its skips in the open: taps out, taps in.

Written over diffusers' `AutoencoderKL` modules instead of hooks, so that the same forward is
trained, exported and profiled, and taps are arguments and return values.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from diffusers import AutoencoderKL
from torch import Tensor, nn


def encode_with_taps(vae: AutoencoderKL, image: Tensor) -> tuple[Tensor, list[Tensor]]:
    """Latent (posterior mode, scaled) and the activation before each down block.

    Args:
        image: (B, 3, H, W) in [-1, 1]; H and W are multiples of the latent factor.

    Returns:
        latent (B, 4, H/8, W/8), and taps from fine to coarse: (B, C_i, H/2^i, W/2^i).
    """
    encoder = vae.encoder
    x = encoder.conv_in(image)
    taps = []
    for block in encoder.down_blocks:
        taps.append(x)
        x = block(x)
    x = encoder.mid_block(x)
    x = encoder.conv_out(encoder.conv_act(encoder.conv_norm_out(x)))
    if vae.quant_conv is not None:
        x = vae.quant_conv(x)
    mean, _log_variance = x.chunk(2, dim=1)
    return mean * vae.config.scaling_factor, taps


def decode_with_taps(
    vae: AutoencoderKL, skips: nn.ModuleList, latent: Tensor, taps: Sequence[Tensor]
) -> Tensor:
    """Image (B, 3, H, W), not clamped, from a scaled latent and taps from fine to coarse.

    `skips[i]` is the 1×1 convolution of tap i; its result is added to the input of the up block
    that works at that tap's resolution. One tap more than up blocks is the image itself, added to
    the output: group normalisation forgets absolute brightness, and without this path the decoder
    draws bright spots to carry it. No taps means no skips.
    """
    decoder = vae.decoder
    z = latent / vae.config.scaling_factor
    if vae.post_quant_conv is not None:
        z = vae.post_quant_conv(z)
    x = decoder.mid_block(decoder.conv_in(z))
    last = len(decoder.up_blocks) - 1
    for index, block in enumerate(decoder.up_blocks):
        if taps:
            x = x + skips[last - index](taps[last - index])
        x = block(x)
    x = decoder.conv_out(decoder.conv_act(decoder.conv_norm_out(x)))
    if len(taps) > len(decoder.up_blocks):
        x = x + skips[-1](taps[-1])
    return x


def tap_channels(vae: AutoencoderKL) -> list[int]:
    """Channels of each tap, fine to coarse: the input width of each down block."""
    widths = list(vae.config.block_out_channels)
    return [widths[0], *widths[:-1]]


def skip_out_channels(vae: AutoencoderKL) -> list[int]:
    """Input width of the up block that meets each tap, in the order of the taps."""
    widths = list(vae.config.block_out_channels)
    return [*widths[1:], widths[-1]]


def new_skips(vae: AutoencoderKL, in_channels: Sequence[int]) -> nn.ModuleList:
    """One 1×1 convolution per tap, zero-initialised: at first the skips change nothing."""
    convs = []
    widths = [*skip_out_channels(vae), vae.config.out_channels][: len(in_channels)]
    for wide, out in zip(in_channels, widths, strict=True):
        conv = nn.Conv2d(wide, out, kernel_size=1, bias=False)
        if conv.weight.device.type != "meta":
            torch.nn.init.zeros_(conv.weight)
        convs.append(conv)
    return nn.ModuleList(convs)
