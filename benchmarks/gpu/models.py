"""The models: the shipped tiny one, and SD-Turbo's geometry with random weights made on the spot.

The exporter of the package traces FP32 and halves the graph by what it measures on real inputs.
Here the weights are FP16 before the graph is traced, with normalisation in FP32: random weights
have no real inputs, and it takes half the disk and time. Inputs and outputs stay FP32 but for the
taps between encoder and decoder, as in an exported bundle.
"""

from __future__ import annotations

import copy
import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import torch
from diffusers import AutoencoderKL, UNet2DConditionModel
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from aliaug_edge import files
from aliaug_edge.bundle import PROMPTS, ClassSpec, GraphSpec, save_manifest, spec_document
from aliaug_edge.export.fuse import write_fused
from aliaug_edge.export.half import MASK_TAP, TAP
from aliaug_edge.export.onnx import export_stage
from aliaug_edge.export.stages import (
    LATENT_FACTOR,
    STAGES,
    Stage,
    example_inputs,
    size_multiple,
    stage_of,
)
from aliaug_edge.export.weights import share_weights
from aliaug_edge.model.conditioning import paint
from aliaug_edge.model.generator import Generator, new_generator
from aliaug_edge.tensors import TensorSpec

from .settings import Settings

ALPHA_BAR = 0.00466009508818388  # of SD-Turbo's schedule at t = 999
CLASSES = ("crack", "stain")
SPREAD = 0.02  # of the random weights that conditioning adds; at zero no mask would act


def turbo(settings: Settings) -> Generator:
    """A generator of SD-Turbo's geometry (or of what `settings` has in its place), FP32."""
    torch.manual_seed(0)
    with torch.device(settings.device):
        vae = AutoencoderKL(**settings.vae).eval()
        unet = UNet2DConditionModel(**settings.unet).eval()
        generator = new_generator(vae, unet, "light", ALPHA_BAR).eval()
        with torch.no_grad():
            for weight in (*generator.skips.parameters(), generator.unet.conv_in.weight):
                weight.normal_(std=SPREAD)
    return generator.requires_grad_(False)


def run(generator: Generator, dtype: torch.dtype, *tensors: Tensor) -> Tensor:
    """One image through a generator of `dtype`; the x0 step leaves FP32, the decoder wants `dtype`.

    `tensors` are image, mask, colour, noise, grain, severity, appearance and prompt embeddings.
    """
    image, mask, colour, noise, grain, severity, looks, prompts = (t.to(dtype) for t in tensors)
    latent, taps = generator.encode(image)
    mask_latent, mask_taps = None, []
    if generator.conditioning != "light":
        mask_latent, mask_taps = generator.encode(paint(mask, colour))
    denoised = generator.denoise(latent, mask, colour, noise, severity, looks, prompts, mask_latent)
    return generator.decode(denoised.to(dtype), image, mask, colour, looks, grain, taps, mask_taps)


def write_bundle(generator: Generator, folder: Path, settings: Settings) -> Path:
    """An FP16 bundle of `generator` at the settings' sizes in `folder`, unless there is one."""
    if folder.is_dir():
        return folder
    halved = _with_fp32_norms(copy.deepcopy(generator).cpu().half())
    multiple = size_multiple(generator)
    with files.staged_dir(folder) as staged:
        graphs = {}
        for name in STAGES:
            stage = _with_float_seams(stage_of(halved, name))
            graphs[name] = export_stage(stage, multiple, staged / "onnx" / f"{name}.onnx")
        whole = stage_of(halved, "generator")
        fused = GraphSpec("onnx/generator.onnx", whole.inputs, whole.outputs)
        write_fused(staged, graphs, fused)
        graphs["generator"] = fused
        share_weights([staged / spec.path for spec in graphs.values()])
        np.savez(staged / PROMPTS, embeds=_prompts(generator))
        save_manifest(staged, _manifest(folder.name, generator, graphs, settings))
    return folder


