"""Our side of the child process: ask, listen to its progress, and make one line of how it ended."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping
from typing import IO, Any

from aliaug_edge.engines.building.toolchain import OutOfMemoryError
from aliaug_edge.engines.plan import EngineError

CHILD = "aliaug_edge.engines.building.child"
PATIENCE_S = 10.0  # for a build to stop by itself at Ctrl-C

Tell = Callable[[str, int, int], None]


def ask(
    toolchain: str,
    request: Mapping[str, Any],
    subject: str,
    hint: str,
    tell: Tell = lambda _phase, _step, _steps: None,
) -> dict[str, Any]:
    """What the child answers to `request`. `tell` hears (phase, step, steps) as it comes.

    `subject` and `hint` (what to lower when memory runs out) are for the errors. At Ctrl-C the
    child is told to stop, and ended when it does not.

    Raises:
        EngineError: it failed, or died. OutOfMemoryError: for want of memory.
    """
    with tempfile.TemporaryFile() as said:
        with _started(toolchain, said) as child:
            try:
                final, phase = _listen(child, request, tell)
                code = child.wait()
            except BaseException:
                _end(child)
                raise
        if "done" in final:
            return dict(final["done"])
        said.seek(0)
        words = said.read().decode("utf-8", errors="replace").strip()
    if "error" in final:
        raise _refused(final, subject, hint)
    raise _died(code, phase, words, subject, hint)


def _started(toolchain: str, said: IO[bytes]) -> subprocess.Popen[str]:
    """In a session of its own: Ctrl-C in the terminal comes to us alone, and we pass it on."""
    command = [sys.executable, "-m", CHILD, toolchain]
    path = os.pathsep.join(entry for entry in sys.path if entry)
    return subprocess.Popen(
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=said,
        text=True,
        encoding="utf-8",
        start_new_session=True,
        env={**os.environ, "PYTHONPATH": path},
    )


def _listen(
    child: subprocess.Popen[str], request: Mapping[str, Any], tell: Tell
) -> tuple[dict[str, Any], str]:
    """The child's last word ({} where it died before it), and the phase it was in."""
    assert child.stdin is not None and child.stdout is not None
    final: dict[str, Any] = {}
    phase = "start"
    try:
        child.stdin.write(json.dumps(request) + "\n")
        child.stdin.flush()
    except BrokenPipeError:  # it died at once; its exit code says more
        return final, phase
    for line in child.stdout:
        try:
            event = json.loads(line)
        except ValueError:  # cut off by its death
            break
        if "phase" in event:
            phase = event["phase"]
            tell(phase, event["step"], event["steps"])
        else:
            final = event
    return final, phase


def _end(child: subprocess.Popen[str]) -> None:
    """The end of its input asks the child to stop."""
    assert child.stdin is not None
    with contextlib.suppress(OSError):
        child.stdin.close()
    try:
        child.wait(PATIENCE_S)
    except (subprocess.TimeoutExpired, KeyboardInterrupt):
        child.kill()


def _refused(final: Mapping[str, Any], subject: str, hint: str) -> EngineError:
    if final["out_of_memory"]:
        return OutOfMemoryError(f"{subject} | {final['error']}; {hint}; nothing was kept")
    return EngineError(f"{subject} | {final['error']}")


def _died(code: int, phase: str, words: str, subject: str, hint: str) -> Exception:
    if code == -signal.SIGKILL:
        return OutOfMemoryError(
            f"{subject} | its process was killed in {phase!r}, most likely by the system because "
            f"memory ran out; {hint}; nothing was kept"
        )
    if code < 0:
        last = f": {words.splitlines()[-1]}" if words else ""
        name = signal.Signals(-code).name
        return EngineError(
            f"{subject} | its process died of {name} in {phase!r}{last}; run: ali-aug doctor"
        )
    return RuntimeError(f"{subject} | the child process failed ({code}):\n{words}")
