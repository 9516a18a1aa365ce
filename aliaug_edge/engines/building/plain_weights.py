"""Weights as TensorRT wants them: constants of the type that they are computed with.

A bundle stores weights in half where that is exact, behind a Cast (`export/weights.py`). ONNX
Runtime folds it when it loads the graph. TensorRT's parser makes a layer of it, and hands the
convolution a kernel that is another layer's output: before TensorRT 10 that is for quantised
networks alone, and later at least another kind of convolution (NvInfer.h, `IConvolutionLayer::
setInput`). So TensorRT parses a copy, in a folder of the build's own, where the Cast is done.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import BinaryIO

import numpy as np

from aliaug_edge import wire
from aliaug_edge.engines.plan import EngineError
from aliaug_edge.onnx_weights import EXTERNAL, GRAPH, INITIALIZERS, KEY, VALUE, external_entries

PLAIN = "plain.onnx"
WEIGHTS = "plain.weights"
ALIGNMENT = 64
# Field numbers of onnx.proto (https://github.com/onnx/onnx/blob/main/onnx/onnx.proto).
_NODES = 1  # GraphProto
_READ, _MADE, _OP_TYPE, _ATTRIBUTES, _INT = 1, 2, 4, 5, 3  # NodeProto, AttributeProto
_DIMS, _TYPE, _NAME, _LOCATION = 1, 2, 8, 14  # TensorProto
_FLOAT, _HALF = 1, 10
_BESIDE = 1  # TensorProto.DataLocation.EXTERNAL


def with_plain_weights(path: Path, folder: Path) -> Path:
    """The graph at `path` itself where no weight of it is stored in half, else a copy of it and of
    its weights in `folder`, where they are FP32: the same values, and the Casts gone.

    Raises:
        EngineError: its weights cannot be read. OSError: the copy cannot be written.
    """
    model = memoryview(path.read_bytes())
    (graph,) = wire.messages(model, GRAPH)
    halves = _halves(graph)
    if not halves:
        return path
    with (folder / WEIGHTS).open("wb") as weights:
        plain = b"".join(_fields(graph, halves, path.parent, weights))
    kept = [wire.field(n, value) for n, value in wire.fields(model) if n != GRAPH]
    (folder / PLAIN).write_bytes(b"".join([*kept, wire.field(GRAPH, plain)]))
    return folder / PLAIN


def _halves(graph: memoryview) -> dict[str, str]:
    """Weights that nothing but a Cast to FP32 reads, and what it calls them."""
    weights = {
        wire.text(tensor, _NAME)
        for tensor in wire.messages(graph, INITIALIZERS)
        if wire.number_in(tensor, _TYPE) == _HALF and external_entries(tensor)
    }
    found: dict[str, str] = {}
    read_otherwise: set[str] = set()
    for node in wire.messages(graph, _NODES):
        names = [bytes(name).decode() for name in wire.messages(node, _READ)]
        if _is_cast_to_float(node) and names[0] in weights and names[0] not in found:
            found[names[0]] = wire.text(node, _MADE)
        else:
            read_otherwise.update(names)
    return {name: made for name, made in found.items() if name not in read_otherwise}


def _is_cast_to_float(node: memoryview) -> bool:
    kinds = [wire.number_in(a, _INT) for a in wire.messages(node, _ATTRIBUTES)]
    return wire.text(node, _OP_TYPE) == "Cast" and _FLOAT in kinds


def _fields(
    graph: memoryview, halves: Mapping[str, str], folder: Path, weights: BinaryIO
) -> Iterator[bytes]:
    """The graph's fields as they are, but for the weights, the Casts and what the weights were."""
    for number, value in wire.fields(graph):
        if number == INITIALIZERS and isinstance(value, memoryview) and external_entries(value):
            yield wire.field(number, _moved(value, halves, folder, weights))
        elif not (number == _NODES and isinstance(value, memoryview) and _goes(value, halves)):
            yield wire.field(number, value)


def _goes(node: memoryview, halves: Mapping[str, str]) -> bool:
    return wire.text(node, _MADE) in halves.values() and wire.text(node, _OP_TYPE) == "Cast"


def _moved(tensor: memoryview, halves: Mapping[str, str], folder: Path, weights: BinaryIO) -> bytes:
    """The weight as it lies in `weights` from now on, in FP32 if it was one of the `halves`."""
    name = wire.text(tensor, _NAME)
    data = _read(folder, external_entries(tensor), name)
    kind = wire.number_in(tensor, _TYPE)
    if name in halves:
        data, kind, name = np.frombuffer(data, "<f2").astype("<f4").tobytes(), _FLOAT, halves[name]
    weights.write(b"\0" * (-weights.tell() % ALIGNMENT))
    place = {"location": WEIGHTS, "offset": str(weights.tell()), "length": str(len(data))}
    weights.write(data)
    written = [wire.field(_DIMS, value) for n, value in wire.fields(tensor) if n == _DIMS]
    written += [wire.field(_TYPE, kind), wire.field(_NAME, name.encode())]
    for key, text in place.items():
        entry = wire.field(KEY, key.encode()) + wire.field(VALUE, text.encode())
        written.append(wire.field(EXTERNAL, entry))
    return b"".join([*written, wire.field(_LOCATION, _BESIDE)])


def _read(folder: Path, place: Mapping[str, str], name: str) -> bytes:
    path = folder / place["location"]
    start = int(place.get("offset", "0"))
    length = int(place["length"]) if "length" in place else path.stat().st_size - start
    with path.open("rb") as stream:
        stream.seek(start)
        data = stream.read(length)
    if len(data) != length:
        raise EngineError(f"{path}: weight {name} ends after {len(data)} of {length} bytes")
    return data
