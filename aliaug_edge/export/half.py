"""The stages in FP16: measured on real inputs, converted, and reported."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from aliaug_edge.bundle import GraphSpec
from aliaug_edge.export.parity import reference_tensors
from aliaug_edge.export.precision import FP16_LIMIT, HEADROOM, to_fp16, too_large
from aliaug_edge.export.ranges import activation_peaks
from aliaug_edge.export.stages import STAGES
from aliaug_edge.model.generator import Generator
from aliaug_edge.tensors import Arrays, TensorSpec

TAP, MASK_TAP = "tap_", "mask_tap_"
Peaks = Mapping[str, Mapping[str, float]]


def halve_stages(
    folder: Path,
    graphs: Mapping[str, GraphSpec],
    merged: Generator,
    feeds: Sequence[Arrays],
    say: Callable[[str], None],
) -> tuple[dict[str, GraphSpec], dict[str, Any]]:
    """Rewrite the stages' graphs in FP16; their specs, and per graph what stays FP32 and why.

    `feeds` are real inputs of the generator. Taps become FP16 at the seam between encoder and
    decoder, unless their values are too large for it.

    Raises:
        ParityError: an activation is not finite on a real input.
    """
    tensors = [reference_tensors(merged, feed) for feed in feeds]
    peaks = {}
    for name in STAGES:
        say(f"measuring activations of {name}.onnx on {len(feeds)} real inputs")
        inputs = _stage_feeds(graphs[name], tensors, merged.conditioning)
        peaks[name] = activation_peaks(folder / graphs[name].path, inputs)
    taps = half_taps(graphs, peaks)
    halved, report = {}, {}
    for name in STAGES:
        path = folder / graphs[name].path
        report[name] = to_fp16(path, peaks[name], merged.alpha_bar**0.5, taps)
        halved[name] = _with_half(graphs[name], taps)
        say(f"{name}.onnx in FP16: {island_line(report[name])}")
    return halved, report


def half_taps(graphs: Mapping[str, GraphSpec], peaks: Peaks) -> set[str]:
    """The taps that may be FP16 wherever they pass: a tap of the image and its mask's have one
    dtype, as one graph makes both."""
    loud = {
        name.removeprefix("mask_")
        for name in {t.name for g in graphs.values() for t in (*g.inputs, *g.outputs)}
        if any(too_large(found.get(name, 0.0)) for found in peaks.values())
    }
    return {
        tensor.name
        for graph in graphs.values()
        for tensor in (*graph.inputs, *graph.outputs)
        if tensor.name.startswith((TAP, MASK_TAP)) and tensor.name.removeprefix("mask_") not in loud
    }


def island_line(report: Mapping[str, Any]) -> str:
    """What stays FP32, and the largest activation beside the limit, in one line."""
    largest = report["largest_activations"][0]
    loud = report["out_of_range"]
    shown = f" ({', '.join(loud[:5])}{', …' if len(loud) > 5 else ''})" if loud else ""
    limit = FP16_LIMIT / HEADROOM
    return (
        f"largest activation {largest['peak']:g} at {largest['tensor']}, limit {limit:g}; FP32 in "
        f"statistics, in {report['x0_step']} nodes of the x0 step and in {len(loud)} nodes out of "
        f"range{shown}"
    )


def _stage_feeds(spec: GraphSpec, tensors: Sequence[Arrays], conditioning: str) -> list[Arrays]:
    """The stage's inputs; the encoder sees painted masks as well where the conditioning does so."""
    feeds = [{t.name: given[t.name] for t in spec.inputs} for given in tensors]
    if spec.inputs[0].name == "image" and len(spec.inputs) == 1 and conditioning != "light":
        feeds += [{"image": t["mask"] * t["colour"][:, :, None, None]} for t in tensors]
    return feeds


def _with_half(spec: GraphSpec, names: set[str]) -> GraphSpec:
    def typed(tensors: Sequence[TensorSpec]) -> tuple[TensorSpec, ...]:
        return tuple(
            dataclasses.replace(t, dtype="float16") if t.name in names else t for t in tensors
        )

    return GraphSpec(spec.path, typed(spec.inputs), typed(spec.outputs))
