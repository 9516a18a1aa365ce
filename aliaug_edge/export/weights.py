"""One weight file for all graphs of a bundle: equal tensors are stored once.

The fused generator and the three staged graphs hold the same weights; as ONNX external data in one
file they cost the bundle half the space, on disk and over the wire to a device.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path

import onnx
from onnx import TensorProto

WEIGHTS = "weights.bin"
SMALLEST = 1024  # bytes; what is smaller stays inside its graph
ALIGNMENT = 64  # bytes; lets runtimes map the file


def share_weights(paths: Sequence[Path]) -> Path:
    """Move the weights of the graphs at `paths` (one folder) into `weights.bin` beside them."""
    target = paths[0].parent / WEIGHTS
    offsets: dict[str, int] = {}
    with target.open("wb") as stream:
        for path in paths:
            model = onnx.load(path)
            for tensor in model.graph.initializer:
                data = _raw_bytes(tensor)
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


def _raw_bytes(tensor: TensorProto) -> bytes:
    if not tensor.HasField("raw_data"):
        tensor.CopyFrom(
            onnx.numpy_helper.from_array(onnx.numpy_helper.to_array(tensor), tensor.name)
        )
    return tensor.raw_data


def _point_outside(tensor: TensorProto, offset: int, length: int) -> None:
    tensor.ClearField("raw_data")
    del tensor.external_data[:]
    tensor.data_location = TensorProto.EXTERNAL
    for key, value in (("location", WEIGHTS), ("offset", offset), ("length", length)):
        entry = tensor.external_data.add()
        entry.key, entry.value = key, str(value)
