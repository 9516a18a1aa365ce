"""cuda-python's NVRTC module, which compiles for this machine's CPU instead."""

from __future__ import annotations

import ctypes
from typing import Any

import numpy as np

from support.gpu import compiler
from support.gpu.machine import RuleBroken

Status = tuple[Any, ...]


class FakeNvrtc:
    """`cuda.bindings.nvrtc`: the same source, compiled as C++ for this machine."""

    def __init__(self) -> None:
        self._programs: dict[int, dict[str, bytes]] = {}
        self.architectures = [75, 80, 86, 87, 90]

    def nvrtcVersion(self) -> Status:
        return 0, 13, 5

    def nvrtcGetSupportedArchs(self) -> Status:
        return 0, list(self.architectures)

    def nvrtcCreateProgram(
        self, source: bytes, name: bytes, count: int, headers: list[bytes], names: list[bytes]
    ) -> Status:
        assert (count, headers, names) == (0, [], [])
        handle = len(self._programs) + 1
        self._programs[handle] = {"source": source, "name": name, "log": b"\0"}
        return 0, handle

    def nvrtcCompileProgram(self, program: int, count: int, options: list[bytes]) -> Status:
        if count != len(options) or options != [b"--gpu-architecture=sm_87", b"--fmad=false"]:
            raise RuleBroken(f"options {options}")
        found = self._programs[program]
        image, log = compiler.build(found["source"].decode())
        found["log"] = log.encode() + b"\0"
        if image is None:
            return (6,)
        found["image"] = image
        return (0,)

    def nvrtcGetCUBINSize(self, program: int) -> Status:
        return 0, len(self._programs[program]["image"])

    def nvrtcGetCUBIN(self, program: int, target: bytes) -> Status:
        return self._write(target, self._programs[program]["image"])

    def nvrtcGetProgramLogSize(self, program: int) -> Status:
        return 0, len(self._programs[program]["log"])

    def nvrtcGetProgramLog(self, program: int, target: bytes) -> Status:
        return self._write(target, self._programs[program]["log"])

    def nvrtcDestroyProgram(self, program: int) -> Status:
        del self._programs[program]
        return (0,)

    def _write(self, target: bytes, content: bytes) -> Status:
        """The bindings write into the bytes object that they are given."""
        if len(target) != len(content):
            raise RuleBroken(f"a buffer of {len(target)} bytes for {len(content)}")
        memory = np.frombuffer(target, np.uint8)
        ctypes.memmove(memory.ctypes.data, content, len(content))
        return (0,)
