"""ONNX opset 17, the newest that TensorRT 8.5 and 8.6 (JetPack 5) parse, from opsets 18 to 20.

torch writes 18 and newer. Of what changed since 17, our graphs use a few things, rewritten here
node by node to the same arithmetic; whatever else had changed is refused by ONNX's own check of the
result against the schemas of 17. LayerNormalization is in 17, but not in TensorRT 8.5's parser: it
becomes the primitives of its definition.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import NodeProto, TensorProto, helper, numpy_helper

from aliaug_edge.export.graph_files import load_graph, save_graph

LEGACY_OPSET = 17
LEGACY_IR = 8  # of ONNX 1.12, which brought opset 17


def lower_to_17(path: Path) -> None:
    """Rewrite the graph at `path` in opset 17.

    Raises:
        ValueError: it uses something newer that is not rewritten here.
        onnx.checker.ValidationError, onnx.shape_inference.InferenceError: the same, found by ONNX.
    """
    model = load_graph(path)
    kinds = _element_types(model)
    nodes = []
    for node in model.graph.node:
        if node.op_type == "Gelu":
            nodes += _gelu(node, kinds[node.input[0]])
        else:
            nodes += _REWRITES.get(node.op_type, _same)(node)
    del model.graph.node[:]
    model.graph.node.extend(nodes)
    del model.graph.value_info[:]
    del model.opset_import[:]
    model.opset_import.append(helper.make_opsetid("", LEGACY_OPSET))
    model.ir_version = min(model.ir_version, LEGACY_IR)
    save_graph(model, path)


def _same(node: NodeProto) -> list[NodeProto]:
    return [node]


def _split(node: NodeProto) -> list[NodeProto]:
    """Without sizes, 17 splits into as many equal parts as there are outputs, which is what
    `num_outputs` says where it divides the length."""
    _without(node, num_outputs=len(node.output))
    return [node]


def _resize(node: NodeProto) -> list[NodeProto]:
    """What 18 added has defaults that mean the Resize of 13."""
    _without(node, antialias=0, keep_aspect_ratio_policy=b"stretch")
    return [node]


def _reduce(node: NodeProto) -> list[NodeProto]:
    """Axes are an input from 18 on; with none, all are reduced, in both."""
    if len(node.input) > 1:
        raise ValueError(f"node {node.name}: {node.op_type} with axes is not lowered to opset 17")
    return [node]


def _layer_norm(node: NodeProto) -> list[NodeProto]:
    """(x − mean) / √(variance + ε) · scale + bias over the last axis, as ONNX defines it:
    https://onnx.ai/onnx/operators/onnx__LayerNormalization.html"""
    given = {a.name: helper.get_attribute_value(a) for a in node.attribute}
    if given.get("axis", -1) != -1 or len(node.output) > 1:
        raise ValueError(f"node {node.name}: a LayerNormalization of this form is not lowered")
    source, scale, *bias = node.input
    made = _Rewrite(node)
    mean = made.add("ReduceMean", source, axes=[-1], keepdims=1)
    centred = made.add("Sub", source, mean)
    variance = made.add("ReduceMean", made.add("Mul", centred, centred), axes=[-1], keepdims=1)
    epsilon = made.constant(given.get("epsilon", 1e-5), TensorProto.FLOAT)
    normed = made.add("Div", centred, made.add("Sqrt", made.add("Add", variance, epsilon)))
    scaled = made.add("Mul", normed, scale)
    if bias:
        made.add("Add", scaled, bias[0])
    return made.finished()


def _gelu(node: NodeProto, kind: int) -> list[NodeProto]:
    """x / 2 · (1 + erf(x / √2)), as ONNX defines it, of the element type `kind`:
    https://onnx.ai/onnx/operators/onnx__Gelu.html"""
    _without(node, approximate=b"none")
    made = _Rewrite(node)
    inner = made.add("Erf", made.add("Mul", node.input[0], made.constant(0.5**0.5, kind)))
    half = made.add("Mul", node.input[0], made.constant(0.5, kind))
    made.add("Mul", half, made.add("Add", inner, made.constant(1.0, kind)))
    return made.finished()


class _Rewrite:
    """The nodes that stand for one; the last of them makes its output."""

    def __init__(self, node: NodeProto) -> None:
        self._node = node
        self._made: list[NodeProto] = []

    def add(self, operator: str, *inputs: str, **attributes: Any) -> str:
        """The name of what `operator` makes of `inputs`."""
        name = f"{self._node.output[0]}/{len(self._made)}"
        self._made.append(helper.make_node(operator, inputs, [name], name, **attributes))
        return name

    def constant(self, value: float, kind: int) -> str:
        dtype = helper.tensor_dtype_to_np_dtype(kind)
        return self.add("Constant", value=numpy_helper.from_array(np.array(value, dtype)))

    def finished(self) -> list[NodeProto]:
        self._made[-1].output[0] = self._node.output[0]
        return self._made


def _element_types(model: onnx.ModelProto) -> dict[str, int]:
    graph = onnx.shape_inference.infer_shapes(model).graph
    values = (*graph.value_info, *graph.input, *graph.output)
    return {value.name: value.type.tensor_type.elem_type for value in values}


def _without(node: NodeProto, **defaults: object) -> None:
    """Drop attributes that 17 does not know, if they say what it does anyway."""
    for attribute in list(node.attribute):
        if attribute.name not in defaults:
            continue
        if helper.get_attribute_value(attribute) != defaults[attribute.name]:
            raise ValueError(
                f"node {node.name}: {node.op_type} with {attribute.name} is not lowered to opset 17"
            )
        node.attribute.remove(attribute)


_REWRITES: dict[str, Callable[[NodeProto], list[NodeProto]]] = {
    "Split": _split,
    "Resize": _resize,
    "LayerNormalization": _layer_norm,
    **dict.fromkeys(
        ("ReduceMean", "ReduceMax", "ReduceMin", "ReduceProd", "ReduceL1", "ReduceL2"), _reduce
    ),
}
