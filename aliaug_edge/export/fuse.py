"""The fused generator, composed from its three stages: no second tracing, and the same operators.

Weights that lie beside the stages' graphs are referred to where they lie, never read.
Tensors of the contract keep their names, everything else gets its stage's in front. Where a stage
asks for `mask_tap_*` or `mask_latent`, the encoder appears twice, over the same weights, the second
time on the painted mask.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper

from aliaug_edge.bundle import GraphSpec
from aliaug_edge.export.graph_files import load_graph, reaching, save_graph
from aliaug_edge.tensors import TensorSpec

MASK, PAINTED = "mask_", "painted"


def write_fused(folder: Path, stages: Mapping[str, GraphSpec], spec: GraphSpec) -> None:
    """Write the graph of `spec` beside those of `stages`; all paths are relative to `folder`."""
    models = {name: load_graph(folder / stage.path) for name, stage in stages.items()}
    save_graph(fuse(models, spec), folder / spec.path)


def fuse(stages: Mapping[str, onnx.ModelProto], spec: GraphSpec) -> onnx.ModelProto:
    """One model with the inputs and outputs of `spec`, from `encoder`, `unet` and `decoder`."""
    encoder = stages["encoder"]
    nodes, weights = _part(encoder, "encoder")
    wanted = {v.name for name in ("unet", "decoder") for v in stages[name].graph.input}
    again = {v.name: MASK + v.name for v in encoder.graph.output if MASK + v.name in wanted}
    if again:
        nodes += _paint("encoder")
        weights.append(onnx.numpy_helper.from_array(np.array([2, 3]), "encoder/paint_axes"))
        nodes += _part(encoder, "encoder", "mask_encoder", {"image": PAINTED, **again})[0]
    for name in ("unet", "decoder"):
        more_nodes, more_weights = _part(stages[name], name)
        nodes += more_nodes
        weights += more_weights
    nodes = reaching(nodes, {out.name for out in spec.outputs})
    used = {name for node in nodes for name in node.input}
    graph = helper.make_graph(
        nodes,
        "generator",
        [_value_info(tensor) for tensor in spec.inputs],
        [_value_info(tensor) for tensor in spec.outputs],
        [weight for weight in weights if weight.name in used],
    )
    model = helper.make_model(
        graph, opset_imports=encoder.opset_import, ir_version=encoder.ir_version
    )
    model.producer_name, model.producer_version = encoder.producer_name, encoder.producer_version
    return model


def _part(
    model: onnx.ModelProto,
    stage: str,
    prefix: str | None = None,
    names: Mapping[str, str] | None = None,
) -> tuple[list[onnx.NodeProto], list[TensorProto]]:
    """Nodes and weights of a stage under their names in the fused graph.

    `names` are the tensors of the contract, by default those of the stage's inputs and outputs;
    `prefix` stands before all others, by default the stage's. Weights keep the stage's.
    """
    if names is None:
        names = {v.name: v.name for v in (*model.graph.input, *model.graph.output)}
    kept = dict(names)
    kept |= {w.name: f"{stage}/{w.name}" for w in model.graph.initializer} | {"": ""}

    def renamed(name: str) -> str:
        return kept.get(name, f"{prefix or stage}/{name}")

    nodes = []
    for node in model.graph.node:
        copied = onnx.NodeProto()
        copied.CopyFrom(node)
        copied.name = f"{prefix or stage}/{node.name}"
        copied.input[:] = map(renamed, node.input)
        copied.output[:] = map(renamed, node.output)
        nodes.append(copied)
    weights = []
    for weight in model.graph.initializer:
        tensor = TensorProto()
        tensor.CopyFrom(weight)
        tensor.name = renamed(weight.name)
        weights.append(tensor)
    return nodes, weights


def _paint(stage: str) -> list[onnx.NodeProto]:
    """The mask in its class colour, as `model.conditioning.paint` computes it."""
    return [
        helper.make_node("Unsqueeze", ["colour", f"{stage}/paint_axes"], [f"{stage}/colour_4d"]),
        helper.make_node("Mul", ["mask", f"{stage}/colour_4d"], [PAINTED]),
    ]


def _value_info(spec: TensorSpec) -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info(spec.name, TensorProto.FLOAT, list(spec.shape))
