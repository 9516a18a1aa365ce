"""Bundles of the conditionings `full` and `paper`: the mask goes through the encoder as well.

As in real exports no stage of either has an input `colour`, and no stage of `paper` an input
`mask`: only painting the mask for the encoder's second pass needs them.

    full:   denoised = 0.1·latent + 0.1·mask_latent
                       + avgpool8(mask)·(mean(prompt_embeds) + 0.3·severity + 0.1·noise)
            before   = (image + tap_0) / 2 + mask·grown
    paper:  denoised = 0.1·latent + 0.1·mean(prompt_embeds)
            before   = grown

with grown = upsample8(mean over channels of denoised), generated = before + 0.1·mask_tap_0 and
mask_tap_0 the mask in its class's colour.
"""

from __future__ import annotations

import json
from pathlib import Path

from onnx import NodeProto, helper

from aliaug_edge.bundle import MANIFEST, GraphSpec, save_manifest, spec_document
from aliaug_edge.tensors import TensorSpec
from support.bundles import (
    FACTOR,
    TAPS,
    _encoder_nodes,
    _pool,
    constant,
    graph_specs,
    make_bundle,
    write_graph,
)

MASK_TAPS = [f"mask_tap_{i}" for i in range(TAPS)]
CONDITIONS = ["noise", "severity", "prompt_embeds"]
INPUTS = {
    "full": {
        "unet": ["latent", "mask", *CONDITIONS, "mask_latent"],
        "decoder": ["denoised", "image", "mask", *(t[5:] for t in MASK_TAPS), *MASK_TAPS],
        "generator": ["image", "mask", "colour", *CONDITIONS],
    },
    "paper": {
        "unet": ["latent", "prompt_embeds"],
        "decoder": ["denoised", *MASK_TAPS],
        "generator": ["image", "mask", "colour", "prompt_embeds"],
    },
}


def make_full_bundle(folder: Path) -> Path:
    """`make_bundle`'s, of conditioning `full`; its classes differ by colour."""
    return _rewritten(folder, "full")


def make_paper_bundle(folder: Path) -> Path:
    """`make_bundle`'s, of conditioning `paper`; its classes differ by colour."""
    return _rewritten(folder, "paper")


def _rewritten(folder: Path, conditioning: str) -> Path:
    make_bundle(folder, label_carrier="colour", sizes=((64, 64), (128, 128)))
    light = graph_specs(16)
    tensors = {s.name: s for spec in light.values() for s in (*spec.inputs, *spec.outputs)}
    for name in [*(f"tap_{i}" for i in range(TAPS)), "latent"]:
        masks = f"mask_{name}"
        tensors[masks] = TensorSpec(masks, "float32", tensors[name].shape)
    unet, decoder = _unet_nodes(conditioning), _decoder_nodes(conditioning)
    nodes = {
        "unet": unet,
        "decoder": decoder,
        "generator": [*_encoder_nodes(), *_painted_nodes(), *unet, *decoder],
    }
    document = json.loads((folder / MANIFEST).read_text())
    document["conditioning"] = conditioning
    for graph, names in INPUTS[conditioning].items():
        spec = light[graph]
        changed = GraphSpec(spec.path, tuple(tensors[n] for n in names), spec.outputs)
        write_graph(folder / spec.path, changed, nodes[graph])
        document["graphs"][graph] = spec_document(changed)
    del document["files"]
    save_manifest(folder, document)
    return folder


def _painted_nodes() -> list[NodeProto]:
    """What the encoder's second pass makes; in the fused graph, whose encoder has `widen`."""
    node = helper.make_node
    return [
        node("Constant", [], ["planes"], value_ints=[2, 3]),
        node("Unsqueeze", ["colour", "planes"], ["colour_planes"]),
        node("Mul", ["mask", "colour_planes"], ["mask_tap_0"]),
        _pool("mask_tap_0", "pooled_painted", FACTOR),
        node("Conv", ["pooled_painted", "widen"], ["mask_latent"]),
    ]


def _unet_nodes(conditioning: str) -> list[NodeProto]:
    node = helper.make_node
    prompt = [
        constant("a_tenth", 0.1),
        node("ReduceMean", ["prompt_embeds"], ["prompt_mean"], axes=[1, 2], keepdims=1),
        node("Unsqueeze", ["prompt_mean", "last"], ["prompt_part"]),
        node("Mul", ["latent", "a_tenth"], ["faded_latent"]),
    ]
    last = node("Constant", [], ["last"], value_ints=[3])
    if conditioning == "paper":
        return [
            last,
            *prompt,
            node("Mul", ["prompt_part", "a_tenth"], ["faded_prompt"]),
            node("Add", ["faded_latent", "faded_prompt"], ["denoised"]),
        ]
    return [
        last,
        *prompt,
        constant("three_tenths", 0.3),
        node("Constant", [], ["both"], value_ints=[2, 3]),
        node("Unsqueeze", ["severity", "both"], ["severity_plane"]),
        node("Mul", ["severity_plane", "three_tenths"], ["severity_part"]),
        node("Mul", ["noise", "a_tenth"], ["noise_part"]),
        node("Sum", ["prompt_part", "severity_part", "noise_part"], ["shift"]),
        _pool("mask", "coverage", FACTOR),
        node("Mul", ["shift", "coverage"], ["masked_shift"]),
        node("Mul", ["mask_latent", "a_tenth"], ["faded_mask"]),
        node("Sum", ["faded_latent", "faded_mask", "masked_shift"], ["denoised"]),
    ]


def _decoder_nodes(conditioning: str) -> list[NodeProto]:
    node = helper.make_node
    grown = [
        constant("tenth", 0.1),
        constant("scales", [1, 1, FACTOR, FACTOR]),
        node("ReduceMean", ["denoised"], ["grey"], axes=[1], keepdims=1),
        node("Resize", ["grey", "", "scales"], ["grown"], mode="nearest"),
        node("Mul", ["mask_tap_0", "tenth"], ["painted_part"]),
    ]
    if conditioning == "paper":
        return [*grown, node("Add", ["grown", "painted_part"], ["generated"])]
    return [
        *grown,
        constant("half", 0.5),
        node("Add", ["image", "tap_0"], ["twice"]),
        node("Mul", ["twice", "half"], ["seen"]),
        node("Mul", ["grown", "mask"], ["masked_change"]),
        node("Sum", ["seen", "masked_change", "painted_part"], ["generated"]),
    ]
