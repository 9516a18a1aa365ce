"""One weight file for all graphs of a bundle: equal tensors are stored once, in half where exact.

The fused generator and the three staged graphs hold the same weights; as ONNX external data in one
file they cost the bundle half the space, on disk and over the wire to a device. FP32 weights that
half precision represents exactly (those of a base that was shipped in FP16) are stored so, behind a
Cast that every runtime folds when it loads the graph: the computation stays the same to the bit.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto

WEIGHTS = "weights.bin"
SMALLEST = 1024  # bytes; what is smaller stays inside its graph
ALIGNMENT = 64  # bytes; lets runtimes map the file
STORED = "/stored"  # suffix of a weight's name as it is stored in half


def share_weights(paths: Sequence[Path]) -> Path:
    """Move the weights of the graphs at `paths` (one folder) into `weights.bin` beside them."""
    target = paths[0].parent / WEIGHTS
    offsets: dict[str, int] = {}
    with target.open("wb") as stream:
        for path in paths:
            model = onnx.load(path)
            _halve_where_exact(model.graph)
            for tensor in model.graph.initializer:
                data = tensor.raw_data
                if len(data) < SMALLEST:
                    continue
                key = hashlib.sha256(data).hexdigest()
                if key not in offsets:
                    stream.write(b"\0" * (-stream.tell() % ALIGNMENT))
                    offsets[key] = stream.tell()
                    stream.write(data)
                _point_outside(tensor, offsets[key], len(data))
            path.write_bytes(model.SerializeToString(deterministic=True))
    return target


def _halve_where_exact(graph: onnx.GraphProto) -> None:
    """Store each large FP32 weight in FP16 if that loses nothing; raw bytes for all."""
    casts = []
    for tensor in graph.initializer:
        values = onnx.numpy_helper.to_array(tensor)
        name = tensor.name
        if values.dtype == np.float32 and values.nbytes >= SMALLEST:
            with np.errstate(over="ignore"):
                half = values.astype(np.float16)
            if np.array_equal(half.astype(np.float32), values):
                casts.append(
                    onnx.helper.make_node("Cast", [name + STORED], [name], to=TensorProto.FLOAT)
                )
                values, name = half, name + STORED
        tensor.CopyFrom(onnx.numpy_helper.from_array(values, name))
    for cast in reversed(casts):
        cast.name = cast.output[0] + "/cast"
        graph.node.insert(0, cast)


def _point_outside(tensor: TensorProto, offset: int, length: int) -> None:
    tensor.ClearField("raw_data")
    del tensor.external_data[:]
    tensor.data_location = TensorProto.EXTERNAL
    for key, value in (("location", WEIGHTS), ("offset", offset), ("length", length)):
        entry = tensor.external_data.add()
        entry.key, entry.value = key, str(value)
