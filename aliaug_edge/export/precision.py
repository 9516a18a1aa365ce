"""FP16 written into the graph, with FP32 islands where half precision would show.

Inputs and outputs stay FP32, so a bundle's precision changes nothing at its seams. TensorRT 11 has
no FP16 flag: precision is a property of the graph.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray

from aliaug_edge.errors import ParityError
from aliaug_edge.tensors import Arrays

FP16_LIMIT = 6e4  # half precision ends at 65504; what comes near it stays FP32
ISLANDS = ("InstanceNormalization", "LayerNormalization", "Sin", "Cos", "Exp")
OUTPUTS_AT_ONCE = 64  # intermediate tensors held in memory per pass of the range check


def to_fp16(path: Path, feeds: Sequence[Arrays], signal: float) -> dict[str, Any]:
    """Rewrite the FP32 graph at `path` in FP16; returns what was kept in FP32 and why.

    Kept: normalisation statistics, the x0 step (its division by √ᾱ = `signal` amplifies rounding),
    and every node whose output exceeds 6e4 on `feeds`, which should be real inputs.

    Raises:
        ParityError: an activation of the FP32 graph is not finite.
    """
    from onnxruntime.transformers.float16 import convert_float_to_float16
    from onnxruntime.transformers.onnx_model import OnnxModel

    ranges = activation_ranges(path, feeds)
    # The converter sets its casts where it knows a tensor's type, so every type must be there.
    model = onnx.shape_inference.infer_shapes(onnx.load(path))
    producers = {name: node.name for node in model.graph.node for name in node.output}
    loud = sorted({producers[name] for name, peak in ranges.items() if peak > FP16_LIMIT})
    step = x0_nodes(model, signal)
    converted = convert_float_to_float16(
        model,
        keep_io_types=True,
        op_block_list=list(ISLANDS),
        node_block_list=[*step, *loud],
        disable_shape_infer=True,
    )
    del converted.graph.value_info[:]
    OnnxModel.graph_topological_sort(converted.graph, is_deterministic=True)  # casts were put last
    onnx.checker.check_model(converted, full_check=True)
    onnx.save(converted, path)
    return {
        "operators": list(ISLANDS),
        "x0_step": len(step),
        "out_of_range": loud,
        "largest_activation": round(max(ranges.values()), 3),
    }


def activation_ranges(path: Path, feeds: Sequence[Arrays]) -> dict[str, float]:
    """Largest absolute value of every float tensor inside the graph over all `feeds`.

    Raises:
        ParityError: a tensor is not finite; the message names it.
    """
    model = onnx.shape_inference.infer_shapes(onnx.load(path))
    floats = {
        value.name
        for value in model.graph.value_info
        if value.type.tensor_type.elem_type == onnx.TensorProto.FLOAT
    }
    names = [name for node in model.graph.node for name in node.output if name in floats]
    outside = {value.name for value in model.graph.output}
    names = [name for name in names if name not in outside]
    peaks: dict[str, float] = {}
    for start in range(0, len(names), OUTPUTS_AT_ONCE):
        for name, peak in _peaks(model, names[start : start + OUTPUTS_AT_ONCE], feeds).items():
            if not np.isfinite(peak):
                raise ParityError(f"{path.name}: activation {name} is not finite on a real input")
            peaks[name] = peak
    return peaks


def x0_nodes(model: onnx.ModelProto, signal: float) -> list[str]:
    """Names of the closing nodes of the denoising step: (z_t − √(1−ᾱ)·ε) / √ᾱ.

    Found by the division by √ᾱ (or the product with its inverse), and what feeds it.
    """
    constants = _scalars(model)
    producer = {name: node for node in model.graph.node for name in node.output}
    for node in model.graph.node:
        divides = node.op_type == "Div" and np.isclose(constants.get(node.input[1], np.nan), signal)
        scales = node.op_type == "Mul" and any(
            np.isclose(constants.get(name, np.nan), 1 / signal) for name in node.input
        )
        source = producer.get(node.input[0]) if node.input else None
        if (divides or scales) and source is not None and source.op_type == "Sub":
            product = producer.get(source.input[1])
            return [n.name for n in (node, source, product) if n is not None]
    return []


def _scalars(model: onnx.ModelProto) -> dict[str, float]:
    found = {}
    for tensor in model.graph.initializer:
        if onnx.numpy_helper.to_array(tensor).size == 1:
            found[tensor.name] = float(onnx.numpy_helper.to_array(tensor).reshape(()))
    for node in model.graph.node:
        if node.op_type == "Constant" and node.attribute[0].name == "value":
            value: NDArray[Any] = onnx.numpy_helper.to_array(node.attribute[0].t)
            if value.size == 1:
                found[node.output[0]] = float(value.reshape(()))
    return found


def _peaks(model: onnx.ModelProto, names: list[str], feeds: Sequence[Arrays]) -> dict[str, float]:
    import onnxruntime

    probe = onnx.ModelProto()
    probe.CopyFrom(model)
    for name in names:
        probe.graph.output.append(onnx.helper.make_empty_tensor_value_info(name))
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = onnxruntime.InferenceSession(
        probe.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    peaks = dict.fromkeys(names, 0.0)
    for feed in feeds:
        for name, value in zip(names, session.run(names, dict(feed)), strict=True):
            if value.size:
                peaks[name] = max(peaks[name], float(np.abs(value).max()))
    return peaks
