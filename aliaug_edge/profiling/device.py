"""The machine and the model behind a measurement: without them a number is not a result."""

from __future__ import annotations

import platform
import sys
from collections.abc import Iterable
from importlib.metadata import PackageNotFoundError, version
from pathlib import PurePosixPath
from typing import Any

from aliaug_edge import __version__
from aliaug_edge.bundle import Bundle
from aliaug_edge.doctor.hardware import read_hardware

_MIB = 2**20


def machine_card() -> dict[str, Any]:
    """CPU, cores, memory, GPU and software, as JSON data; null where it is not known."""
    hardware = read_hardware()
    gpus = hardware.gpu.gpus
    return {
        "cpu": hardware.cpu,
        "physical_cores": hardware.physical_cores,
        "logical_cpus": hardware.logical_cpus,
        "memory_gib": hardware.memory_gib or None,
        "gpu": gpus[0].name if gpus else None,
        "jetson": hardware.jetson,
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "aliaug_edge": __version__,
    }


def runtime_version(engine: str) -> str | None:
    """Version of the runtime behind an engine's name, null where it is not known."""
    names = {
        "onnxruntime-cpu": ("onnxruntime", "onnxruntime-gpu"),
        "onnxruntime-cuda": ("onnxruntime-gpu",),
        "onnxruntime-tensorrt": ("onnxruntime-gpu",),
    }
    for name in names.get(engine, (engine,)):
        try:
            return version(name)
        except PackageNotFoundError:
            continue
    return None


def peak_rss_mib() -> float | None:
    """Most memory that this process has held so far, MiB; null where the system does not say."""
    try:
        import resource
    except ImportError:  # Windows
        return None
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    unit = 1 if sys.platform == "darwin" else 1024
    return round(peak * unit / _MIB, 1)


def model_card(bundle: Bundle) -> dict[str, Any]:
    """The bundle's identity and sizes in MB (10⁶ bytes): of what `generate` loads, and of all."""
    return {
        "name": bundle.name,
        "sha256": bundle.sha256,
        "conditioning": bundle.conditioning,
        "label_carrier": bundle.label_carrier,
        "precision": bundle.precision,
        "model_mb": _megabytes(bundle, _model_files(bundle, "generator")),
        "bundle_mb": _megabytes(bundle, bundle.files),
    }


def flop_count(bundle: Bundle, graph: str, size_hw: tuple[int, int]) -> float | None:
    """FLOPs of one pass of `graph` for one image, from provenance["flops"], null where absent.

    The entry is a number per graph, or such a table per size: {"128x128": {"encoder": …}}; both
    orders of the keys are understood. Multiply-add counts as two.
    """
    table: Any = bundle.provenance.get("flops")
    size = f"{size_hw[0]}x{size_hw[1]}"
    for first, second in ((size, graph), (graph, size), (graph, None)):
        entry = table.get(first) if isinstance(table, dict) else None
        if second is not None:
            entry = entry.get(second) if isinstance(entry, dict) else None
        if isinstance(entry, int | float) and not isinstance(entry, bool):
            return float(entry)
    return None


def _model_files(bundle: Bundle, graph: str) -> list[str]:
    """`graph` and the weights beside it: all of its folder that is not another graph's own.

    Weights lie outside the graphs, in one file that all of them share (decision 5); a file named
    after a graph (`unet.onnx.data`) is that graph's.
    """
    folder = PurePosixPath(bundle.graphs[graph].path).parent
    others = tuple(spec.path for name, spec in bundle.graphs.items() if name != graph)
    beside = (path for path in bundle.files if PurePosixPath(path).parent == folder)
    return [path for path in beside if not path.startswith(others)]


def _megabytes(bundle: Bundle, paths: Iterable[str]) -> float:
    return round(sum(int(bundle.files[path]["bytes"]) for path in paths) / 1e6, 3)