def flops(generator: Generator, side: int) -> dict[str, int]:
    """FLOP of one image by graph (a multiply-add is two), counted without computing. The whole is
    the sum of its stages, each of which runs once under `light`: counting takes its time."""
    blank = copy.deepcopy(generator).to("meta")
    multiple = size_multiple(generator)
    counts = {}
    for name in STAGES:
        stage = stage_of(blank, name)
        units = (side // multiple, side // multiple)
        inputs = [t.to("meta") for t in example_inputs(stage, multiple, batch=1, units=units)]
        with torch.no_grad(), FlopCounterMode(display=False) as counter:
            stage.module(*inputs)
        counts[name] = int(counter.get_total_flops())
    return {**counts, "generator": sum(counts.values())}


def _with_float_seams(stage: Stage) -> Stage:
    """A stage of an FP16 model as a bundle has it: FP32 inputs and outputs, FP16 taps."""

    def typed(specs: tuple[TensorSpec, ...]) -> tuple[TensorSpec, ...]:
        return tuple(
            dataclasses.replace(s, dtype="float16") if s.name.startswith((TAP, MASK_TAP)) else s
            for s in specs
        )

    outputs = typed(stage.outputs)
    kinds = [getattr(torch, spec.dtype) for spec in outputs]
    return Stage(stage.name, _FloatSeams(stage.module, kinds), typed(stage.inputs), outputs)


class _FloatSeams(nn.Module):
    """A stage in FP16 that takes any dtype and gives `kinds`."""

    def __init__(self, stage: nn.Module, kinds: list[torch.dtype]) -> None:
        super().__init__()
        self.stage = stage
        self.kinds = kinds

    def forward(self, *tensors: Tensor) -> Any:
        made = self.stage(*(tensor.half() for tensor in tensors))
        several = made if isinstance(made, tuple) else (made,)
        typed = tuple(t.to(kind) for t, kind in zip(several, self.kinds, strict=True))
        return typed if isinstance(made, tuple) else typed[0]


class _FloatNorm(nn.Module):
    """A normalisation whose statistics are FP32 inside an FP16 model."""

    def __init__(self, norm: nn.Module) -> None:
        super().__init__()
        self.norm = norm.float()

    def forward(self, x: Tensor) -> Tensor:
        normed: Tensor = self.norm(x.float())
        return normed.to(x.dtype)


def _with_fp32_norms(generator: Generator) -> Generator:
    for parent in list(generator.modules()):
        for name, child in list(parent.named_children()):
            if isinstance(child, nn.GroupNorm | nn.LayerNorm):
                setattr(parent, name, _FloatNorm(child))
    return generator


def _prompts(generator: Generator) -> Any:
    random = np.random.default_rng(0)
    width = generator.unet.config.cross_attention_dim
    return random.standard_normal((len(CLASSES), 77, width), dtype=np.float32)


def _manifest(
    name: str, generator: Generator, graphs: dict[str, GraphSpec], settings: Settings
) -> dict[str, Any]:
    sides = sorted(settings.sizes)
    return {
        "name": name,
        "conditioning": generator.conditioning,
        "label_carrier": "text",
        "precision": "fp16",
        "classes": [spec_document(ClassSpec(c, f"add {c} defect")) for c in CLASSES],
        "sizes": [[side, side] for side in sides],
        "latent": {"channels": generator.vae.config.latent_channels, "factor": LATENT_FACTOR},
        "preprocessing": {
            "colour_order": "RGB",
            "image_scale": 127.5,
            "image_offset": -1.0,
            "mask_threshold": 127,
        },
        "graphs": {graph: spec_document(spec) for graph, spec in graphs.items()},
        "parity": {"verdict": "not measured: a model of random weights", "rows": []},
        "provenance": {"flops": {f"{side}x{side}": flops(generator, side) for side in sides}},
    }
