"""What is installed, read from package metadata: nothing is imported, so nothing can break."""

from __future__ import annotations

import importlib.metadata
import importlib.util
from dataclasses import dataclass
from pathlib import Path

CPU_INSTALL = "pip install 'aliaug-edge[cpu]'"
CUDA_INSTALL = "pip install 'aliaug-edge[cuda]'"
CUDA_LIBRARIES = "pip install 'onnxruntime-gpu[cuda,cudnn]'"
_UNINSTALL = "pip uninstall -y onnxruntime onnxruntime-gpu"
CPU_REINSTALL = f"{_UNINSTALL} && {CPU_INSTALL}"
CUDA_REINSTALL = f"{_UNINSTALL} && {CUDA_INSTALL}"


@dataclass(frozen=True)
class Fault:
    """Something wrong with an installation, and the command that puts it right."""

    reason: str
    fix: str


def version_of(distribution: str) -> str | None:
    """Installed version of a distribution, None where it is missing."""
    try:
        return importlib.metadata.version(distribution)
    except importlib.metadata.PackageNotFoundError:
        return None


def onnxruntime_fault() -> Fault | None:
    """Why ONNX Runtime cannot be used here, None where it can.

    Its two wheels write the same package folder: the later install overwrites the earlier one, and
    removing either leaves a folder that can be imported and holds nothing. In site folders of their
    own both are whole, and the first on the path is taken.
    """
    cpu, gpu = version_of("onnxruntime"), version_of("onnxruntime-gpu")
    folder = onnxruntime_dir()
    if cpu and gpu and _site_of("onnxruntime") == _site_of("onnxruntime-gpu"):
        return Fault(
            f"onnxruntime {cpu} and onnxruntime-gpu {gpu} are both installed and overwrite each "
            "other's files",
            CPU_REINSTALL,
        )
    if folder is None:
        if cpu or gpu:
            return Fault("onnxruntime is installed but its package folder is gone", CPU_REINSTALL)
        return Fault("onnxruntime is not installed", CPU_INSTALL)
    if not _defines_version(folder / "__init__.py"):
        return Fault(
            f"the package folder of onnxruntime is broken (no __version__ in {folder}); this is "
            "what uninstalling one of two onnxruntime wheels leaves behind",
            CPU_REINSTALL,
        )
    return None


def onnxruntime_has_cuda() -> bool:
    """Whether the installed ONNX Runtime carries its CUDA provider's library."""
    folder = onnxruntime_dir()
    return folder is not None and any((folder / "capi").glob("*onnxruntime_providers_cuda*"))


def onnxruntime_dir() -> Path | None:
    """The package folder that `import onnxruntime` would open."""
    spec = importlib.util.find_spec("onnxruntime")
    if spec is None or not spec.submodule_search_locations:
        return None
    return Path(next(iter(spec.submodule_search_locations)))


def nvidia_libraries() -> list[Path]:
    """The `lib` folders of NVIDIA's wheels (nvidia/cu13/lib and the like) in every site folder but
    ONNX Runtime's own, the only one that it looks into. Of equal ones the first on the path."""
    spec, runtime = importlib.util.find_spec("nvidia"), onnxruntime_dir()
    homes = [Path(home).absolute() for home in (spec and spec.submodule_search_locations) or ()]
    found: dict[Path, Path] = {}
    for home in homes:
        for folder in filter(Path.is_dir, sorted(home.glob("*/lib"))):
            found.setdefault(folder.relative_to(home), folder)
    own = runtime.absolute().parent if runtime is not None else None
    return [folder for folder in found.values() if folder.parents[2] != own]


def _site_of(distribution: str) -> Path:
    """The site folder that a distribution was installed into."""
    return Path(str(importlib.metadata.distribution(distribution).locate_file(""))).resolve()


def _defines_version(path: Path) -> bool:
    try:
        return "__version__" in path.read_text(encoding="utf-8")
    except OSError:
        return False
