"""The card: what was measured on. Without it no number below is a result."""

from __future__ import annotations

import platform
import time
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from aliaug_edge.doctor.hardware import cpu_name
from aliaug_edge.engines.gpu import probe_gpus
from aliaug_edge.profiling.gpu_peak import measured_gpu_gflops, onnxruntime_gflops
from aliaug_edge.profiling.gpu_state import read_gpu_state

from .settings import Settings

LIBRARIES = (
    "aliaug-edge",
    "torch",
    "diffusers",
    "onnx",
    "onnxruntime",
    "onnxruntime-gpu",
    "tensorrt",
    "tensorrt-lean",
    "cuda-python",
    "cuda-bindings",
    "numpy",
)
PRODUCTS = 20


def read_card(settings: Settings) -> dict[str, Any]:
    """GPU, driver, clocks, versions and the FP16 matrix rate in TFLOP/s, measured now."""
    probe = probe_gpus()
    gpu = probe.gpus[0] if probe.gpus and not settings.cpu else None
    rate, how = matrix_rate(settings)
    return {
        "gpu": gpu.name if gpu else None,
        "sm": gpu.compute_capability if gpu else None,
        "memory_gib": gpu.memory_gib if gpu else None,
        "driver_cuda": probe.cuda_version,
        "cpu": cpu_name(),
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "versions": {name: found for name in LIBRARIES if (found := _version(name))},
        "state": read_gpu_state(),
        "matrix_tflops_f16": rate,
        "matrix_rate_by": how,
    }


def matrix_rate(settings: Settings) -> tuple[float | None, str]:
    """TFLOP/s of FP16 products of random square matrices, and what measured them."""
    try:
        import torch
    except ImportError:
        cpu = settings.cpu
        found = onnxruntime_gflops("cpu", settings.matrix_side) if cpu else measured_gpu_gflops()
        return (None if found is None else round(found / 1e3, 4)), "our own runtimes"
    side = settings.matrix_side
    left = torch.randn(side, side, device=settings.device, dtype=torch.float16)
    right = torch.randn(side, side, device=settings.device, dtype=torch.float16) / side**0.5
    best = float("inf")
    for _ in range(5):
        best = min(best, _products_s(left, right, settings))
    return round(2 * side**3 * PRODUCTS / best / 1e12, 4), "torch"


def card_lines(card: dict[str, Any]) -> list[str]:
    """The card as text."""
    state = card["state"]
    known = {key: value for key, value in state.items() if value not in (None, [])}
    return [
        f"{card['gpu'] or 'CPU only: ' + card['cpu']}"
        + (f", SM {card['sm']}, {card['memory_gib']} GiB" if card["gpu"] else ""),
        f"driver for CUDA {card['driver_cuda']}, {card['system']}, Python {card['python']}",
        ", ".join(f"{name} {found}" for name, found in card["versions"].items()),
        ", ".join(f"{key} {value}" for key, value in known.items()) or "state unknown",
        f"FP16 matrix products: {card['matrix_tflops_f16']} TFLOP/s ({card['matrix_rate_by']})",
    ]


def _products_s(left: Any, right: Any, settings: Settings) -> float:
    """Seconds of a chain of products, the first one of which warms up."""
    import torch

    product = left @ right
    if settings.cpu:
        started = time.perf_counter()
        for _ in range(PRODUCTS):
            product = product @ right
        return time.perf_counter() - started
    start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
    start.record()
    for _ in range(PRODUCTS):
        product = product @ right
    end.record()
    end.synchronize()
    return float(start.elapsed_time(end)) / 1e3


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None
