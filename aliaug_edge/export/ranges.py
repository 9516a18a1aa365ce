"""How large the activations of a graph get on real inputs: what half precision has to hold."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import NodeProto, TensorProto, helper

from aliaug_edge.errors import ParityError
from aliaug_edge.export.graph_files import load_graph
from aliaug_edge.tensors import Arrays

PEAK, SUM = "/peak", "/sum"  # suffixes of the scalars that a probe adds for each tensor


def activation_peaks(path: Path, feeds: Sequence[Arrays]) -> dict[str, float]:
    """Largest absolute value over all `feeds` of every float tensor of the graph at `path`: its
    inputs, its outputs, and all between them.

    The maxima are taken inside the graph, so no activation outlives its use and memory is that of
    an ordinary run.

    Raises:
        ParityError: a tensor is not finite; the message names it.
    """
    model = onnx.shape_inference.infer_shapes(load_graph(path))
    names = _float_tensors(model)
    peaks: dict[str, float] = {}
    with tempfile.NamedTemporaryFile(dir=path.parent, prefix=".probe.", suffix=".onnx") as file:
        file.write(_probe(model, names).SerializeToString())
        file.flush()
        session = _session(file.name)
        for feed in feeds:
            found = session.run(None, dict(feed))
            for name, peak, total in zip(names, found[::2], found[1::2], strict=True):
                if not np.isfinite(total):  # a maximum may pass over a NaN, a sum cannot
                    raise ParityError(
                        f"{path.name}: activation {name} is not finite on a real input"
                    )
                peaks[name] = max(peaks.get(name, 0.0), float(peak))
    for feed in feeds:
        for name, value in feed.items():
            peaks[name] = max(peaks.get(name, 0.0), float(np.abs(value).max()))
    return peaks


def _float_tensors(model: onnx.ModelProto) -> list[str]:
    """Names of the float tensors that the nodes of `model` make, in order."""
    floats = {
        value.name
        for value in (*model.graph.value_info, *model.graph.output)
        if value.type.tensor_type.elem_type == TensorProto.FLOAT
    }
    return [name for node in model.graph.node for name in node.output if name in floats]


def _probe(model: onnx.ModelProto, names: Sequence[str]) -> onnx.ModelProto:
    """`model` with, as its only outputs, the peak and the sum of |x| of each tensor in `names`."""
    probe = onnx.ModelProto()
    probe.CopyFrom(model)
    del probe.graph.node[:], probe.graph.output[:], probe.graph.value_info[:]
    wanted = set(names)
    for node in model.graph.node:  # each reduction right behind what it reduces, see `_session`
        probe.graph.node.append(node)
        for name in node.output:
            if name in wanted:
                probe.graph.node.extend(_reductions(name))
    for name in names:
        for suffix in (PEAK, SUM):
            probe.graph.output.append(
                helper.make_tensor_value_info(name + suffix, TensorProto.FLOAT, [])
            )
    return probe


def _reductions(name: str) -> list[NodeProto]:
    return [
        helper.make_node("Abs", [name], [f"{name}/abs"], f"{name}/abs"),
        helper.make_node("ReduceMax", [f"{name}/abs"], [name + PEAK], name + PEAK, keepdims=0),
        helper.make_node("ReduceSum", [f"{name}/abs"], [name + SUM], name + SUM, keepdims=0),
    ]


def _session(path: str) -> Any:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    # In the order of the nodes: the default runs all reductions last, with every tensor alive.
    options.execution_order = onnxruntime.ExecutionOrder.PRIORITY_BASED
    return onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
