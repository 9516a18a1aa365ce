"""CUDA C++ compiled as C++: a block's threads in a loop, one after another."""

from __future__ import annotations

import ctypes
import functools
import hashlib
import re
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

SHIM = """
#include <math.h>
struct Index { int x, y, z; };
static Index blockIdx, threadIdx, blockDim, gridDim;
#define __global__
#define __device__
static void atomicAdd(int *place, int value) { *place += value; }
#define RUN(CALL) \\
    gridDim.x = grid_x; gridDim.y = grid_y; blockDim.x = block_x; \\
    for (blockIdx.y = 0; blockIdx.y < grid_y; ++blockIdx.y) \\
    for (blockIdx.x = 0; blockIdx.x < grid_x; ++blockIdx.x) \\
    for (threadIdx.x = 0; threadIdx.x < block_x; ++threadIdx.x) { CALL; }
"""
KERNEL = re.compile(r'extern "C" __global__ void (\w+)\((.*?)\)\s*\{', re.DOTALL)


@dataclass(frozen=True)
class Parameter:
    name: str
    pointer: bool
    const: bool


@dataclass(frozen=True)
class Kernel:
    name: str
    parameters: tuple[Parameter, ...]
    call: Any

    def run(self, grid: tuple[int, int], block: int, values: list[Any]) -> None:
        arguments = [
            ctypes.c_void_p(v) if p.pointer else ctypes.c_int(v)
            for v, p in zip(values, self.parameters, strict=True)
        ]
        self.call(*grid, block, *arguments)


_signatures: dict[str, dict[str, tuple[Parameter, ...]]] = {}


@functools.cache
def build(source: str) -> tuple[bytes | None, str]:
    """The library's path as bytes, which stands for the machine code, and the compiler's log."""
    if shutil.which("g++") is None:
        pytest.skip("no C++ compiler")
    folder = Path(tempfile.mkdtemp(prefix="kernels-"))
    signatures = {name: _parameters(text) for name, text in KERNEL.findall(source)}
    calls = [_launcher(name, text) for name, text in KERNEL.findall(source)]
    path = folder / f"{hashlib.sha256(source.encode()).hexdigest()[:16]}.so"
    text = folder / "kernels.cpp"
    text.write_text(SHIM + source + "\n".join(calls))
    # As --fmad=false: one rounding per operation.
    options = ["-O1", "-ffp-contract=off", "-Wall", "-Wno-unused-variable", "-shared", "-fPIC"]
    done = subprocess.run(
        ["g++", *options, "-o", path, text], capture_output=True, text=True, check=False
    )
    if done.returncode:
        return None, done.stderr
    _signatures[str(path)] = signatures
    return str(path).encode(), done.stderr


def load(image: bytes) -> ctypes.CDLL:
    return ctypes.CDLL(image.decode())


def kernel(library: ctypes.CDLL, name: str) -> Kernel:
    return Kernel(name, _signatures[library._name][name], getattr(library, f"run_{name}"))


def _parameters(text: str) -> tuple[Parameter, ...]:
    found = []
    for part in text.split(","):
        words = part.replace("*", " * ").split()
        found.append(Parameter(words[-1], "*" in words, words[0] == "const"))
    return tuple(found)


def _launcher(name: str, text: str) -> str:
    names = ", ".join(p.name for p in _parameters(text))
    grid = "int grid_x, int grid_y, int block_x"
    return f'extern "C" void run_{name}({grid}, {text}) {{ RUN({name}({names})) }}'
