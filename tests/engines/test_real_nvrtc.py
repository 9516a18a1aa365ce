"""Our kernels through NVIDIA's own compiler, which needs no GPU: `make test-kernels` fetches it."""

from __future__ import annotations

from typing import Any

import pytest

from aliaug_edge.engines.cuda import Cuda
from aliaug_edge.engines.cuda_errors import KernelError
from aliaug_edge.engines.kernels import _NAMES, SOURCE, source

ELF = b"\x7fELF"
OLDEST_JETSON = 72  # Xavier; NVRTC 13 begins at 75


@pytest.fixture(scope="module")
def nvrtc() -> Any:
    module = pytest.importorskip("cuda.bindings.nvrtc", reason="cuda-python is not installed")
    try:
        module.nvrtcVersion()
    except RuntimeError as error:
        pytest.skip(f"NVRTC cannot be opened: {error}")
    return module


class Compiler(Cuda):
    """`Cuda` as far as compiling goes: no driver is asked, the architecture is given."""

    def __init__(self, nvrtc: Any, architecture: int) -> None:
        super().__init__(bindings=(None, nvrtc))
        self._architecture = architecture

    def compute_capability(self) -> tuple[int, int]:
        return divmod(self._architecture, 10)


def test_the_kernels_compile_for_every_architecture_that_this_nvrtc_knows(nvrtc: Any) -> None:
    _, architectures = nvrtc.nvrtcGetSupportedArchs()
    known = [int(number) for number in architectures if int(number) >= OLDEST_JETSON]
    assert {87, 90} <= set(known), "Orin and Hopper"
    for architecture in known:
        image = Compiler(nvrtc, architecture).compile(source(), SOURCE)
        assert image.startswith(ELF)
        assert all(name.encode() in image for name in _NAMES)


def test_what_does_not_compile_is_one_line_with_the_compilers_own(nvrtc: Any) -> None:
    with pytest.raises(KernelError, match=r"x\.cu \| .*nvrtcCompileProgram.*error: identifier"):
        Compiler(nvrtc, 90).compile("__global__ void f() { unknown = 1; }", "x.cu")


def test_an_architecture_that_this_nvrtc_does_not_know_is_one_line(nvrtc: Any) -> None:
    with pytest.raises(KernelError, match=r"^NVRTC \d+\.\d+ does not compile .* SM 3\.5 \(for SM"):
        Compiler(nvrtc, 35).compile(source(), SOURCE)
