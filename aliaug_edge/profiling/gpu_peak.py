"""What this GPU's matrix units reach, measured with FP16 products of random matrices.

TensorRT where it builds, timed on the device: what `docs/build.md` installs has no other. Else ONNX
Runtime's CUDA provider, where two chains of products are timed from array to array; their
difference is computing alone as far as the copies, in both, take the same time.
The operands are random: constant ones need less power, and the clocks then rise above what a model
ever sees.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from aliaug_edge.engines.building.jobs import BuildJob
from aliaug_edge.engines.building.machine import require_gpu
from aliaug_edge.engines.building.process import ask
from aliaug_edge.engines.building.toolchain import TENSORRT
from aliaug_edge.engines.onnxruntime import OnnxRuntimeEngine, Provider
from aliaug_edge.engines.plan import Profile
from aliaug_edge.engines.stage import Plan
from aliaug_edge.engines.tensorrt import TensorRtEngine
from aliaug_edge.errors import AliAugError
from aliaug_edge.profiling.gpu_trace import Tracer
from aliaug_edge.profiling.peak import matmul_model, matmul_spec
from aliaug_edge.tensors import Arrays

SIDE = 4096
SHORT, LONG = 4, 36  # products in a chain
ROUNDS = 5
WARM = 3  # the first captures the graph, and the clocks rise


def measured_gpu_gflops() -> float | None:
    """Best rate of FP16 products in GFLOP/s by what is installed here; null where nothing can."""
    return tensorrt_gflops() or onnxruntime_gflops()


def tensorrt_gflops(
    build: Callable[[Path, Path], None] | None = None,
    open_engine: Callable[..., TensorRtEngine] = TensorRtEngine,
    side: int = SIDE,
    chain: int = LONG,
) -> float | None:
    """Best rate of one chain of products of `side`³, between CUDA events; null where TensorRT
    cannot build or run it. `build` makes a plan of an ONNX file."""
    with tempfile.TemporaryDirectory() as folder:
        onnx, plan = Path(folder) / "matmul.onnx", Path(folder) / "plan"
        onnx.write_bytes(matmul_model(side, chain=chain, half=True))
        spec = matmul_spec(side, half=True)
        try:
            (build or build_plan)(onnx, plan)
            with (
                open_engine(spec, [("matmul", lambda: Plan(plan.read_bytes()))]) as engine,
                Tracer(engine, _operands(side)) as tracer,
            ):
                times = [tracer.run(staged=False).compute for _ in range(WARM + ROUNDS)][WARM:]
        except AliAugError:
            return None
    return round(2 * side**3 * chain / min(times) / 1e6, 1) if min(times) > 0 else None


def build_plan(onnx: Path, plan: Path, toolchain: str = TENSORRT, side: int = SIDE) -> None:
    """A plan of the products in `onnx`, built as `ali-aug build` builds, in a process of its own.

    Raises:
        EngineError: there is no GPU, no TensorRT that builds, or the build failed.
    """
    if toolchain == TENSORRT:
        require_gpu()
    square = Profile((side, side), (side, side), (side, side))
    job = BuildJob(
        name="matmul",
        onnx=str(onnx),
        plan=str(plan),
        precision="fp16",
        profile={"left": square, "right": square},
        optimization_level=3,
        workspace_mib=None,
        version_compatible=False,
        timing_cache="",
        timing_cache_out=str(plan.with_name("timing")),
    )
    request: dict[str, Any] = {"do": "build", "job": job.document()}
    ask(toolchain, request, "matrix products", "close other programs")


def onnxruntime_gflops(
    provider: Provider = "cuda", side: int = SIDE, chains: tuple[int, int] = (SHORT, LONG)
) -> float | None:
    """Best rate of products of `side`³ by ONNX Runtime; null where the provider cannot run them, or
    the difference of the two chains is lost in noise."""
    feeds = _operands(side)
    try:
        short, long = (_best_s(provider, feeds, side, chain) for chain in chains)
    except AliAugError:
        return None
    if long <= short:
        return None
    return round(2 * side**3 * (chains[1] - chains[0]) / (long - short) / 1e9, 1)


def _operands(side: int) -> Arrays:
    random = np.random.default_rng(0)
    left, right = (random.standard_normal((side, side), dtype=np.float32) for _ in range(2))
    return {
        "left": left.astype(np.float16),
        "right": (right / np.sqrt(side)).astype(np.float16),  # products keep their size
    }


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
