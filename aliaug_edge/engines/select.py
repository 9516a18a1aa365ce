"""Which engine runs a bundle: by name, or chosen here."""

from __future__ import annotations

import difflib
from dataclasses import dataclass

from aliaug_edge.bundle import Bundle
from aliaug_edge.engines.base import Engine
from aliaug_edge.engines.gpu import GpuProbe, probe_gpus
from aliaug_edge.engines.installed import (
    CUDA_REINSTALL,
    Fault,
    onnxruntime_fault,
    onnxruntime_has_cuda,
)
from aliaug_edge.engines.onnxruntime import OnnxRuntimeEngine, Provider
from aliaug_edge.errors import AliAugError

AUTO = "auto"
TENSORRT = "tensorrt"
TENSORRT_LATER = "comes with `ali-aug build`, not in this release"
_PROVIDERS: dict[str, Provider] = {
    AUTO: "auto",
    "onnxruntime-cpu": "cpu",
    "onnxruntime-cuda": "cuda",
}
ENGINES = (*_PROVIDERS, TENSORRT)


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
) -> Engine:
    """An engine for one graph of `bundle`, to be entered with `with`.

    `size_hw` in pixels and `batch` make the shapes static; `threads` as in `thread_count`.
    "auto" is CUDA where it works, else the CPU; it prints its reason on stderr when entered.

    Raises:
        AliAugError: no such engine, or it cannot run here.
        BundleError: no such graph.
    """
    if engine == TENSORRT:
        raise AliAugError(f"engine tensorrt {TENSORRT_LATER}; choose onnxruntime-cpu or auto")
    if engine not in _PROVIDERS:
        raise AliAugError(
            f"unknown engine {engine!r}{_nearest(engine)}; there are {', '.join(ENGINES)}"
        )
    return OnnxRuntimeEngine(
        bundle.graph_path(graph),
        bundle.graphs[graph],
        provider=_PROVIDERS[engine],
        threads=threads,
        size_hw=size_hw,
        batch=batch,
    )


def engine_choices() -> list[EngineChoice]:
    """Every engine and whether it can run here. Imports no runtime and starts none."""
    fault, gpus = onnxruntime_fault(), probe_gpus()
    return [_cpu_choice(fault), _cuda_choice(fault, gpus), _tensorrt_choice()]


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


def _tensorrt_choice() -> EngineChoice:
    return EngineChoice(TENSORRT, False, TENSORRT_LATER, "")


def _nearest(name: str) -> str:
    spelled = name.lower().replace("gpu", "cuda")  # the wheel's name, not the engine's
    close = difflib.get_close_matches(spelled, ENGINES, n=1, cutoff=0.4)
    return f" (did you mean {close[0]}?)" if close else ""
