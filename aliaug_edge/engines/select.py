"""Which engine runs a bundle: by name, or chosen here."""

from __future__ import annotations

import difflib
import importlib.util
from collections.abc import Sequence
from dataclasses import dataclass

from aliaug_edge.bundle import Bundle
from aliaug_edge.engines.auto import AutoEngine
from aliaug_edge.engines.base import Engine
from aliaug_edge.engines.gpu import GpuProbe, probe_gpus
from aliaug_edge.engines.installed import (
    CUDA_REINSTALL,
    Fault,
    onnxruntime_fault,
    onnxruntime_has_cuda,
)
from aliaug_edge.engines.onnxruntime import OnnxRuntimeEngine, Provider
from aliaug_edge.engines.packages import tensorrt_install
from aliaug_edge.engines.plan import Here
from aliaug_edge.engines.store import FOLDER, find_plans, require_plans
from aliaug_edge.engines.tensorrt_package import MODULES, driver_fault, is_lean
from aliaug_edge.errors import AliAugError

AUTO = "auto"
TENSORRT = "tensorrt"
_PROVIDERS: dict[str, Provider] = {
    "onnxruntime-cpu": "cpu",
    "onnxruntime-cuda": "cuda",
    "onnxruntime-tensorrt": "tensorrt",
}
ENGINES = (AUTO, *_PROVIDERS, TENSORRT)
_ORT_CACHE = "onnxruntime"  # beside the engines of `ali-aug build`


@dataclass(frozen=True)
class EngineChoice:
    """Whether an engine can run here. `reason` says why or why not; `install` is the line that
    adds what software it lacks, empty where it lacks none."""

    name: str
    available: bool
    reason: str
    install: str


def open_engine(
    bundle: Bundle,
    graph: str = "generator",
    *,
    engine: str = AUTO,
    size_hw: tuple[int, int] | None = None,
    batch: int | None = None,
    threads: int | None = None,
    sizes: Sequence[tuple[int, int]] = (),
) -> Engine:
    """An engine for one graph of `bundle`, to be entered with `with`.

    `size_hw` in pixels and `batch` make the shapes static; `threads` as in `thread_count`. `sizes`
    are those that an engine of this name will be asked for sooner or later: TensorRT has to be
    built for each of them, and takes every shape that its plans hold, so that one engine may serve
    several (`TensorRtEngine.has_plans_of`).
    "auto" takes the fastest that is valid here, in this order: TensorRT, where `ali-aug build` made
    engines for this GPU, this TensorRT and this size; ONNX Runtime with CUDA; ONNX Runtime on the
    CPU. An engine that cannot be entered is passed over, as one whose plan proves damaged. It
    prints its reason on stderr when entered.

    Raises:
        AliAugError: no such engine, or it cannot run here.
        BundleError: no such graph.
    """
    if engine not in ENGINES:
        raise AliAugError(
            f"unknown engine {engine!r}{_nearest(engine)}; there are {', '.join(ENGINES)}"
        )
    bundle.graph_path(graph)
    size = Size(size_hw, batch, tuple(sizes))
    if engine == TENSORRT:
        return _tensorrt(bundle, graph, size)
    if engine == AUTO:
        return _fastest(bundle, graph, size, threads)
    return _onnxruntime(bundle, graph, size, threads, _PROVIDERS[engine])


@dataclass(frozen=True)
class Size:
    """What is known of the shapes: (height, width) in pixels and the batch, None where free, and
    `every` size that will be asked for."""

    hw: tuple[int, int] | None
    batch: int | None
    every: tuple[tuple[int, int], ...] = ()


def _fastest(bundle: Bundle, graph: str, size: Size, threads: int | None) -> Engine:
    if probe_gpus().problem is not None:  # no engine for a GPU has to be asked
        return _onnxruntime(bundle, graph, size, threads, "auto")

    def instead(error: AliAugError) -> Engine:
        return _instead(bundle, graph, size, threads, error)

    why = "the fastest; built for this GPU by `ali-aug build`"
    try:
        first = _tensorrt(bundle, graph, size, why)
    except AliAugError as error:
        return instead(error)
    return AutoEngine(first, instead)


