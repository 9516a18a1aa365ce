"""What this machine can compute at most, measured: FP32 matrix products in the same runtime.

The model is one MatMul node, written here in ONNX's wire format (protobuf): the edge half has no
`onnx` package, and a few bytes need none. Field numbers are those of onnx/onnx.proto.
"""

from __future__ import annotations

import itertools
import tempfile
import time
from pathlib import Path

import numpy as np

from aliaug_edge.bundle import GraphSpec
from aliaug_edge.engines.onnxruntime import OnnxRuntimeEngine
from aliaug_edge.tensors import TensorSpec

SIDE = 1024  # 12 MiB of operands: beyond the caches' reach as convolutions of a VAE are
_DURATION_S = 0.2
_FLOAT, _HALF, _IR_VERSION, _OPSET = 1, 10, 8, 17


def measured_peak_gflops(threads: int) -> float:
    """Best rate of a 1024³ FP32 MatMul in ONNX Runtime on the CPU with `threads`, in GFLOP/s."""
    spec = matmul_spec()
    random = np.random.default_rng(0)
    feeds = {s.name: random.random((SIDE, SIDE), dtype=np.float32) for s in spec.inputs}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / spec.path
        path.write_bytes(matmul_model())
        with OnnxRuntimeEngine(path, spec, provider="cpu", threads=threads) as engine:
            engine.infer(feeds)
            best, started = float("inf"), time.perf_counter()
            while time.perf_counter() - started < _DURATION_S:
                before = time.perf_counter()
                engine.infer(feeds)
                best = min(best, time.perf_counter() - before)
    return round(2 * SIDE**3 / best / 1e9, 1)


def matmul_model(side: int = SIDE, *, chain: int = 1, half: bool = False) -> bytes:
    """An ONNX model `product = left · right · right …` of square matrices, as bytes.

    `chain` products, FP16 with `half`, else FP32.
    """
    names = ["left", *(f"product_{index}" for index in range(1, chain)), "product"]
    graph = b"".join(_bytes(1, _product(a, b)) for a, b in itertools.pairwise(names))
    graph += _text(2, "matmul")
    for field, name in ((11, "left"), (11, "right"), (12, "product")):
        graph += _bytes(field, _value(name, side, _HALF if half else _FLOAT))
    opset = _text(1, "") + _number(2, _OPSET)
    return _number(1, _IR_VERSION) + _bytes(7, graph) + _bytes(8, opset)


def matmul_spec(side: int = SIDE, *, half: bool = False) -> GraphSpec:
    """The tensors of `matmul_model`, in a file matmul.onnx."""

    def spec(name: str) -> TensorSpec:
        return TensorSpec(name, "float16" if half else "float32", (side, side))

    return GraphSpec("matmul.onnx", (spec("left"), spec("right")), (spec("product"),))


def _product(left: str, product: str) -> bytes:
    return _text(1, left) + _text(1, "right") + _text(2, product) + _text(4, "MatMul")


def _value(name: str, side: int, kind: int) -> bytes:
    dimension = _bytes(1, _number(1, side))
    tensor = _number(1, kind) + _bytes(2, dimension + dimension)
    return _text(1, name) + _bytes(2, _bytes(1, tensor))


def _number(field: int, value: int) -> bytes:
    return _varint(field << 3) + _varint(value)


def _text(field: int, value: str) -> bytes:
    return _bytes(field, value.encode())


def _bytes(field: int, value: bytes) -> bytes:
    return _varint(field << 3 | 2) + _varint(len(value)) + value


def _varint(value: int) -> bytes:
    groups = bytearray()
    while value > 0x7F:
        groups.append(value & 0x7F | 0x80)
        value >>= 7
    groups.append(value)
    return bytes(groups)
