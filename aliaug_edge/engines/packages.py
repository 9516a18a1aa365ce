"""The commands that install NVIDIA's parts: pip on a server, JetPack's packages (apt) on a Jetson.

pip's TensorRT wheels are made for servers; a Jetson's TensorRT and CUDA come with JetPack, and a
virtual environment sees them where it was made with --system-site-packages (docs/jetson.md).
"""

from __future__ import annotations

import re
from pathlib import Path

SERVER = "pip install 'aliaug-edge[tensorrt]'"
JETPACK_TENSORRT = (
    "sudo apt-get install python3-libnvinfer (JetPack's TensorRT, never pip's), in an environment "
    "made with --system-site-packages"
)
_TEGRA_RELEASE = Path("/etc/nv_tegra_release")


def jetson_release(release: Path | None = None) -> str | None:
    """The L4T release of a Jetson, from "# R36 (release), REVISION: 4.3, …"; None elsewhere."""
    try:
        text = (release or _TEGRA_RELEASE).read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
    found = re.search(r"R(\d+) \(release\), REVISION: ([\d.]+)", text)
    return f"R{found[1]}.{found[2]}" if found else None


def tensorrt_install() -> str:
    """What to run where TensorRT is missing, or the wrong one."""
    return JETPACK_TENSORRT if jetson_release() else SERVER


def tensorrt_reinstall() -> str:
    """What to run where pip's TensorRT is there without its libraries."""
    if jetson_release():
        return f"pip uninstall -y tensorrt tensorrt-cu12 tensorrt-cu13 && {JETPACK_TENSORRT}"
    return "pip install --force-reinstall tensorrt, where NVIDIA's package index can be reached"


def cuda_python_install(cuda_version: str | None) -> str:
    """What to run where cuda-python is missing; `cuda_version` as the driver says it ("12.6")."""
    if not jetson_release() or cuda_version is None:
        return SERVER
    major = int(cuda_version.split(".")[0])
    return f"pip install 'cuda-python>={cuda_version},<{major + 1}'"


def cuda_python_pinned(cuda_version: str) -> str:
    """What to run where cuda-python, or the NVRTC that came with it, is newer than the driver."""
    parts = "" if jetson_release() else "[all]"  # on a Jetson NVRTC is apt's
    return f"pip install 'cuda-python{parts}<{int(cuda_version.split('.')[0]) + 1}'"


def nvrtc_install(cuda_version: str | None) -> str:
    """What to run where NVRTC's library is missing. A newer one than the driver makes code that it
    does not load."""
    if not jetson_release():
        major = int((cuda_version or "13").split(".")[0])
        newest = f"'nvidia-cuda-nvrtc<{major + 1}'"
        return f"pip install {newest if major > 12 else f'nvidia-cuda-nvrtc-cu{major}'}"
    version = (cuda_version or "X.Y").replace(".", "-")
    return f"sudo apt-get install cuda-nvrtc-{version}"
