"""cuda-python's modules, under the names of its versions."""

from __future__ import annotations

import importlib
from typing import Any

from aliaug_edge.engines.cuda_errors import GpuError
from aliaug_edge.engines.gpu import probe_gpus
from aliaug_edge.engines.packages import cuda_python_install
from aliaug_edge.errors import MissingDependencyError


def find_bindings() -> tuple[Any, Any]:
    """cuda-python's driver and NVRTC modules, after the driver itself has answered.

    Raises:
        MissingDependencyError: cuda-python is not installed. GpuError: no driver or no GPU.
    """
    probe = probe_gpus()
    if probe.problem is not None:
        raise GpuError(f"{probe.problem}; choose onnxruntime-cpu")
    for driver, nvrtc in (
        ("cuda.bindings.driver", "cuda.bindings.nvrtc"),
        ("cuda.cuda", "cuda.nvrtc"),
    ):
        try:
            return importlib.import_module(driver), importlib.import_module(nvrtc)
        except ImportError:
            continue
    install = cuda_python_install(probe.cuda_version)
    raise MissingDependencyError(f"cuda-python is not installed; run: {install}")
