"""The child process that builds and tries engines: `python -m … TOOLCHAIN`, one request, then gone.

It exists so that a crash inside TensorRT is an exit code and not the end of the user's process, so
that the memory of a build is given back whole, and so that nothing but the toolchain is in it.
The request is one line of JSON on stdin; the answers are lines of JSON on what was stdout, which
libraries that print cannot reach. When stdin ends, whoever asked is gone or has had enough.
"""

from __future__ import annotations

import contextlib
import dataclasses
import importlib
import json
import os
import sys
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TextIO, cast

from aliaug_edge.engines.building.jobs import job_from
from aliaug_edge.engines.building.toolchain import OutOfMemoryError, Toolchain, Watch
from aliaug_edge.errors import AliAugError

STOPPED = 130
GRACE_S = 20.0  # a build that does not come to its next step by then is ended


def main(toolchain: str) -> int:
    """Answer the request on stdin with `toolchain`, a module's name."""
    answers = _private_stdout()
    turn = threading.Lock()  # TensorRT reports from threads of its own

    def answer(**document: Any) -> None:
        with turn, contextlib.suppress(BrokenPipeError):  # nobody listens: we are about to stop
            answers.write(json.dumps(document) + "\n")
            answers.flush()

    request = json.loads(_first_line())
    watch = Watch(lambda phase, step, steps: answer(phase=phase, step=step, steps=steps))
    threading.Thread(target=_stop_at_end_of_input, args=(watch,), daemon=True).start()
    try:
        tools = cast(Toolchain, importlib.import_module(toolchain))
        answer(done=_REQUESTS[request["do"]](tools, request, watch))
    except AliAugError as error:
        memory = isinstance(error, OutOfMemoryError)
        answer(error=str(error), out_of_memory=memory, stopped=watch.stopped)
    except OSError as error:
        answer(error=_unusable(error), out_of_memory=False, stopped=watch.stopped)
    except MemoryError:
        answer(error="out of memory", out_of_memory=True, stopped=watch.stopped)
    return 0


def _unusable(error: OSError) -> str:
    """A file or a disk that is not usable, in a line."""
    where = f"{error.filename}: " if error.filename else ""
    said = " ".join(str(error.strerror or error).split())
    return f"{where}{said}; free some space, or see to the bundle's folder"


def _version(tools: Toolchain, _request: Mapping[str, Any], _watch: Watch) -> Any:
    return {"version": tools.version()}


def _build(tools: Toolchain, request: Mapping[str, Any], watch: Watch) -> Any:
    return dataclasses.asdict(tools.build(job_from(request["job"]), watch))


def _try(tools: Toolchain, request: Mapping[str, Any], _watch: Watch) -> Any:
    """Run a plan on feeds from files, each answer into a file of its own."""
    import numpy as np

    from aliaug_edge.bundle import GraphSpec
    from aliaug_edge.tensors import TensorSpec

    sides = [
        tuple(TensorSpec(t["name"], t["dtype"], tuple(t["shape"])) for t in request[side])
        for side in ("inputs", "outputs")
    ]
    plan = Path(request["plan"]).read_bytes()
    with tools.load(request["graph"], GraphSpec("", *sides), plan) as engine:
        for source, target in request["cases"]:
            with np.load(source, allow_pickle=False) as feeds:
                made = engine.infer({name: feeds[name] for name in feeds.files})
            np.savez(target, **made)  # type: ignore[arg-type]
    return {}


_REQUESTS: dict[str, Callable[[Toolchain, Mapping[str, Any], Watch], Any]] = {
    "version": _version,
    "build": _build,
    "try": _try,
}


def _private_stdout() -> TextIO:
    """What was stdout, for us alone; what libraries print goes to stderr."""
    sys.stdout.flush()
    private = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    return private


def _first_line() -> bytes:
    """Read without Python's buffer, whose lock a waiting thread would hold when we end."""
    line = b""
    while not line.endswith(b"\n"):
        block = os.read(0, 1 << 16)
        if not block:
            break
        line += block
    return line


def _stop_at_end_of_input(watch: Watch) -> None:
    while os.read(0, 1 << 16):
        pass
    watch.stop()
    time.sleep(GRACE_S)
    os._exit(STOPPED)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
