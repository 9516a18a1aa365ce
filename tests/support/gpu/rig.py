"""A whole fake GPU in one place, and the check that nothing is left on it."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from aliaug_edge.bundle import Bundle
from aliaug_edge.engines.tensorrt import TensorRtEngine
from support.gpu.driver import FakeDriver
from support.gpu.machine import Machine
from support.gpu.nvrtc import FakeNvrtc
from support.gpu.tensorrt import fake_tensorrt, plans

STAGED = ("encoder", "unet", "decoder")


@dataclass(frozen=True)
class Rig:
    machine: Machine
    driver: FakeDriver
    bindings: tuple[Any, Any]
    trt: Any

    def engine(
        self, bundle: Bundle, stages: tuple[str, ...] = STAGED, **options: Any
    ) -> TensorRtEngine:
        kwargs = {key: options.pop(key) for key in ("sizes", "batches") if key in options}
        made = plans(
            bundle, stages, sizes=kwargs.get("sizes", (32, 512)), batch=kwargs.get("batches", 4)
        )
        return TensorRtEngine(
            bundle.graphs["generator"], made, trt=self.trt, bindings=self.bindings, **options
        )


@contextlib.contextmanager
def rig(*, eager: bool = False, total: int = 1 << 30, version: str = "10.3") -> Iterator[Rig]:
    """A GPU that must be as empty at the end as it was at the beginning."""
    machine = Machine(total, eager=eager)
    driver = FakeDriver(machine)
    trt = fake_tensorrt(machine, driver.failures, version)
    yield Rig(machine, driver, (driver, FakeNvrtc()), trt)
    if driver.failures.lost is None:
        assert driver.leaks() == []
