"""`ali-aug export`: a training run, or a base as it is, becomes a bundle whose parity is proven."""

from __future__ import annotations

import itertools
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import diffusers
import numpy as np
import torch
from torch.utils.flop_counter import FlopCounterMode

import aliaug_edge
from aliaug_edge import appearances, files, fingerprints
from aliaug_edge.bundle import MASKS, PROMPTS, QUALITY, GraphSpec, save_manifest, spec_document
from aliaug_edge.errors import AliAugError
from aliaug_edge.export.fuse import write_fused
from aliaug_edge.export.half import halve_stages
from aliaug_edge.export.onnx import OPSET, export_stage
from aliaug_edge.export.opset17 import LEGACY_OPSET, lower_to_17
from aliaug_edge.export.parity import (
    Conditions,
    judge_parity,
    measure_parity,
    parity_lines,
    scene_feeds,
)
from aliaug_edge.export.sources import ExportSource, base_source, run_source
from aliaug_edge.export.stages import (
    GRAPHS,
    LATENT_FACTOR,
    STAGES,
    example_inputs,
    size_multiple,
    stage_of,
)
from aliaug_edge.export.weights import share_weights
from aliaug_edge.model.generator import Generator
from aliaug_edge.tensors import Arrays
from aliaug_edge.training.config import CONFIG

OPSETS = range(LEGACY_OPSET, OPSET + 1)
SEEDS = 3  # per size, each on another real input
Say = Callable[[str], None]


@dataclass(frozen=True)
class ExportSettings:
    """`sizes` are (height, width) in pixels that the bundle may be used at; parity covers each."""

    precision: str = "fp32"
    sizes: tuple[tuple[int, int], ...] = ((128, 128), (256, 256))
    opset: int = OPSET


def export(source: str, out_dir: Path, settings: ExportSettings, *, say: Say) -> Path:
    """Write the bundle of the run folder or base `source` to the new folder `out_dir`.

    Raises:
        OutputError: `out_dir` holds something. ParityError: out of tolerance; nothing is written.
        AliAugError: the run is unfinished or damaged, or a size does not fit the model.
    """
    with tempfile.TemporaryDirectory() as scratch:
        is_run = (Path(source) / CONFIG).is_file()
        given = run_source(Path(source)) if is_run else base_source(source, Path(scratch))
        _check_settings(settings, size_multiple(given.merged))
        with files.staged_dir(out_dir) as staged:
            _fill(staged, given, settings, out_dir.name, say)
    return out_dir


def _fill(
    staged: Path, source: ExportSource, settings: ExportSettings, name: str, say: Say
) -> None:
    conditions = Conditions(
        source.embeds,
        np.array([c.colour for c in source.classes], dtype=np.float32),
        [source.appearances[c.name] for c in source.classes],
    )
    feeds = _real_feeds(source, conditions, settings.sizes)
    graphs = _export_stages(staged, source.merged, settings, say)
    islands: dict[str, Any] = {}
    if settings.precision == "fp16":
        graphs, islands = halve_stages(
            staged, graphs, source.merged, [given for _, _, given in feeds], say
        )
    if settings.opset == LEGACY_OPSET:
        say("rewriting the stages in opset 17")
        for graph in graphs.values():
            lower_to_17(staged / graph.path)
    graphs["generator"] = _compose(staged, graphs, source.merged, say)
    share_weights([staged / graph.path for graph in graphs.values()])
    say("measuring parity on real inputs")
    rows = measure_parity(source.adapted, graphs, staged, feeds)
    for line in parity_lines(rows):
        say(line)
    parity = judge_parity(rows, settings.precision)
    np.savez(staged / PROMPTS, embeds=source.embeds)
    if source.masks:
        masks: dict[str, Any] = dict(source.masks)
        np.savez_compressed(staged / MASKS, **masks)
    if source.training_photos is not None:
        files.write_bytes(staged / fingerprints.FILE, source.training_photos)
    if source.quality:
        files.write_json(staged / QUALITY, source.quality)
    files.write_text(staged / appearances.FILE, appearances.to_text(source.appearances))
    manifest = _manifest(name, source, settings, graphs, parity, islands)
    save_manifest(staged, manifest)


