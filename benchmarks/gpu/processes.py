"""Processes of this run, which must not outlive it: one on the GPU would slow what is timed next,
and a build that goes on fills the disk."""

from __future__ import annotations

import contextlib
import signal
import subprocess
from collections.abc import Iterator, Sequence

STOP_S = 11.0  # `ali-aug build` gives its own child ten to come to its next step
_alive: set[subprocess.Popen[str]] = set()


def run(command: Sequence[str], seconds: float) -> str:
    """What `command` prints, which ends within `seconds` and is stopped on every way out of here.

    Raises:
        RuntimeError: it failed, with its last line, or did not end in time.
    """
    with beside(command) as process:
        return finish(process, seconds)


@contextlib.contextmanager
def beside(command: Sequence[str]) -> Iterator[subprocess.Popen[str]]:
    """`command` while the block goes on, to be waited for with `finish`; stopped at its end."""
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, errors="replace"
    ) as process:
        _alive.add(process)
        try:
            yield process
        finally:
            stop(process)
            _alive.discard(process)


def finish(process: subprocess.Popen[str], seconds: float) -> str:
    """What `process` prints until it ends. Raises: as `run`; stopped where it does not end."""
    try:
        out, err = process.communicate(timeout=seconds)
    except subprocess.TimeoutExpired:
        raise RuntimeError(f"not done within {seconds:.0f} s") from None
    finally:
        stop(process)
    if process.returncode:
        raise RuntimeError(((err or out).strip().splitlines() or ["no message"])[-1])
    return out


def stop(process: subprocess.Popen[str]) -> None:
    """Interrupt it, so that it can stop what it began in turn, and end it where it does not."""
    if process.poll() is not None:
        return
    process.send_signal(signal.SIGINT)
    try:
        process.wait(STOP_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def stop_all() -> None:
    """For the end of the time, when whoever waits for them cannot be interrupted."""
    for process in list(_alive):
        stop(process)
