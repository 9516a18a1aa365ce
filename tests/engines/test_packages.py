"""Where NVIDIA's parts are missing: pip's packages on a server, JetPack's on a Jetson."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from aliaug_edge.engines import cuda, cuda_python, engine_choices, packages
from aliaug_edge.engines import tensorrt_package as package
from aliaug_edge.engines.gpu import Gpu, GpuProbe
from aliaug_edge.engines.packages import (
    cuda_python_install,
    jetson_release,
    nvrtc_install,
    tensorrt_install,
)
from aliaug_edge.engines.tensorrt import import_runtime
from aliaug_edge.errors import MissingDependencyError

ORIN = GpuProbe((Gpu("Orin", "8.7", 7.4, True),), None, "12.6")
APT = r"run: sudo apt-get install python3-libnvinfer \(JetPack's TensorRT, never pip's\)"


@pytest.fixture
def jetson(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """This machine as one of JetPack 6.2, without TensorRT; the folder that Python looks into."""
    release = tmp_path / "nv_tegra_release"
    release.write_text("# R36 (release), REVISION: 4.3, GCID: 38968081, BOARD: generic\n")
    monkeypatch.setattr(packages, "_TEGRA_RELEASE", release)
    monkeypatch.setattr(package, "version_of", {}.get)
    for name in package.MODULES:
        monkeypatch.delitem(sys.modules, name, raising=False)
    monkeypatch.setattr(sys, "path", [str(tmp_path)])
    return tmp_path


def test_a_jetson_is_known_by_its_release_file(tmp_path: Path) -> None:
    release = tmp_path / "nv_tegra_release"
    assert jetson_release(release) is None
    release.write_text("# R36 (release), REVISION: 4.3, GCID: 38968081, BOARD: generic\n")
    assert jetson_release(release) == "R36.4.3"
    release.write_text("something else\n")
    assert jetson_release(release) is None


def test_elsewhere_the_pip_extra_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(packages, "_TEGRA_RELEASE", tmp_path / "none")
    assert tensorrt_install() == cuda_python_install("12.6") == packages.SERVER
    assert packages.SERVER == "pip install 'aliaug-edge[tensorrt]'"
    assert nvrtc_install("13.0") == "pip install 'nvidia-cuda-nvrtc<14'"
    assert nvrtc_install("12.6") == "pip install nvidia-cuda-nvrtc-cu12"


@pytest.mark.parametrize(
    ("release", "command"),
    [("none", "pip install 'cuda-python[all]<13'"), ("jetson", "pip install 'cuda-python<13'")],
)
def test_a_cuda_python_newer_than_the_driver_is_one_line_with_the_command(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, release: str, command: str
) -> None:
    if release == "jetson":
        (tmp_path / "jetson").write_text("# R36 (release), REVISION: 4.3, GCID: 38968081")
    monkeypatch.setattr(packages, "_TEGRA_RELEASE", tmp_path / release)
    installed = {"tensorrt-cu12": "10.3.0", "cuda-bindings": "13.0.3", "cuda-python": "13.0.3"}
    monkeypatch.setattr(package, "version_of", installed.get)
    said = package.driver_fault(ORIN)
    assert said == (
        "the NVIDIA driver supports CUDA 12.6, the installed cuda-python 13.0.3 needs CUDA 13: "
        f"run: {command}"
    )
    monkeypatch.setattr(package, "version_of", {**installed, "cuda-bindings": "12.9.4"}.get)
    assert package.driver_fault(ORIN) is None


@pytest.mark.usefixtures("jetson")
def test_on_a_jetson_a_missing_tensorrt_is_jetpacks() -> None:
    with pytest.raises(MissingDependencyError, match=f"TensorRT is not installed; {APT}"):
        import_runtime()
    fault = package.tensorrt_fault()
    assert fault is not None and fault.fix == packages.JETPACK_TENSORRT
    choices = {choice.name: choice for choice in engine_choices()}
    assert choices["tensorrt"].install == packages.JETPACK_TENSORRT


@pytest.mark.parametrize(
    ("code", "said"),
    [
        (
            "raise ImportError('libnvinfer.so.10: cannot open')",
            r"run: pip uninstall -y tensorrt tensorrt-cu12 tensorrt-cu13 && sudo apt-get install p",
        ),
        ("import a_module_that_is_missing", APT),
        ("", f"stub without a runtime; {APT}"),
    ],
)
def test_on_a_jetson_a_tensorrt_of_pips_gives_way_to_jetpacks(
    jetson: Path, code: str, said: str
) -> None:
    (jetson / "tensorrt.py").write_text(code)
    with pytest.raises(MissingDependencyError, match=said) as caught:
        import_runtime()
    assert "aliaug-edge[tensorrt]" not in str(caught.value) and "\n" not in str(caught.value)


@pytest.mark.usefixtures("jetson")
def test_on_a_jetson_a_tensorrt_for_newer_cuda_is_replaced(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(package, "version_of", {"tensorrt-cu13": "10.16.1"}.get)
    said = package.driver_fault(ORIN)
    assert said is not None and "supports CUDA 12.6, the installed TensorRT needs CUDA 13" in said
    assert (
        "pip uninstall -y tensorrt tensorrt-cu12 tensorrt-cu13 && sudo apt-get" in said
        and "newer driver" not in said
    )


@pytest.mark.usefixtures("jetson")
@pytest.mark.parametrize(("version", "line"), [("12.6", "12.6,<13"), ("13.0", "13.0,<14")])
def test_on_a_jetson_cuda_python_is_that_of_its_cuda(
    monkeypatch: pytest.MonkeyPatch, version: str, line: str
) -> None:
    probe = GpuProbe(ORIN.gpus, None, version)
    monkeypatch.setattr(cuda_python, "probe_gpus", lambda: probe)
    with pytest.raises(MissingDependencyError, match=f"pip install 'cuda-python>={line}'"):
        cuda.Cuda()
    assert nvrtc_install(version) == f"sudo apt-get install cuda-nvrtc-{version.replace('.', '-')}"
