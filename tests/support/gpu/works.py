"""The pieces of work that the driver's calls put on a stream, with the bytes that each touches."""

from __future__ import annotations

import ctypes
from typing import Any

from support.gpu.compiler import Kernel
from support.gpu.machine import Machine, Range, RuleBroken, Work


def copy_work(
    machine: Machine, name: str, target: int, source: int, nbytes: int, pinned: tuple[bool, bool]
) -> Work:
    """A copy; `pinned` says of target and source whether they must be the host's memory."""
    found = machine.find(target, nbytes).pinned, machine.find(source, nbytes).pinned
    if found != pinned:
        raise RuleBroken(f"{name}: target and source pinned {found}, expected {pinned}")

    def run() -> None:
        machine.view(target, nbytes)[:] = machine.view(source, nbytes)

    return Work(name, [(source, nbytes)], [(target, nbytes)], run)


def set_work(machine: Machine, target: int, value: int, nbytes: int) -> Work:
    """Bytes that all become `value`."""

    def run() -> None:
        machine.view(target, nbytes)[:] = value

    return Work("set", [], [(target, nbytes)], run)


def kernel_work(
    machine: Machine,
    kernel: Kernel,
    grid: tuple[int, int],
    block: int,
    parameters: tuple[tuple[Any, ...], tuple[Any, ...]],
) -> Work:
    """A kernel on (values, ctypes) as cuda-python takes them. A const pointer is read to the end
    of its allocation, any other one written."""
    values, kinds = parameters
    if len(values) != len(kernel.parameters):
        raise RuleBroken(f"{kernel.name} takes {kernel.parameters}, got {len(values)} values")
    ranges: dict[bool, list[Range]] = {True: [], False: []}
    for value, kind, declared in zip(values, kinds, kernel.parameters, strict=True):
        if declared.pointer != (kind is ctypes.c_void_p):
            raise RuleBroken(f"{kernel.name}: {declared.name} is given as {kind.__name__}")
        if declared.pointer:
            ranges[declared.const].append((value, machine.rest(value)))

    def run() -> None:
        real = [
            machine.view(v, 1).ctypes.data if p.pointer else v
            for v, p in zip(values, kernel.parameters, strict=True)
        ]
        kernel.run(grid, block, real)

    return Work(kernel.name, ranges[True], ranges[False], run)
