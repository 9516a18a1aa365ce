"""FP16 written into the graph, with FP32 islands where half precision would show or overflow.

TensorRT 11 has no FP16 flag: precision is a property of the graph. Inputs and outputs of the
generator stay FP32, so a bundle's precision changes nothing at its seams; taps, which only pass
from one stage to the next, are FP16.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto

from aliaug_edge.export.graph_files import (
    DATA,
    is_large,
    load_graph,
    point_outside,
    reaching,
    save_graph,
    tensor_values,
    weight_file,
)

FP16_LIMIT = 6e4  # half precision ends at 65504; what comes near it stays FP32
# What was measured on a few photos is multiplied by this before it is held against the limit.
HEADROOM = 4.0
ISLANDS = ("InstanceNormalization", "LayerNormalization", "Sin", "Cos", "Exp")
LARGEST = 5  # activations that the report names


def to_fp16(
    path: Path, peaks: Mapping[str, float], signal: float, half_seams: Collection[str] = ()
) -> dict[str, Any]:
    """Rewrite the FP32 graph at `path` in FP16; returns what was kept in FP32 and why.

    Kept: normalisation statistics, the x0 step (its division by √ᾱ = `signal` amplifies rounding),
    and every node that makes or reads a tensor too large for half precision, by `peaks` of
    `ranges.activation_peaks` or by its weights. Inputs and outputs stay FP32 but for `half_seams`.
    """
    from onnxruntime.transformers.float16 import convert_float_to_float16
    from onnxruntime.transformers.onnx_model import OnnxModel

    model = load_graph(path)
    _name_nodes(model.graph)
    step = x0_nodes(model, signal)
    loud = _loud_nodes(model.graph, _loud_tensors(model.graph, path.parent, peaks))
    blocked = {*step, *loud} | {n.name for n in model.graph.node if n.op_type in ISLANDS}
    weights = _weights_to_inputs(model.graph)
    whole = [v.name for v in (*model.graph.input, *model.graph.output) if v.name not in weights]
    exact = _read_only_by(model.graph, weights, blocked)
    # The converter sets its casts where it knows a tensor's type, so every type must be there.
    converted = convert_float_to_float16(
        onnx.shape_inference.infer_shapes(model),
        keep_io_types=[name for name in (*whole, *exact) if name not in half_seams],
        op_block_list=[],
        node_block_list=sorted(blocked),
        disable_shape_infer=True,
    )
    del converted.graph.value_info[:]
    OnnxModel.graph_topological_sort(converted.graph, is_deterministic=True)  # casts were put last
    _join_islands(converted.graph)
    _inputs_to_weights(converted.graph, weights, path)
    save_graph(converted, path)
    return {
        "operators": list(ISLANDS),
        "x0_step": len(step),
        "out_of_range": loud,
        "largest_activations": _largest(peaks),
    }


def too_large(peak: float) -> bool:
    """Whether half precision is not to hold what reached `peak` on the inputs that were tried."""
    return peak * HEADROOM > FP16_LIMIT


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
        if not is_large(tensor) and np.prod(tensor.dims) == 1:
            found[tensor.name] = float(onnx.numpy_helper.to_array(tensor).reshape(()))
    for node in model.graph.node:
        if node.op_type == "Constant" and node.attribute[0].name == "value":
            value: NDArray[Any] = onnx.numpy_helper.to_array(node.attribute[0].t)
            if value.size == 1:
                found[node.output[0]] = float(value.reshape(()))
    return found


def _name_nodes(graph: onnx.GraphProto) -> None:
    """Islands are asked for by name, so every node has one of its own."""
    for index, node in enumerate(graph.node):
        node.name = node.name or f"{node.op_type}_{index}"


def _loud_tensors(graph: onnx.GraphProto, folder: Path, peaks: Mapping[str, float]) -> set[str]:
    """Activations that come too near the limit, and weights that lie beyond it."""
    loud = {name for name, peak in peaks.items() if too_large(peak)}
    for tensor in graph.initializer:
        if tensor.data_type == TensorProto.FLOAT:
            values = tensor_values(tensor, folder)
            if values.size and float(np.abs(values).max()) > FP16_LIMIT:
                loud.add(tensor.name)
    return loud


def _loud_nodes(graph: onnx.GraphProto, loud: set[str]) -> list[str]:
    """The nodes that make a loud tensor, and those that read one: a cast between them would give
    infinity as well."""
    return sorted(node.name for node in graph.node if loud & {*node.input, *node.output})


def _weights_to_inputs(graph: onnx.GraphProto) -> dict[str, TensorProto]:
    """Let the large weights be inputs for as long as the converter works on types alone."""
    large = [tensor for tensor in graph.initializer if is_large(tensor)]
    small = [tensor for tensor in graph.initializer if not is_large(tensor)]
    del graph.initializer[:]
    graph.initializer.extend(small)
    for tensor in large:
        graph.input.append(
            onnx.helper.make_tensor_value_info(tensor.name, tensor.data_type, tensor.dims)
        )
    return {tensor.name: tensor for tensor in large}


def _read_only_by(
    graph: onnx.GraphProto, weights: Collection[str], blocked: Collection[str]
) -> list[str]:
    """The weights that nothing outside the islands reads: they lose nothing by staying FP32."""
    outside = {name for node in graph.node if node.name not in blocked for name in node.input}
    return [name for name in weights if name not in outside]


def _join_islands(graph: onnx.GraphProto) -> None:
    """Between two nodes in FP32, and from or to an FP32 seam, a tensor stays FP32.

    The converter casts every island's outputs to FP16 and its inputs back, which would round, and
    turn into infinity, exactly what the island was made for.
    """
    whole = {  # a tensor that was cast to FP16 → the FP32 tensor that it was cast from
        node.output[0]: node.input[0]
        for node in graph.node
        if _cast_of_converter(node, TensorProto.FLOAT16)
    }
    inputs, outputs = {v.name for v in graph.input}, {v.name for v in graph.output}
    renamed, kept = {}, []
    for node in graph.node:
        source = whole.get(node.input[0]) if _cast_of_converter(node, TensorProto.FLOAT) else None
        if source is None or (node.output[0] in outputs and source in inputs):
            kept.append(node)
        elif node.output[0] in outputs:
            renamed[source] = node.output[0]  # its producer now makes the output itself
        else:
            renamed[node.output[0]] = source
    for node in kept:
        node.input[:] = [_followed(name, renamed) for name in node.input]
        node.output[:] = [_followed(name, renamed) for name in node.output]
    needed = reaching(kept, outputs)
    del graph.node[:]
    graph.node.extend(needed)


def _cast_of_converter(node: onnx.NodeProto, kind: int) -> bool:
    """Whether the converter put this cast to `kind` between FP32 and FP16; it names them so."""
    if node.op_type != "Cast" or node.attribute[0].i != kind:
        return False
    return node.name.endswith(("_cast_to_fp16_node", "_cast_to_fp32_node")) or (
        node.name.startswith(("graph_input_cast", "graph_output_cast"))
    )


def _followed(name: str, renamed: Mapping[str, str]) -> str:
    while name in renamed:
        name = renamed[name]
    return name


def _inputs_to_weights(
    graph: onnx.GraphProto, weights: Mapping[str, TensorProto], path: Path
) -> None:
    """Put the weights back, each in the type that its input has got."""
    inputs = list(graph.input)
    del graph.input[:]
    with weight_file(path.with_name(path.name + DATA)) as written:
        for value in inputs:
            tensor = weights.get(value.name)
            if tensor is None:
                graph.input.append(value)
                continue
            kind = value.type.tensor_type.elem_type
            dtype = onnx.helper.tensor_dtype_to_np_dtype(kind)
            data = tensor_values(tensor, path.parent).astype(dtype, copy=False).tobytes()
            moved = TensorProto(name=tensor.name, dims=tensor.dims, data_type=kind)
            point_outside(moved, written.append(data))
            graph.initializer.append(moved)


def _largest(peaks: Mapping[str, float]) -> list[dict[str, Any]]:
    """The tensors that got largest, largest first, to three digits."""
    order = sorted(peaks, key=lambda name: (-peaks[name], name))[:LARGEST]
    return [{"tensor": name, "peak": float(f"{peaks[name]:.3g}")} for name in order]
