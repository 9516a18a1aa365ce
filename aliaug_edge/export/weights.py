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

from aliaug_edge.export.graph_files import (
    WeightFile,
    is_large,
    load_graph,
    place,
    point_outside,
    save_graph,
    tensor_values,
    weight_file,
    weight_files,
)

WEIGHTS = "weights.bin"
STORED = "/stored"  # suffix of a weight's name as it is stored in half

Place = tuple[str, int, int]


def share_weights(paths: Sequence[Path]) -> Path:
    """Move the weights of the graphs at `paths` (one folder) into `weights.bin` beside them."""
    folder = paths[0].parent
    models = {path: load_graph(path) for path in paths}
    old = set().union(*(weight_files(model) for model in models.values())) - {WEIGHTS}
    with weight_file(folder / WEIGHTS) as written:
        store = _Store(folder, written)
        for model in models.values():
            _move_weights(model.graph, store)
    for path, model in models.items():
        save_graph(model, path)
    for name in old:
        (folder / name).unlink()
    return folder / WEIGHTS


class _Store:
    """Weights by their content; those that two graphs refer to are read once."""

    def __init__(self, folder: Path, written: WeightFile) -> None:
        self._folder = folder
        self._written = written
        self._by_content: dict[str, Place] = {}
        self._by_place: dict[tuple[Place, int], tuple[Place, int]] = {}

    def keep(self, tensor: TensorProto) -> tuple[Place, int]:
        """Store `tensor`: where it lies now, and as which ONNX type."""
        source = place(tensor)
        key = (source, tensor.data_type) if source else None
        if key and key in self._by_place:
            return self._by_place[key]
        values = _smallest_exact(tensor_values(tensor, self._folder))
        data = values.tobytes()
        digest = hashlib.sha256(data).hexdigest()
        if digest not in self._by_content:
            self._by_content[digest] = self._written.append(data)
        kind = onnx.helper.np_dtype_to_tensor_dtype(values.dtype)
        made = (self._by_content[digest], kind)
        if key:
            self._by_place[key] = made
        return made


def _move_weights(graph: onnx.GraphProto, store: _Store) -> None:
    """Let the large weights of `graph` be those of the store; raw bytes for the small ones."""
    casts = []
    for tensor in graph.initializer:
        if not is_large(tensor):
            values = onnx.numpy_helper.to_array(tensor)
            tensor.CopyFrom(onnx.numpy_helper.from_array(values, tensor.name))
            continue
        where, kind = store.keep(tensor)
        name = tensor.name
        if kind != tensor.data_type:
            casts.append(
                onnx.helper.make_node("Cast", [name + STORED], [name], to=TensorProto.FLOAT)
            )
            name += STORED
        moved = TensorProto(name=name, dims=tensor.dims, data_type=kind)
        point_outside(moved, where)
        tensor.CopyFrom(moved)
    for cast in reversed(casts):
        cast.name = cast.output[0] + "/cast"
        graph.node.insert(0, cast)


def _smallest_exact(values: np.ndarray) -> np.ndarray:
    """`values` in FP16 if they are FP32 and lose nothing by it."""
    if values.dtype != np.float32:
        return values
    with np.errstate(over="ignore"):
        half = values.astype(np.float16)
    return half if np.array_equal(half.astype(np.float32), values) else values
