"""The one-step generator: image + mask + class + noise → the image with that defect there."""

from __future__ import annotations

from typing import NamedTuple

import torch
from diffusers import AutoencoderKL, UNet2DConditionModel
from torch import Tensor, nn

from aliaug_edge.model import conditioning as cond
from aliaug_edge.model import vae as vae_forward

TIMESTEP = 999  # one-step models are distilled to denoise from the last timestep alone


class Parts(NamedTuple):
    """The tensors of one forward, for losses that look inside."""

    latent: Tensor
    image_taps: list[Tensor]
    mask_taps: list[Tensor]
    denoised: Tensor
    generated: Tensor


class Generator(nn.Module):
    """Encode → one step → decode with skips. Tensor names and shapes: `aliaug_edge.tensors`.

    The three stages are methods so that each can be exported and timed by itself; `forward` is
    their composition and nothing else.
    """

    def __init__(
        self,
        vae: AutoencoderKL,
        unet: UNet2DConditionModel,
        skips: nn.ModuleList,
        conditioning: cond.Conditioning,
        alpha_bar: float,
        *,
        noise: bool = True,
    ) -> None:
        super().__init__()
        self.vae = vae
        self.unet = unet
        self.skips = skips
        self.conditioning: cond.Conditioning = conditioning
        self.alpha_bar = alpha_bar
        self.noise = noise  # False for an ablation: the input is there and not heeded

    def encode(self, image: Tensor) -> tuple[Tensor, list[Tensor]]:
        """(B, 3, H, W) in [-1, 1] → latent (B, 4, H/8, W/8) and taps, fine to coarse."""
        return vae_forward.encode_with_taps(self.vae, image)

    def noised(self, latent: Tensor, mask: Tensor, noise: Tensor) -> Tensor:
        """z_t at t = 999 (`conditioning.noised`)."""
        if not self.noise:
            noise = torch.zeros_like(noise)
        return cond.noised(self.conditioning, latent, mask, noise, self.alpha_bar)

    def denoise(
        self,
        latent: Tensor,
        mask: Tensor,
        colour: Tensor,
        noise: Tensor,
        severity: Tensor,
        appearance: Tensor,
        prompt_embeds: Tensor,
        mask_latent: Tensor | None = None,
    ) -> Tensor:
        """One denoising step in closed form: x0 = (z_t − √(1−ᾱ)·ε) / √ᾱ at t = 999.

        (Ho et al. 2020, eq. 15, solved for x0.) The last line stays in FP32: 1/√ᾱ is 14.6 for
        Stable Diffusion's schedule and would amplify every rounding error of ε by as much.
        """
        z_t = self.noised(latent, mask, noise)
        planes = cond.unet_planes(
            self.conditioning, latent, mask, colour, severity, appearance, mask_latent
        )
        epsilon = self.unet(torch.cat([z_t, *planes], dim=1), TIMESTEP, prompt_embeds).sample
        signal, noise_level = self.alpha_bar**0.5, (1 - self.alpha_bar) ** 0.5
        return (z_t.float() - noise_level * epsilon.float()) / signal

    def decode(
        self,
        denoised: Tensor,
        image: Tensor,
        mask: Tensor,
        colour: Tensor,
        appearance: Tensor,
        grain: Tensor,
        image_taps: list[Tensor],
        mask_taps: list[Tensor],
    ) -> Tensor:
        """Denoised latent, grain and taps → image (B, 3, H, W), clamped to [-1, 1]."""
        if not self.noise:
            grain = torch.zeros_like(grain)
        taps = cond.decoder_taps(
            self.conditioning, image, image_taps, mask_taps, mask, colour, appearance, grain
        )
        drawn = vae_forward.decode_with_taps(self.vae, self.skips, denoised, taps)
        return cond.composed(self.conditioning, image, drawn, mask).clamp(-1, 1)

    def forward(
        self,
        image: Tensor,
        mask: Tensor,
        colour: Tensor,
        noise: Tensor,
        grain: Tensor,
        severity: Tensor,
        appearance: Tensor,
        prompt_embeds: Tensor,
    ) -> Tensor:
        """All inputs as in `aliaug_edge.tensors`; returns (B, 3, H, W) in [-1, 1]."""
        parts = self.forward_parts(
            image, mask, colour, noise, grain, severity, appearance, prompt_embeds
        )
        return parts.generated

    def forward_parts(
        self,
        image: Tensor,
        mask: Tensor,
        colour: Tensor,
        noise: Tensor,
        grain: Tensor,
        severity: Tensor,
        appearance: Tensor,
        prompt_embeds: Tensor,
    ) -> Parts:
        """`forward`, with everything that arose on the way."""
        latent, image_taps = self.encode(image)
        mask_latent: Tensor | None = None
        mask_taps: list[Tensor] = []
        if self.conditioning != "light":
            mask_latent, mask_taps = self.encode(cond.paint(mask, colour))
        denoised = self.denoise(
            latent, mask, colour, noise, severity, appearance, prompt_embeds, mask_latent
        )
        generated = self.decode(
            denoised, image, mask, colour, appearance, grain, image_taps, mask_taps
        )
        return Parts(latent, image_taps, mask_taps, denoised, generated)


def new_generator(
    vae: AutoencoderKL,
    unet: UNet2DConditionModel,
    conditioning: cond.Conditioning,
    alpha_bar: float,
    *,
    noise: bool = True,
) -> Generator:
    """A generator over a base's VAE and U-Net: `conv_in` widened with zeros, skips at zero."""
    channels = cond.unet_in_channels(conditioning, vae.config.latent_channels)
    widen_conv_in(unet, channels)
    skips = vae_forward.new_skips(
        vae, cond.skip_in_channels(conditioning, vae_forward.tap_channels(vae))
    )
    return Generator(vae, unet, skips, conditioning, alpha_bar, noise=noise)


def widen_conv_in(unet: UNet2DConditionModel, in_channels: int) -> None:
    """Give `unet.conv_in` more input channels, zero at first, so that nothing changes yet."""
    old = unet.conv_in
    if old.in_channels == in_channels:
        return
    new = nn.Conv2d(
        in_channels,
        old.out_channels,
        old.kernel_size,
        padding=old.padding,
        device=old.weight.device,
        dtype=old.weight.dtype,
    )
    if old.weight.device.type != "meta":
        with torch.no_grad():
            new.weight.zero_()
            new.weight[:, : old.in_channels] = old.weight
            assert old.bias is not None and new.bias is not None
            new.bias.copy_(old.bias)
    unet.conv_in = new
    unet.register_to_config(in_channels=in_channels)
