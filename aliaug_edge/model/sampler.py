"""Several denoising steps instead of one, for comparison: deterministic DDIM in the same latent.

The base and every run are trained for t = 999 alone (`model.generator.TIMESTEP`). A step at an
earlier t shows the U-Net a timestep and a noise level that it has never learned, so more steps
measure what this model does with them, not what a model trained for several steps could do.
"""

from __future__ import annotations

import itertools

import torch
import torch.nn.functional as F
from torch import Tensor

from aliaug_edge.errors import AliAugError
from aliaug_edge.model import conditioning as cond
from aliaug_edge.model.generator import TIMESTEP, Generator

TIMESTEPS = TIMESTEP + 1


def schedule(steps: int) -> tuple[int, ...]:
    """`steps` timesteps, evenly spaced and ending at the trailing edge (Lin et al. 2024).

    1 → 999; 2 → 999, 499; 4 → 999, 749, 499, 249. One step is the generator's own.

    Raises:
        AliAugError: `steps` is not 1 … 1000.
    """
    if not 1 <= steps <= TIMESTEPS:
        raise AliAugError(f"steps {steps}: expected 1 … {TIMESTEPS}")
    return tuple(round(TIMESTEPS * (steps - i) / steps) - 1 for i in range(steps))


@torch.no_grad()
def sample(
    generator: Generator,
    image: Tensor,
    mask: Tensor,
    colour: Tensor,
    noise: Tensor,
    grain: Tensor,
    severity: Tensor,
    appearance: Tensor,
    prompt_embeds: Tensor,
    *,
    alphas: Tensor,
    steps: int = 1,
) -> Tensor:
    """`Generator.forward` with `steps` denoising steps; (B, 3, H, W) in [-1, 1].

    `alphas` (1000,) are the schedule's ᾱ_t; inputs as in `aliaug_edge.tensors`. What conditions
    the U-Net and the decoder is computed once and is the same in every step.
    """
    latent, image_taps = generator.encode(image)
    mask_latent: Tensor | None = None
    mask_taps: list[Tensor] = []
    if generator.conditioning != "light":
        mask_latent, mask_taps = generator.encode(cond.paint(mask, colour))
    planes = cond.unet_planes(
        generator.conditioning, latent, mask, colour, severity, appearance, mask_latent
    )
    denoised = denoise_in_steps(
        generator,
        generator.noised(latent, mask, noise),
        planes,
        _noisy_part(generator, latent, mask),
        prompt_embeds,
        alphas,
        schedule(steps),
    )
    return generator.decode(denoised, image, mask, colour, appearance, grain, image_taps, mask_taps)


def denoise_in_steps(
    generator: Generator,
    z_t: Tensor,
    planes: list[Tensor],
    noisy: Tensor,
    prompt_embeds: Tensor,
    alphas: Tensor,
    timesteps: tuple[int, ...],
) -> Tensor:
    """x0 (B, 4, H/8, W/8) from z_t at the first of `timesteps`, through all of them, in FP32.

    At each t: x0 = (z_t − √(1−ᾱ_t)·ε) / √ᾱ_t, then z_s = √ᾱ_s·x0 + √(1−ᾱ_s)·ε for the next s
    (Song et al. 2021, eq. 12 with σ = 0). `noisy` (B, 1, H/8, W/8) is 1 where z_t has noise: where
    the forward process puts none, no step puts any.
    """
    z_t = z_t.float()
    for t, following in itertools.zip_longest(timesteps, timesteps[1:]):
        signal, level = _levels(alphas, t)
        seen = torch.cat([z_t, *planes], dim=1)
        epsilon = generator.unet(seen, t, prompt_embeds).sample.float()
        x0 = (z_t - level * epsilon) / signal
        if following is not None:
            signal, level = _levels(alphas, following)
            z_t = signal * x0 + level * noisy * epsilon
    return x0


def _levels(alphas: Tensor, t: int) -> tuple[float, float]:
    """√ᾱ_t and √(1−ᾱ_t)."""
    alpha_bar = float(alphas[t])
    return alpha_bar**0.5, (1 - alpha_bar) ** 0.5


def _noisy_part(generator: Generator, latent: Tensor, mask: Tensor) -> Tensor:
    """Where z_t has noise: under the mask, as in `conditioning.noised`; `paper` denoises it all."""
    if generator.conditioning == "paper":
        return torch.ones_like(latent[:, :1])
    return F.max_pool2d(mask, mask.shape[-1] // latent.shape[-1])
