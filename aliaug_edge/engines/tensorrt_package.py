"""Which TensorRT packages are installed, and what is wrong with them; nothing is imported.

On the package index, `tensorrt` and `tensorrt-cuNN` are small packages that fetch the libraries
from NVIDIA's own index when they are installed; where that fails, or only the bindings came, there
is a `tensorrt` that cannot be imported. JetPack's packages (apt) have no pip metadata but can be
found as modules.
"""

from __future__ import annotations

import importlib.util
import re
from collections.abc import Iterable
from pathlib import Path

from aliaug_edge.engines.gpu import GpuProbe
from aliaug_edge.engines.installed import Fault, version_of
from aliaug_edge.engines.packages import (
    cuda_python_pinned,
    jetson_release,
    tensorrt_install,
    tensorrt_reinstall,
)

OLDEST = (8, 5)
MODULES = ("tensorrt", "tensorrt_lean", "tensorrt_dispatch")
_MEMORY_WORDS = (
    "out of memory",
    "outofmemory",
    "insufficient memory",
    "not enough free memory",
    "could not be allocated",
    "cannot allocate",
)
_CUDA_OF = {
    f"tensorrt{kind}-cu{major}": major
    for kind in ("", "-lean", "-dispatch")
    for major in (11, 12, 13)
}


def tensorrt_fault() -> Fault | None:
    """Why no engine can be built here, as far as can be known without importing TensorRT."""
    folder = _folder("tensorrt")
    version = tensorrt_version()
    install = tensorrt_install()
    if folder is None:
        if version is not None:
            return Fault(f"tensorrt {version} is installed but its module is not there", install)
        if any(_folder(name) for name in MODULES[1:]):
            return Fault("only TensorRT's lean runtime is installed, which builds nothing", install)
        return Fault("TensorRT is not installed", install)
    if version is not None and _numbers(version)[:2] < OLDEST:
        return Fault(f"TensorRT {version} is too old: 8.5 is the oldest that is supported", install)
    return None


def tensorrt_version() -> str | None:
    """The version that pip knows of; None where it is missing or came from elsewhere."""
    names = ("tensorrt", *(name for name in sorted(_CUDA_OF) if name.count("-") == 1))
    return next((found for name in names if (found := version_of(name)) is not None), None)


def is_lean(module: object) -> bool:
    """Whether an imported TensorRT can only run engines, and version-compatible ones alone."""
    return getattr(module, "__name__", "") in MODULES[1:]


def driver_fault(probe: GpuProbe) -> str | None:
    """Why the driver cannot run the installed TensorRT: none, no GPU, or older than it or
    cuda-python needs."""
    if probe.problem is not None or probe.cuda_version is None:
        return probe.problem
    have = int(probe.cuda_version.split(".")[0])
    needed = max((major for name, major in _CUDA_OF.items() if version_of(name)), default=have)
    if have >= needed:
        return _bindings_fault(probe.cuda_version)
    cure = f"install a newer driver, or the TensorRT for CUDA {have} (tensorrt-cu{have})"
    if jetson_release():  # only pip's wheels say which CUDA they need
        cure = f"run: {tensorrt_reinstall()}"
    return (
        f"the NVIDIA driver supports CUDA {probe.cuda_version}, the installed TensorRT needs CUDA "
        f"{needed}: {cure}"
    )


def _bindings_fault(cuda_version: str) -> str | None:
    """pip takes the newest cuda-python, whose functions an older driver lacks one by one."""
    found = version_of("cuda-bindings") or version_of("cuda-python")
    if found is None or _numbers(found)[0] <= int(cuda_version.split(".")[0]):
        return None
    return (
        f"the NVIDIA driver supports CUDA {cuda_version}, the installed cuda-python {found} needs "
        f"CUDA {_numbers(found)[0]}: run: {cuda_python_pinned(cuda_version)}"
    )


def start_problem(version: str, said: str) -> str:
    """One line for a TensorRT whose builder or runtime does not come to life: its bindings then
    raise a TypeError ("factory function returned nullptr"), and only its log knows why."""
    return (
        f"TensorRT {version} does not start here: {said}; a CUDA error 35 is a driver that is too "
        "old for it; run: ali-aug doctor"
    )


def memory_line(log: Iterable[str]) -> str | None:
    """The first of TensorRT's messages which says that memory ran out; it has no error code for
    that, and what it says last is often that something else failed for it."""
    return next((line for line in log if any(w in line.lower() for w in _MEMORY_WORDS)), None)


def import_problem(error: ImportError) -> str:
    """One line for a TensorRT that is there and cannot be imported."""
    said = " ".join(str(error).split())
    library = re.search(r"lib[\w.+-]+\.so[\w.]*", said)
    if library is not None:
        return (
            f"TensorRT is a stub package here: its bindings are installed, its library "
            f"{library[0]} is not; run: {tensorrt_reinstall()}"
        )
    return f"TensorRT cannot be imported ({said}); run: {tensorrt_install()}"


def _folder(module: str) -> Path | None:
    try:
        spec = importlib.util.find_spec(module)
    except (ImportError, ValueError):  # blocked, or broken
        return None
    if spec is None:
        return None
    return Path(spec.origin or "")


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in re.findall(r"\d+", version)[:3])
