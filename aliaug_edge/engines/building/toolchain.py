"""What building needs of a runtime: a narrow seam, with TensorRT behind it or, in tests, another.

A toolchain is a module with the three functions of `Toolchain`. It is named, not passed, because
it is loaded in a child process: a crash there is an exit code here.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from aliaug_edge.bundle import GraphSpec
from aliaug_edge.engines.base import Engine
from aliaug_edge.engines.building.jobs import BuildJob
from aliaug_edge.engines.plan import EngineError

TENSORRT = "aliaug_edge.engines.building.tensorrt"


class OutOfMemoryError(EngineError):
    """The build did not fit into memory."""


@dataclass(frozen=True)
class Made:
    """What a build did beside writing the plan: the flags it set, by name, and notes for people."""

    flags: tuple[str, ...]
    notes: tuple[str, ...] = ()


class Watch:
    """Between a build and those who wait for it: the build tells where it is, and hears whether to
    stop. `tell` takes (phase, step, steps), step 0 when a phase begins."""

    def __init__(self, tell: Callable[[str, int, int], None]) -> None:
        self._tell = tell
        self._stop = threading.Event()
        self._phases: dict[str, int] = {}

    def stop(self) -> None:
        """Ask the build to end; it does at its next step."""
        self._stop.set()

    @property
    def stopped(self) -> bool:
        return self._stop.is_set()

    def begin(self, phase: str, steps: int) -> None:
        self._phases[phase] = steps
        self._tell(phase, 0, steps)

    def step(self, phase: str, step: int) -> bool:
        """Step number `step` (from 0) of a phase is done; False when the build is to end."""
        self._tell(phase, step + 1, self._phases.get(phase, 0))
        return not self.stopped


class Toolchain(Protocol):
    """`version` says which TensorRT this is; `build` writes `job.plan` and, where there is one,
    `job.timing_cache_out`; `load` gives an engine for a plan that was checked.

    Raises:
        EngineError: in one line what failed. OutOfMemoryError: memory did.
    """

    def version(self) -> str: ...

    def build(self, job: BuildJob, watch: Watch) -> Made: ...

    def load(self, graph: str, spec: GraphSpec, plan: bytes) -> Engine: ...


def memory_hint(workspace_mib: int | None) -> str:
    """What to lower when a build does not fit."""
    workspace = "--workspace 512" if workspace_mib is None else f"--workspace {workspace_mib // 2}"
    return (
        f"lower it with {workspace} or --level 2, build fewer at once (--graphs encoder, then the "
        "others), smaller --sizes or --batches, and close other programs; on a Jetson add swap"
    )


def shown(names: Sequence[str]) -> str:
    """Names in a sentence."""
    return ", ".join(names) if names else "none"
