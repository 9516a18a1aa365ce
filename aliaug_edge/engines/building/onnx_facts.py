"""What an ONNX file says about itself: opset, operators, weights, and the hash of all of it."""

from __future__ import annotations

import collections
import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from aliaug_edge import wire
from aliaug_edge.engines.plan import EngineError
from aliaug_edge.onnx_weights import GRAPH, INITIALIZERS, external_entries

COMPUTE = ("Conv", "ConvTranspose", "MatMul", "Gemm")  # what TensorRT times tactics for
# Field numbers of onnx.proto (https://github.com/onnx/onnx/blob/main/onnx/onnx.proto).
_OPSETS, _FUNCTIONS = 8, 25
_NODES = 1
_OP_TYPE, _OP_DOMAIN, _ATTRIBUTES = 4, 7, 5
_SUBGRAPH, _SUBGRAPHS = 6, 11
_FUNCTION_NODES = 7
_RAW_DATA = 9
_DOMAIN, _VERSION = 1, 2


@dataclass(frozen=True)
class OnnxFacts:
    """`operators` counts nodes by name (with the domain in front where it is not ONNX's own),
    subgraphs included; `weight_bytes` counts the weights, inside the file and beside it."""

    path: Path
    opset: int
    operators: Mapping[str, int]
    weight_bytes: int
    sha256: str

    @property
    def compute_nodes(self) -> int:
        """Convolutions and matrix products."""
        return sum(self.operators.get(name, 0) for name in COMPUTE)


def read_onnx(path: Path) -> OnnxFacts:
    """Facts of the graph at `path`.

    `sha256` covers the graph file and those bytes of its weight files that it uses: graphs of a
    bundle share one weight file, and a change to another graph's weights must not count.

    Raises:
        EngineError: it cannot be read, or is no ONNX graph.
    """
    try:
        data = path.read_bytes()
        model = memoryview(data)
        graph = next(wire.messages(model, GRAPH))
        opset = _opset(model)
        operators = collections.Counter(_operators(model, graph))
        digest, weight_bytes = hashlib.sha256(data), 0
        for tensor in wire.messages(graph, INITIALIZERS):
            place = external_entries(tensor)
            if place:
                weight_bytes += _hash_slice(digest, path.parent, place)
            else:
                weight_bytes += sum(len(raw) for raw in wire.messages(tensor, _RAW_DATA))
    except StopIteration:
        raise EngineError(f"{path} holds no ONNX graph; export the bundle again") from None
    except (OSError, ValueError) as error:
        raise EngineError(
            f"{path} cannot be read as ONNX ({error}); export the bundle again"
        ) from error
    return OnnxFacts(path, opset, dict(operators), weight_bytes, digest.hexdigest())


def _opset(model: memoryview) -> int:
    for entry in wire.messages(model, _OPSETS):
        if wire.text(entry, _DOMAIN) in ("", "ai.onnx"):
            return wire.number_in(entry, _VERSION)
    raise ValueError("it names no opset")


def _operators(model: memoryview, graph: memoryview) -> Iterator[str]:
    yield from _in_nodes(wire.messages(graph, _NODES))
    for function in wire.messages(model, _FUNCTIONS):
        yield from _in_nodes(wire.messages(function, _FUNCTION_NODES))


def _in_nodes(nodes: Iterator[memoryview]) -> Iterator[str]:
    for node in nodes:
        domain = wire.text(node, _OP_DOMAIN)
        name = wire.text(node, _OP_TYPE)
        yield name if domain in ("", "ai.onnx") else f"{domain}.{name}"
        for attribute in wire.messages(node, _ATTRIBUTES):
            for field in (_SUBGRAPH, _SUBGRAPHS):
                for inner in wire.messages(attribute, field):
                    yield from _in_nodes(wire.messages(inner, _NODES))


def _hash_slice(digest: hashlib._Hash, folder: Path, place: Mapping[str, str]) -> int:
    path = folder / place.get("location", "")
    if not path.resolve().is_relative_to(folder.resolve()):
        raise ValueError(f"its weights {place.get('location')!r} lie outside its folder; refused")
    start = int(place.get("offset", "0"))
    length = int(place["length"]) if "length" in place else path.stat().st_size - start
    left = length
    with path.open("rb") as stream:
        stream.seek(start)
        while left > 0:
            block = stream.read(min(left, 1 << 20))
            if not block:
                raise ValueError(f"{path.name} ends before byte {start + length}")
            digest.update(block)
            left -= len(block)
    return length
