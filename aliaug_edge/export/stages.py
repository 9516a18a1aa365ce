"""The generator's stages as modules with flat inputs and outputs, and their tensor specs.

A graph lists only the inputs that its conditioning uses. Names are those of `aliaug_edge.tensors`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from aliaug_edge.model.conditioning import APPEARANCE
from aliaug_edge.model.generator import Generator
from aliaug_edge.model.text import PROMPT_TOKENS
from aliaug_edge.model.vae import tap_channels
from aliaug_edge.tensors import TensorSpec

LATENT_FACTOR = 8
STAGES = ("encoder", "unet", "decoder")
GRAPHS = (*STAGES, "generator")
Shape = tuple[int | str, ...]


@dataclass(frozen=True)
class Stage:
    """A module to export: its inputs by name and order, its outputs, and their shapes."""

    name: str
    module: nn.Module
    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]


def size_multiple(generator: Generator) -> int:
    """Sides in pixels must be multiples of this: the VAE's factor times the U-Net's."""
    return LATENT_FACTOR * 2 ** (len(generator.unet.config.block_out_channels) - 1)


def stage_of(generator: Generator, name: str) -> Stage:
    """The stage called `name` (encoder, unet, decoder or generator)."""
    shapes = tensor_shapes(generator)
    inputs, outputs = _names(generator, name)
    return Stage(
        name=name,
        module=_Stage(generator, name, inputs),
        inputs=tuple(TensorSpec(n, "float32", shapes[n]) for n in inputs),
        outputs=tuple(TensorSpec(n, "float32", shapes[n]) for n in outputs),
    )


def tensor_shapes(generator: Generator) -> dict[str, Shape]:
    """Shape of every tensor of the contract; free dimensions by name."""
    channels = generator.vae.config.latent_channels
    width = generator.unet.config.cross_attention_dim
    pixels, latent = ("height", "width"), ("latent_height", "latent_width")
    shapes: dict[str, Shape] = {
        "image": ("batch", 3, *pixels),
        "generated": ("batch", 3, *pixels),
        "mask": ("batch", 1, *pixels),
        "grain": ("batch", 1, *pixels),
        "colour": ("batch", 3),
        "severity": ("batch", 1),
        "appearance": ("batch", APPEARANCE),
        "prompt_embeds": ("batch", PROMPT_TOKENS, width),
    }
    for name in ("latent", "mask_latent", "noise", "denoised"):
        shapes[name] = ("batch", channels, *latent)
    for level, tap_width in enumerate(tap_channels(generator.vae)):
        at = pixels if level == 0 else tuple(f"{axis}_{2**level}" for axis in pixels)
        for name in (f"tap_{level}", f"mask_tap_{level}"):
            shapes[name] = ("batch", tap_width, *at)
    return shapes


def _names(generator: Generator, stage: str) -> tuple[list[str], list[str]]:
    """Input and output names of a stage under the generator's conditioning."""
    levels = range(len(tap_channels(generator.vae)))
    taps = [f"tap_{i}" for i in levels]
    mask_taps = [f"mask_{tap}" for tap in taps]
    paper, full = generator.conditioning == "paper", generator.conditioning == "full"
    noise, grain = ([] if paper else [name] for name in ("noise", "grain"))
    looks = [] if paper else ["appearance"]
    asked = [] if paper else ["severity", *looks]
    if stage == "encoder":
        return ["image"], ["latent", *taps]
    if stage == "unet":
        place = [] if paper else ["mask"] if full else ["mask", "colour"]
        extra = ["mask_latent"] if full else []
        return ["latent", *place, *noise, *asked, "prompt_embeds", *extra], ["denoised"]
    if stage == "decoder":
        placed = [*taps, *mask_taps] if full else ["colour", *taps]
        seen = mask_taps if paper else ["image", "mask", *looks, *grain, *placed]
        return ["denoised", *seen], ["generated"]
    return ["image", "mask", "colour", *noise, *grain, *asked, "prompt_embeds"], ["generated"]


class _Stage(nn.Module):
    """One stage of a generator behind positional tensors, as an exporter wants it."""

    def __init__(self, generator: Generator, stage: str, names: list[str]) -> None:
        super().__init__()
        self.generator = generator
        self.stage = stage
        self.names = names

    def forward(self, *tensors: Tensor) -> Any:
        given = dict(zip(self.names, tensors, strict=True))
        if self.stage == "encoder":
            latent, taps = self.generator.encode(given["image"])
            return (latent, *taps)
        reference = given.get("latent", given.get("denoised", given.get("image")))
        assert reference is not None
        blank = _blanks(reference)
        if self.stage == "unet":
            del blank["image"], blank["grain"]
            return self.generator.denoise(**{**blank, **given})
        if self.stage == "decoder":
            return self._decode(given, blank)
        return self.generator(**{**blank, **given})

    def _decode(self, given: dict[str, Tensor], blank: dict[str, Tensor]) -> Tensor:
        return self.generator.decode(
            given["denoised"],
            given.get("image", blank["image"]),
            given.get("mask", blank["mask"]),
            given.get("colour", blank["colour"]),
            given.get("appearance", blank["appearance"]),
            given.get("grain", blank["grain"]),
            [value for name, value in given.items() if name.startswith("tap_")],
            [value for name, value in given.items() if name.startswith("mask_tap_")],
        )


def _blanks(reference: Tensor) -> dict[str, Tensor]:
    """Stand-ins for arguments that a conditioning takes and does not read; none reaches a graph."""
    empty = reference.new_zeros(1)
    names = ("image", "mask", "colour", "noise", "grain", "severity", "appearance")
    return dict.fromkeys(names, empty)


def example_inputs(
    stage: Stage, multiple: int, *, batch: int = 2, units: tuple[int, int] = (4, 6)
) -> list[Tensor]:
    """Random inputs of a stage at `units` × `multiple` pixels; batch and sides differ on purpose,
    so that an exporter that confuses two dimensions fails."""
    generator = torch.Generator().manual_seed(0)
    bound = free_dimensions(batch, (units[0] * multiple, units[1] * multiple))
    tensors = []
    for spec in stage.inputs:
        shape = [bound[d] if isinstance(d, str) else d for d in spec.shape]
        values = torch.rand(shape, generator=generator)
        values = (values > 0.5).float() if spec.name == "mask" else values
        tensors.append(values.to(getattr(torch, spec.dtype)))
    return tensors


def free_dimensions(batch: int, size_hw: tuple[int, int]) -> dict[str, int]:
    """Value of every named dimension of the contract at this batch and size in pixels."""
    bound = {"batch": batch}
    for axis, length in zip(("height", "width"), size_hw, strict=True):
        bound[axis] = length
        bound[f"latent_{axis}"] = length // LATENT_FACTOR
        bound |= {f"{axis}_{2**level}": length // 2**level for level in (1, 2, 3)}
    return bound