def _real_feeds(
    source: ExportSource, conditions: Conditions, sizes: Sequence[tuple[int, int]]
) -> list[tuple[tuple[int, int], int, Arrays]]:
    channels = source.merged.vae.config.latent_channels
    return [
        (size, seed, scene_feeds(scene, conditions, size, seed, channels))
        for size in sizes
        for seed, scene in enumerate(itertools.islice(itertools.cycle(source.scenes), SEEDS))
    ]


def _export_stages(
    staged: Path, merged: Generator, settings: ExportSettings, say: Say
) -> dict[str, GraphSpec]:
    opset = OPSET if settings.opset == LEGACY_OPSET else settings.opset  # torch writes no 17
    graphs = {}
    for name in STAGES:
        say(f"exporting {name}.onnx")
        path = staged / "onnx" / f"{name}.onnx"
        graphs[name] = export_stage(stage_of(merged, name), size_multiple(merged), path, opset)
    return graphs


def _compose(staged: Path, graphs: dict[str, GraphSpec], merged: Generator, say: Say) -> GraphSpec:
    """The fused generator, of the stages as they are: in FP16, it has their islands."""
    say("composing generator.onnx")
    whole = stage_of(merged, "generator")
    spec = GraphSpec("onnx/generator.onnx", whole.inputs, whole.outputs)
    write_fused(staged, graphs, spec)
    return spec


def _manifest(
    name: str,
    source: ExportSource,
    settings: ExportSettings,
    graphs: dict[str, GraphSpec],
    parity: dict[str, Any],
    islands: dict[str, Any],
) -> dict[str, Any]:
    return {
        "name": name,
        "conditioning": source.merged.conditioning,
        "label_carrier": source.label_carrier,
        "precision": settings.precision,
        "backdrop": source.backdrop,
        "classes": [spec_document(spec) for spec in source.classes],
        "sizes": [list(size) for size in settings.sizes],
        "latent": {
            "channels": source.merged.vae.config.latent_channels,
            "factor": LATENT_FACTOR,
        },
        "preprocessing": {
            "colour_order": "RGB",
            "image_scale": 127.5,
            "image_offset": -1.0,
            "mask_threshold": 127,
        },
        "graphs": {graph: spec_document(spec) for graph, spec in graphs.items()},
        "parity": parity,
        "provenance": {
            **source.provenance,
            "aliaug_edge": aliaug_edge.__version__,
            "torch": torch.__version__,
            "diffusers": diffusers.__version__,
            "opset": settings.opset,
            "fp32_islands": islands,
            "flops": _flops(source.merged, settings.sizes),
        },
    }


def _flops(merged: Generator, sizes: Sequence[tuple[int, int]]) -> dict[str, dict[str, int]]:
    """FLOP of one image per size and graph (a multiply-add is two)."""
    multiple = size_multiple(merged)
    table: dict[str, dict[str, int]] = {}
    for height, width in sizes:
        counts = {}
        for name in GRAPHS:
            stage = stage_of(merged, name)
            inputs = example_inputs(
                stage, multiple, batch=1, units=(height // multiple, width // multiple)
            )
            with torch.no_grad(), FlopCounterMode(display=False) as counter:
                stage.module(*inputs)
            counts[name] = int(counter.get_total_flops())
        table[f"{height}x{width}"] = counts
    return table


def _check_settings(settings: ExportSettings, multiple: int) -> None:
    if settings.precision not in ("fp32", "fp16"):
        raise AliAugError(f"precision {settings.precision!r}: expected fp32 or fp16")
    if settings.opset not in OPSETS:
        raise AliAugError(
            f"opset {settings.opset}: expected {OPSETS.start} to {OPSET}, the newest that "
            "TensorRT 10.3 parses"
        )
    for height, width in settings.sizes:
        if height % multiple or width % multiple or min(height, width) < multiple:
            raise AliAugError(
                f"size {height}x{width}: this model needs multiples of {multiple} pixels"
            )