def _instead(
    bundle: Bundle, graph: str, size: Size, threads: int | None, error: AliAugError
) -> Engine:
    """ONNX Runtime where TensorRT would be faster but for `error`.

    Raises:
        AliAugError: it cannot run here either.
    """
    beside = f"; tensorrt would be faster: {error}"
    try:
        return _onnxruntime(bundle, graph, size, threads, "auto", beside)
    except AliAugError as other:
        raise type(other)(f"no engine can run here: tensorrt: {error}; {other}") from other


def _onnxruntime(
    bundle: Bundle,
    graph: str,
    size: Size,
    threads: int | None,
    provider: Provider,
    beside: str = "",
) -> Engine:
    return OnnxRuntimeEngine(
        bundle.graph_path(graph),
        bundle.graphs[graph],
        provider=provider,
        threads=threads,
        size_hw=size.hw,
        batch=size.batch,
        cache_dir=bundle.root / FOLDER / _ORT_CACHE,
        fp16=bundle.precision == "fp16",
        beside=beside,
    )


def _tensorrt(bundle: Bundle, graph: str, size: Size, chosen: str = "") -> Engine:
    """Refuses, in this order: no GPU, no TensorRT, no engine that fits. The order matters: without
    a driver, TensorRT ends the process."""
    from aliaug_edge.engines.building.machine import require_gpu, this_platform
    from aliaug_edge.engines.tensorrt import TensorRtEngine, import_runtime

    gpu = require_gpu()
    runtime = import_runtime()
    here = Here(gpu.compute_capability, gpu.name, runtime.__version__, this_platform())
    lean = is_lean(runtime)
    require_plans(bundle, graph, here, size.every, size.batch, lean=lean)
    plans = find_plans(bundle, graph, here, size.hw, size.batch, lean=lean)
    return TensorRtEngine(
        bundle.graphs[graph],
        plans,
        size_hw=None if size.every else size.hw,
        batch=None if size.every else size.batch,
        trt=runtime,
        chosen=chosen,
    )


def engine_choices() -> list[EngineChoice]:
    """Every engine and whether it can run here. Imports no runtime and starts none."""
    fault, gpus = onnxruntime_fault(), probe_gpus()
    return [_cpu_choice(fault), _cuda_choice(fault, gpus), _tensorrt_choice(gpus)]


def _cpu_choice(fault: Fault | None) -> EngineChoice:
    if fault is not None:
        return EngineChoice("onnxruntime-cpu", False, fault.reason, fault.fix)
    return EngineChoice("onnxruntime-cpu", True, "ONNX Runtime is installed", "")


def _cuda_choice(fault: Fault | None, probe: GpuProbe) -> EngineChoice:
    name = "onnxruntime-cuda"
    install = CUDA_REINSTALL if fault or not onnxruntime_has_cuda() else ""
    if probe.problem is not None:  # said first, because no wheel helps here
        return EngineChoice(name, False, probe.problem, install)
    if fault is not None:
        return EngineChoice(name, False, fault.reason, install)
    if install:
        reason = "the installed onnxruntime has no CUDA provider"
        return EngineChoice(name, False, reason, install)
    return EngineChoice(name, True, f"{probe.gpus[0].name}, CUDA {probe.cuda_version} driver", "")


def _tensorrt_choice(probe: GpuProbe) -> EngineChoice:
    missing = not any(_importable(name) for name in MODULES)
    install = tensorrt_install() if missing else ""
    problem = driver_fault(probe)
    if problem is not None:
        return EngineChoice(TENSORRT, False, problem, install)
    if missing:
        return EngineChoice(TENSORRT, False, "TensorRT is not installed", install)
    return EngineChoice(TENSORRT, True, f"{probe.gpus[0].name}; engines: ali-aug build", "")


def _importable(module: str) -> bool:
    try:
        return importlib.util.find_spec(module) is not None
    except (ImportError, ValueError):  # blocked
        return False


def _nearest(name: str) -> str:
    spelled = name.lower().replace("gpu", "cuda")  # the wheel's name, not the engine's
    close = difflib.get_close_matches(spelled, ENGINES, n=1, cutoff=0.4)
    return f" (did you mean {close[0]}?)" if close else ""
