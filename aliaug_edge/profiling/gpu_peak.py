"""What this GPU's matrix units reach, measured: FP16 products in ONNX Runtime's CUDA provider.

Two chains of products of the same matrices are timed; their difference is computing alone, since
copies and launches are in both. The operands are random: constant ones need less power, and the
clocks then rise above what a model ever sees.
"""

from __future__ import annotations

import tempfile
import time
from pathlib import Path

import numpy as np

from aliaug_edge.engines.onnxruntime import OnnxRuntimeEngine, Provider
from aliaug_edge.errors import AliAugError
from aliaug_edge.profiling.peak import matmul_model, matmul_spec
from aliaug_edge.tensors import Arrays

SIDE = 4096
SHORT, LONG = 4, 36  # products in a chain
ROUNDS = 5


def measured_gpu_gflops(
    provider: Provider = "cuda", side: int = SIDE, chains: tuple[int, int] = (SHORT, LONG)
) -> float | None:
    """Best rate of FP16 products of `side`³ in GFLOP/s; null where the provider cannot run them,
    or the difference is lost in noise."""
    random = np.random.default_rng(0)
    left, right = (random.standard_normal((side, side), dtype=np.float32) for _ in range(2))
    feeds = {
        "left": left.astype(np.float16),
        "right": (right / np.sqrt(side)).astype(np.float16),  # products keep their size
    }
    try:
        short, long = (_best_s(provider, feeds, side, chain) for chain in chains)
    except AliAugError:
        return None
    if long <= short:
        return None
    return round(2 * side**3 * (chains[1] - chains[0]) / (long - short) / 1e9, 1)


def _best_s(provider: Provider, feeds: Arrays, side: int, chain: int) -> float:
    spec = matmul_spec(side, half=True)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / spec.path
        path.write_bytes(matmul_model(side, chain=chain, half=True))
        with OnnxRuntimeEngine(path, spec, provider=provider) as engine:
            engine.infer(feeds)
            times = []
            for _ in range(ROUNDS):
                started = time.perf_counter()
                engine.infer(feeds)
                times.append(time.perf_counter() - started)
    return min(times)
