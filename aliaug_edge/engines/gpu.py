"""Which NVIDIA GPUs answer, asked of the driver alone.

Runtimes cannot be asked: ONNX Runtime lists its CUDA provider on machines without a GPU, and
TensorRT's own calls end in a segmentation fault there. libcuda comes with the driver, and its
`cuInit` fails cleanly.
"""

from __future__ import annotations

import ctypes
from dataclasses import dataclass
from typing import Any

_MAJOR, _MINOR = 75, 76  # CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_*
_INTEGRATED = 18  # CU_DEVICE_ATTRIBUTE_INTEGRATED


@dataclass(frozen=True)
class Gpu:
    """One device: its name, compute capability ("8.7"), memory in GiB, whether that memory is the
    CPU's too (`integrated`, as on a Jetson), and where it sits ("0000:3b:00.0", empty where the
    driver does not say)."""

    name: str
    compute_capability: str
    memory_gib: float
    integrated: bool = False
    bus_id: str = ""


@dataclass(frozen=True)
class GpuProbe:
    """What the driver answered. `problem` says in one line why `gpus` is empty, else is None.

    `cuda_version` is the newest CUDA that the driver supports ("13.0"), None without a driver.
    """

    gpus: tuple[Gpu, ...]
    problem: str | None
    cuda_version: str | None = None


def probe_gpus(library: str = "libcuda.so.1") -> GpuProbe:
    """Ask the NVIDIA driver for its devices (CUDA Driver API)."""
    try:
        cuda = ctypes.CDLL(library)
    except OSError:
        return GpuProbe((), f"no NVIDIA driver on this machine ({library} is not there)")
    version, count = ctypes.c_int(0), ctypes.c_int(0)
    cuda.cuDriverGetVersion(ctypes.byref(version))
    supported = f"{version.value // 1000}.{version.value % 1000 // 10}"
    code = cuda.cuInit(0) or cuda.cuDeviceGetCount(ctypes.byref(count))
    if code:
        return GpuProbe(
            (), f"the NVIDIA driver reports no usable GPU (CUDA error {code})", supported
        )
    if count.value == 0:
        return GpuProbe((), "the NVIDIA driver sees no GPU", supported)
    return GpuProbe(tuple(_gpu(cuda, i) for i in range(count.value)), None, supported)


def _gpu(cuda: Any, index: int) -> Gpu:
    device, value, memory = ctypes.c_int(0), ctypes.c_int(0), ctypes.c_size_t(0)
    name = ctypes.create_string_buffer(128)
    cuda.cuDeviceGet(ctypes.byref(device), index)
    cuda.cuDeviceGetName(name, len(name), device)
    cuda.cuDeviceTotalMem_v2(ctypes.byref(memory), device)
    capability = []
    for attribute in (_MAJOR, _MINOR):
        cuda.cuDeviceGetAttribute(ctypes.byref(value), attribute, device)
        capability.append(str(value.value))
    cuda.cuDeviceGetAttribute(ctypes.byref(value), _INTEGRATED, device)
    bus = ctypes.create_string_buffer(32)
    if cuda.cuDeviceGetPCIBusId(bus, len(bus), device):
        bus.value = b""
    return Gpu(
        name.value.decode(errors="replace"),
        ".".join(capability),
        round(memory.value / 2**30, 1),
        bool(value.value),
        bus.value.decode(errors="replace"),
    )
