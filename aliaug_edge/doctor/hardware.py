"""This machine: CPU, memory, GPUs, and whether it is a Jetson."""

from __future__ import annotations

import os
import platform
import re
from dataclasses import dataclass
from pathlib import Path

from aliaug_edge.engines.gpu import GpuProbe, probe_gpus
from aliaug_edge.engines.packages import jetson_release
from aliaug_edge.engines.threads import physical_cores, usable_cpus

_CPUINFO = Path("/proc/cpuinfo")
_DEVICE_TREE_MODEL = Path("/proc/device-tree/model")


@dataclass(frozen=True)
class Hardware:
    """`physical_cores` and `logical_cpus` count what this process may use.

    `jetson` is the L4T release ("R36.4.3") on a Jetson, else None.
    """

    cpu: str
    physical_cores: int
    logical_cpus: int
    memory_gib: float
    gpu: GpuProbe
    jetson: str | None


def read_hardware() -> Hardware:
    """Ask the operating system and the NVIDIA driver; starts no runtime."""
    return Hardware(
        cpu=cpu_name(),
        physical_cores=physical_cores(),
        logical_cpus=len(usable_cpus()),
        memory_gib=round(memory_bytes() / 2**30, 1),
        gpu=probe_gpus(),
        jetson=jetson_release(),
    )


def cpu_name(cpuinfo: Path = _CPUINFO, board: Path = _DEVICE_TREE_MODEL) -> str:
    """The CPU's model name; on Arm, which does not say it, the board's."""
    named = re.search(r"^model name\s*:\s*(.+)$", _read(cpuinfo), re.MULTILINE)
    if named:
        return named[1].strip()
    return _read(board).strip("\0\n ") or platform.processor() or platform.machine()


def memory_bytes() -> int:
    """Physical memory, 0 where the system does not say."""
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, OSError, ValueError):
        return 0


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
