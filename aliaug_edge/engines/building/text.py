"""A build for people: what it would take, where it is, and what came of it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TextIO

from aliaug_edge.engines.building.machine import Machine
from aliaug_edge.engines.building.options import BuildOptions
from aliaug_edge.engines.building.run import Outcome, Planned

_EVERY_S = 5.0  # between lines where they cannot overwrite each other


def machine_line(machine: Machine, options: BuildOptions) -> str:
    """The device, and how much memory a layer's tactics may use there."""
    asked = options.workspace_mib
    limit = asked or machine.default_workspace_mib
    why = "" if asked or not machine.unified else ", a cap because GPU and CPU share memory"
    workspace = "no workspace limit" if limit is None else f"workspace limit {limit} MiB{why}"
    return (
        f"{machine.here.device} ({machine.here}), {machine.memory_gib:.1f} GiB of "
        f"{'shared ' if machine.unified else ''}memory; {workspace}"
    )


def plan_text(planned: Sequence[Planned]) -> str:
    """What a build would do, a line per engine, and the estimate's basis under it."""
    lines = []
    for item in planned:
        if item.present:
            lines.append(f"{item.target.name}: already built")
            continue
        guess = item.estimate
        lines.append(
            f"{item.target.name}: {_span(guess.low_s, guess.high_s)}, about {guess.memory_mib} MiB "
            "beside the workspace"
        )
        lines.append(f"    {guess.basis}")
    todo = [item.estimate for item in planned if not item.present]
    total = _span(sum(guess.low_s for guess in todo), sum(guess.high_s for guess in todo))
    lines.append(f"{len(todo)} to build" + (f", {total}" if todo else ""))
    return "\n".join(lines) + "\n"


def outcome_line(outcome: Outcome) -> str:
    """An engine that stands: its size, time and parity."""
    header = outcome.header
    said = f"{outcome.name}: {header.plan_bytes / 2**20:.1f} MiB"
    said += f", built in {header.build_s:.0f} s" if outcome.built else ", already built"
    if header.parity is None:
        return f"{said}, not proven against its ONNX graph"
    return f"{said}, {header.parity['psnr_db']:.1f} dB against its ONNX graph"


class Ticker:
    """Progress on `stream`: one line that is overwritten on a terminal, else one every 5 s and at
    each phase."""

    def __init__(self, stream: TextIO, *, silent: bool = False) -> None:
        self._stream = stream
        self._silent = silent
        self._terminal = stream.isatty()
        self._said = ("", "")
        self._at_s = 0.0

    def note(self, line: str) -> None:
        """A line that stays."""
        self._stream.write(("\r\033[K" if self._terminal else "") + line + "\n")
        self._stream.flush()

    def progress(self, engine: str, phase: str, step: int, steps: int, elapsed_s: float) -> None:
        """Where the build of `engine` is."""
        if self._silent:
            return
        line = f"{engine}: {phase} {step}/{steps}, {elapsed_s:.0f} s"
        if self._terminal:
            self._stream.write(f"\r\033[K{line}")
            self._stream.flush()
        elif (engine, phase) != self._said or elapsed_s - self._at_s >= _EVERY_S:
            self._said, self._at_s = (engine, phase), elapsed_s
            self._stream.write(line + "\n")
            self._stream.flush()


def _span(low_s: float, high_s: float) -> str:
    if high_s < 120:
        return f"{low_s:.0f} to {high_s:.0f} s" if low_s != high_s else f"{low_s:.0f} s"
    return (
        f"{low_s / 60:.0f} to {high_s / 60:.0f} min" if low_s != high_s else f"{low_s / 60:.0f} min"
    )
