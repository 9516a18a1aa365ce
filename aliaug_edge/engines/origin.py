"""Where NaN or infinity began inside an ONNX graph: its nodes run one after another, each alone.

For diagnosis, on the CPU. A session of the whole graph that gives every tensor in between would
hold all of them at once, tens of gigabytes at 512 x 512; here a tensor goes with its last reader,
and a weight with its node. The graph is taken apart on the wire, without the `onnx` package.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from aliaug_edge import wire
from aliaug_edge.engines.providers import CPU
from aliaug_edge.tensors import Arrays

# Field numbers of onnx.proto (https://github.com/onnx/onnx/blob/main/onnx/onnx.proto).
_IR_VERSION, _GRAPH, _OPSETS, _FUNCTIONS = 1, 7, 8, 25  # ModelProto
_NODES, _GRAPH_NAME, _INITIALIZERS, _INPUTS, _OUTPUTS = 1, 2, 5, 11, 12  # GraphProto
_READ, _MADE, _NODE_NAME, _OP_TYPE = 1, 2, 3, 4  # NodeProto
_TENSOR_NAME = 8  # TensorProto
_VALUE_NAME, _VALUE_TYPE, _TENSOR_TYPE, _ELEMENT = 1, 2, 1, 1  # ValueInfoProto and below it
_ELEMENTS = {
    "float32": 1,
    "uint8": 2,
    "int8": 3,
    "int32": 6,
    "int64": 7,
    "bool": 9,
    "float16": 10,
    "float64": 11,
}
# From ONNX Runtime 1.21 on (https://github.com/microsoft/onnxruntime/pull/23557).
_WEIGHTS_FOLDER = "session.model_external_initializers_file_folder_path"

Broken = tuple[int, str]  # where in the order of running, and what to call it


@dataclass(frozen=True, eq=False)
class _Node:
    message: memoryview
    reads: tuple[str, ...]
    makes: tuple[str, ...]

    def title(self, tensor: str) -> str:
        """ "output mul_3 of node_Mul_91 (Mul)"."""
        name = wire.text(self.message, _NODE_NAME) or "a node"
        return f"output {tensor} of {name} ({wire.text(self.message, _OP_TYPE)})"


@dataclass(frozen=True)
class _Graph:
    """`head` is what every part of the model needs: versions and functions. `weights` are the
    initializers by name, `fixed` the nodes that depend on nothing else by what they make, `nodes`
    the others in the order in which they run."""

    head: bytes
    weights: Mapping[str, memoryview]
    fixed: Mapping[str, _Node]
    nodes: Sequence[_Node]
    outputs: Sequence[str]

    def alone(self, node: _Node, given: Arrays) -> bytes:
        """The model of `node`, with the weights that it reads; what it is `given` are inputs."""
        weights: dict[str, memoryview] = {}
        before: dict[str, _Node] = {}
        self._gather(node, weights, before)
        parts: list[tuple[int, bytes | memoryview]] = []
        parts += [(_NODES, n.message) for n in (*dict.fromkeys(before.values()), node)]
        parts += [(_INITIALIZERS, weight) for weight in weights.values()]
        parts += [(_INPUTS, _value(name, array)) for name, array in given.items()]
        parts += [(_OUTPUTS, _value(name)) for name in node.makes]
        graph = b"".join(wire.field(number, part) for number, part in parts)
        return self.head + wire.field(_GRAPH, wire.field(_GRAPH_NAME, b"node") + graph)

    def _gather(
        self, node: _Node, weights: dict[str, memoryview], before: dict[str, _Node]
    ) -> None:
        """What `node` reads that is the same for every input; makers before readers."""
        for name in node.reads:
            if name in self.weights:
                weights[name] = self.weights[name]
            elif name in self.fixed and name not in before:
                self._gather(self.fixed[name], weights, before)
                before[name] = self.fixed[name]


def first_broken_node(
    runtime: Any, graph_path: Path, feeds: Mapping[str, NDArray[Any]], threads: int
) -> str:
    """ "output mul_3 of node_Mul_91 (Mul)", or "input noise": where the values of the graph's
    outputs that are not finite began for `feeds`; empty where the CPU makes them all finite.

    Infinity that does not reach an output, as of a mask before a softmax, is passed over. Halves
    are stored as halves between the nodes, so that what overflows on a GPU does so here.

    Raises:
        Exception: of `runtime` (the module onnxruntime), which has no class for its errors; or the
            graph is not one that a bundle may hold.
    """
    graph = _read(memoryview(graph_path.read_bytes()))
    options = _session_options(runtime, graph_path.parent, threads)
    last = {name: place for place, node in enumerate(graph.nodes) for name in node.reads}
    known: Arrays = dict(feeds)
    broken: dict[str, Broken] = {n: (-1, f"input {n}") for n in feeds if not _is_finite(feeds[n])}
    for place, node in enumerate(graph.nodes):
        given = {name: known[name] for name in node.reads if name in known}
        session = runtime.InferenceSession(graph.alone(node, given), options, providers=[CPU])
        made = dict(zip(node.makes, session.run(list(node.makes), given), strict=True))
        came = [broken[name] for name in given if name in broken]
        for name, array in made.items():
            if not _is_finite(array):
                broken[name] = min(came, default=(place, node.title(name)))
        known |= made
        for name in (*given, *made):
            if last.get(name, -1) <= place and name not in graph.outputs:
                known.pop(name, None)
    return next((broken[name][1] for name in graph.outputs if name in broken), "")


def _read(model: memoryview) -> _Graph:
    (graph,) = wire.messages(model, _GRAPH)
    weights = {wire.text(w, _TENSOR_NAME): w for w in wire.messages(graph, _INITIALIZERS)}
    fixed: dict[str, _Node] = {}
    nodes = []
    for message in wire.messages(graph, _NODES):
        node = _Node(message, _names(message, _READ), _names(message, _MADE))
        if all(name in weights or name in fixed for name in node.reads):
            fixed |= dict.fromkeys(node.makes, node)
        else:
            nodes.append(node)
    outputs = [wire.text(value, _VALUE_NAME) for value in wire.messages(graph, _OUTPUTS)]
    return _Graph(_head(model), weights, fixed, nodes, outputs)


def _head(model: memoryview) -> bytes:
    kept = (_IR_VERSION, _OPSETS, _FUNCTIONS)
    return b"".join(wire.field(n, value) for n, value in wire.fields(model) if n in kept)


def _names(node: memoryview, number: int) -> tuple[str, ...]:
    """Without those that are left out, which are empty."""
    return tuple(bytes(name).decode() for name in wire.messages(node, number) if len(name))


def _value(name: str, array: NDArray[Any] | None = None) -> bytes:
    """A ValueInfoProto; of an output ONNX Runtime finds the type."""
    named = wire.field(_VALUE_NAME, name.encode())
    if array is None:
        return named
    tensor = wire.field(_ELEMENT, _ELEMENTS[str(array.dtype)])
    return named + wire.field(_VALUE_TYPE, wire.field(_TENSOR_TYPE, tensor))


def _session_options(runtime: Any, folder: Path, threads: int) -> Any:
    """`folder` is where the weights lie that are in no graph."""
    options = runtime.SessionOptions()
    options.graph_optimization_level = runtime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.intra_op_num_threads = threads
    options.log_severity_level = 4
    options.add_session_config_entry(_WEIGHTS_FOLDER, str(folder))
    return options


def _is_finite(array: Any) -> bool:
    return array.dtype.kind != "f" or bool(np.isfinite(array).all())
