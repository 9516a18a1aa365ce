"""The machine that builds: what its engines will be for, and how much memory a build may take."""

from __future__ import annotations

import os
import platform
import sys
from dataclasses import dataclass
from pathlib import Path

from aliaug_edge.engines.building.process import ask
from aliaug_edge.engines.building.toolchain import TENSORRT
from aliaug_edge.engines.gpu import Gpu, probe_gpus
from aliaug_edge.engines.plan import EngineError, Here
from aliaug_edge.engines.store import device_key
from aliaug_edge.engines.tensorrt_package import driver_fault, tensorrt_fault

_UNIFIED_SHARE = 4  # a quarter of the memory that the CPU and everything else live in as well
_UNIFIED_MOST_MIB = 8192


@dataclass(frozen=True)
class Machine:
    """`unified` says that GPU and CPU share `memory_gib` of memory, as on a Jetson."""

    here: Here
    memory_gib: float
    unified: bool
    toolchain: str = TENSORRT

    @property
    def default_workspace_mib(self) -> int | None:
        """The workspace limit where none is asked for; None leaves it to TensorRT, which then may
        use all of a card's own memory. On unified memory that would starve the system."""
        if not self.unified:
            return None
        return min(int(self.memory_gib * 1024) // _UNIFIED_SHARE, _UNIFIED_MOST_MIB)


def this_machine(toolchain: str = TENSORRT) -> Machine:
    """The machine we are on. The driver is asked first, the toolchain only where there is one.

    Raises:
        EngineError: no driver, no GPU, a driver that is too old, or no TensorRT that can build.
    """
    gpu = require_gpu()
    fault = tensorrt_fault() if toolchain == TENSORRT else None
    if fault is not None:
        raise EngineError(f"engines cannot be built here: {fault.reason}; run: {fault.fix}")
    version = ask(toolchain, {"do": "version"}, "TensorRT", "close other programs")["version"]
    here = Here(gpu.compute_capability, gpu.name, version, this_platform())
    return Machine(here, gpu.memory_gib, gpu.integrated, toolchain)


def require_gpu() -> Gpu:
    """The first GPU, once the driver has answered for it and is new enough for the TensorRT here.

    Raises:
        EngineError: there is none; TensorRT must not be called then.
    """
    probe = probe_gpus()
    problem = driver_fault(probe)
    if problem is not None:
        raise EngineError(
            f"TensorRT cannot be used here: {problem}; without it, --engine onnxruntime-cpu works"
        )
    return probe.gpus[0]


def this_platform() -> str:
    """ "x86_64-linux", "aarch64-linux"."""
    return f"{platform.machine().lower()}-{sys.platform}"


def timing_cache_path(machine: Machine) -> Path:
    """Where this device's timings are kept, for all bundles: a retrained model of the same shapes
    builds many times faster with them."""
    base = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    device = "".join(c if c.isalnum() else "_" for c in machine.here.device)
    return Path(base) / "aliaug-edge" / f"{device_key(machine.here)}-{device}.timing"
