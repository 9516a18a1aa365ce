"""Which TensorRT is taken, and what is said where there is none."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from aliaug_edge.engines import cuda, cuda_python
from aliaug_edge.engines.cuda_errors import GpuError
from aliaug_edge.engines.gpu import Gpu, GpuProbe, probe_gpus
from aliaug_edge.engines.tensorrt import import_runtime
from aliaug_edge.engines.tensorrt_package import MODULES, is_lean
from aliaug_edge.errors import MissingDependencyError


@pytest.fixture
def packages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The only place where TensorRT's modules can be found."""
    for name in MODULES:
        monkeypatch.delitem(sys.modules, name, raising=False)
    monkeypatch.setattr(sys, "path", [str(tmp_path)])
    return tmp_path


def module(folder: Path, name: str, text: str) -> None:
    (folder / f"{name}.py").write_text(text)


def test_the_lean_runtime_is_taken_where_it_is_all_there_is(packages: Path) -> None:
    module(packages, "tensorrt_lean", "Runtime = object")
    assert import_runtime().__name__ == "tensorrt_lean"
    assert is_lean(import_runtime())


def test_the_full_package_is_taken_before_the_lean_one(packages: Path) -> None:
    for name in MODULES:
        module(packages, name, "Runtime = object")
    assert import_runtime().__name__ == "tensorrt"
    assert not is_lean(import_runtime())


def test_a_package_that_cannot_be_imported_does_not_hide_one_that_can(packages: Path) -> None:
    module(packages, "tensorrt", "raise ImportError('libnvinfer.so.10: cannot open')")
    module(packages, "tensorrt_lean", "Runtime = object")
    assert import_runtime().__name__ == "tensorrt_lean"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (None, r"TensorRT is not installed; run: pip install 'aliaug-edge\[tensorrt\]'"),
        ("raise ImportError('libnvinfer.so.10: cannot open')", r"stub package.*libnvinfer\.so\.10"),
        ("import a_module_that_is_missing", "a_module_that_is_missing"),
        ("", "tensorrt is a stub without a runtime"),
    ],
)
def test_a_tensorrt_that_is_absent_or_a_stub_is_one_line(
    packages: Path, text: str | None, said: str
) -> None:
    if text is not None:
        module(packages, "tensorrt", text)
    with pytest.raises(MissingDependencyError, match=said) as caught:
        import_runtime()
    assert "\n" not in str(caught.value)


@pytest.mark.skipif(probe_gpus().problem is None, reason="this machine has a GPU")
def test_without_a_driver_nothing_of_cuda_is_imported() -> None:
    with pytest.raises(GpuError, match="choose onnxruntime-cpu"):
        cuda.Cuda()


def test_without_cuda_python_the_install_line_is_given(
    packages: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    del packages
    probe = GpuProbe((Gpu("Orin", "8.7", 16.0),), None, "13.1")
    monkeypatch.setattr(cuda_python, "probe_gpus", lambda: probe)
    with pytest.raises(MissingDependencyError, match="cuda-python is not installed; run: pip"):
        cuda.Cuda()


def test_listing_the_engines_imports_no_runtime() -> None:
    code = (
        "import sys; import aliaug_edge.engines as e; e.engine_choices(); "
        "print([m for m in sys.modules if m.split('.')[0] in ('tensorrt', 'cuda', 'onnxruntime')])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
