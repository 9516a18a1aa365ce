"""Graphs on disk while they are made: a small protobuf, its weights beside it.

A protobuf ends at 2 GiB, and SD-Turbo's U-Net has 3.5 GB of FP32 weights. So no weight of a
kilobyte or more is ever inside a protobuf here, whatever the size of the model: every pass reads
and writes graphs without their weights, and weights one at a time. Small and large models take the
same way.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto

SMALLEST = 1024  # bytes; what is smaller stays inside its graph
ALIGNMENT = 64  # bytes; lets runtimes map the file
DATA = ".data"  # what follows a graph's name in that of its own weight file


def load_graph(path: Path) -> onnx.ModelProto:
    """The graph at `path` without the large weights that lie beside it."""
    model = onnx.load(path, load_external_data=False)
    for tensor in model.graph.initializer:
        if place(tensor) and not is_large(tensor):
            values = tensor_values(tensor, path.parent)
            tensor.CopyFrom(onnx.numpy_helper.from_array(values, tensor.name))
    return model


def save_graph(model: onnx.ModelProto, path: Path) -> None:
    """Write `model`, whose large weights lie beside `path` already, and check it as it lies there.

    The check is ONNX's full one, so the types of all tensors have to agree.
    """
    path.write_bytes(model.SerializeToString(deterministic=True))
    onnx.checker.check_model(str(path), full_check=True)


def tensor_values(tensor: TensorProto, folder: Path) -> NDArray[Any]:
    """The values of a weight of a graph in `folder`, from inside the graph or from beside it."""
    values: NDArray[Any] = onnx.numpy_helper.to_array(tensor, str(folder))
    return values


def place(tensor: TensorProto) -> tuple[str, int, int] | None:
    """File, offset and length in bytes of a weight beside its graph; None of one inside."""
    if tensor.data_location != TensorProto.EXTERNAL:
        return None
    entries = {entry.key: entry.value for entry in tensor.external_data}
    return entries["location"], int(entries.get("offset", 0)), int(entries["length"])


def weight_files(model: onnx.ModelProto) -> set[str]:
    """Names of the files beside the graph that hold weights of it."""
    return {found[0] for tensor in model.graph.initializer if (found := place(tensor))}


class WeightFile:
    """A weight file that is being written, aligned, one tensor after the other."""

    def __init__(self, name: str, stream: BinaryIO) -> None:
        self._name = name
        self._stream = stream

    def append(self, data: bytes) -> tuple[str, int, int]:
        """Write `data`; where it lies, as `point_outside` wants it."""
        self._stream.write(b"\0" * (-self._stream.tell() % ALIGNMENT))
        offset = self._stream.tell()
        self._stream.write(data)
        return self._name, offset, len(data)


@contextmanager
def weight_file(path: Path) -> Iterator[WeightFile]:
    """A new weight file at `path`, in place of one of that name once it is complete."""
    unfinished = path.with_name(f".{path.name}.tmp")
    with unfinished.open("wb") as stream:
        yield WeightFile(path.name, stream)
    unfinished.replace(path)


def point_outside(tensor: TensorProto, where: tuple[str, int, int]) -> None:
    """Let `tensor` be what lies at (file, offset, length) instead of what it holds."""
    tensor.ClearField("raw_data")
    del tensor.external_data[:]
    tensor.data_location = TensorProto.EXTERNAL
    for key, value in zip(("location", "offset", "length"), where, strict=True):
        entry = tensor.external_data.add()
        entry.key, entry.value = key, str(value)


def is_large(tensor: TensorProto) -> bool:
    """Whether a weight is to lie beside its graph."""
    found = place(tensor)
    if found is not None:
        return found[2] >= SMALLEST
    itemsize = np.dtype(onnx.helper.tensor_dtype_to_np_dtype(tensor.data_type)).itemsize
    return int(np.prod(tensor.dims)) * itemsize >= SMALLEST


def reaching(nodes: Iterable[onnx.NodeProto], outputs: set[str]) -> list[onnx.NodeProto]:
    """The nodes, in order, that something in `outputs` depends on."""
    needed, kept = set(outputs), []
    for node in reversed(list(nodes)):
        if needed & set(node.output):
            needed |= set(node.input)
            kept.append(node)
    return kept[::-1]
