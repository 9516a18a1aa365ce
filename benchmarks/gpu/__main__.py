"""python -m benchmarks.gpu [--cpu] [--work DIR] [--seconds 540]"""

from __future__ import annotations

import argparse
import contextlib
import faulthandler
import json
import os
import shutil
import signal
import sys
import tempfile
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from aliaug_edge.engines.gpu import probe_gpus

from . import card, correctness, memory, overlap, processes, speed, subjects, table
from .budget import Budget, said_by
from .settings import Settings, small
from .subjects import Subject

SECONDS = 540.0
MARGIN = 15.0  # for the table, and for what cannot be interrupted
CUT_SHORT = 3
EXPORT_S = 240.0  # on a slow host; without it there is little to measure
LOADING_S = 180.0  # from a cold disk; done before any part that is timed
BUILD_S, LEAST_BUILD_S = 240.0, 45.0
# What a build has to leave of the time, for whatever is measured with its engines and after them.
FIRST_KEEPS_S, NEXT_KEEPS_S, BATCH_KEEPS_S = 110.0, 60.0, 30.0
TINY_BUILD_S = 60.0  # once the export beside it is done
TURNS_S = 20.0
AFTER_TURNS_S = 40.0  # for the pipeline and memory at a size
MEMORY_S = 60.0
TINY_SIDE = 128  # the shipped bundle was proven at


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.gpu", description=__doc__)
    parser.add_argument("--cpu", action="store_true", help="the whole script in small, no GPU")
    parser.add_argument("--work", type=Path, help="keeps models and engines for the next run")
    parser.add_argument("--seconds", type=float, default=SECONDS)
    arguments = parser.parse_args()
    problem = None if arguments.cpu else probe_gpus().problem
    if problem is not None:
        print(f"no GPU to measure: {problem} (--cpu runs the script in small)", file=sys.stderr)
        return 1
    faulthandler.enable()  # a library that crashes is named by the part that called it
    os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
    # A shell has it ignored in the background; builds would inherit that, and not be stopped.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    with tempfile.TemporaryDirectory() as scratch:
        work = arguments.work or Path(scratch)
        work.mkdir(parents=True, exist_ok=True)
        settings = small(work) if arguments.cpu else Settings(work)
        return measure(settings, arguments.seconds, lambda: cut_short(Path(scratch)))


def cut_short(scratch: Path) -> None:
    """End the process at once, with nothing of it left running or on the disk."""
    processes.stop_all()
    shutil.rmtree(scratch, ignore_errors=True)
    os._exit(CUT_SHORT)


def measure(settings: Settings, seconds: float, end: Callable[[], Any]) -> int:
    """Run every part in order, then print the table and the JSON line, whatever happens; `end` is
    called when the time is over before."""
    budget = Budget(seconds - min(MARGIN, seconds / 10))
    results: dict[str, Any] = {
        "benchmark": "gpu",
        "cpu_only": settings.cpu,
        "card": {"matrix_tflops_f16": None},
        "subject": "nothing",
        "precision": None,
        "flops": {},
        **{part: [] for part in ("correctness", "speed", "generate", "paste", "memory")},
        "prompt": None,
        "missing": budget.missing,
    }

    once = threading.Lock()

    def speak() -> None:
        once.acquire()  # for good: whoever is second waits for the end
        budget.say("\n".join(table.lines(results)))
        budget.say(table.json_line(results), last=True)

    try:
        with budget.last_word(speak, end):
            _run(budget, settings, results)
    except Exception as error:
        budget.leave_out("the rest", said_by(error))
        raise
    finally:
        speak()
    wrong = [row for row in results["correctness"] if not row["right"]]
    return 2 if wrong else 0


def _run(budget: Budget, settings: Settings, results: dict[str, Any]) -> None:
    budget.say("loading libraries")
    budget.attempt("loading libraries", subjects.load_libraries, LOADING_S)
    found = budget.attempt("the card", lambda: card.read_card(settings), 60)
    if found is not None:
        results["card"] = found
        budget.say("\n".join(card.card_lines(found)))
    tiny = budget.attempt("the tiny bundle", lambda: subjects.tiny(settings), 60)
    turbo = _tiny_and_turbo(budget, settings, tiny, results)
    subject = turbo or tiny
    if subject is None:
        return
    results["subject"], results["precision"] = subject.name, subject.bundle.precision
    flops = subject.bundle.provenance.get("flops", {})
    for size in settings.sizes:
        results["flops"][str(size)] = flops.get(f"{size}x{size}", {}).get("generator")
    for size in settings.sizes:  # the first one whole, should there be no time for others
        first = size == settings.sizes[0]
        keeps = FIRST_KEEPS_S if first else NEXT_KEEPS_S
        _build(budget, settings, subject, size, 1, keeps)
        if first and turbo is not None:
            _keep(budget, results, "correctness", correctness.check(budget, settings, turbo, size))
        _measure(budget, settings, subject, size, results)
    _rest(budget, settings, subject, results)


def _tiny_and_turbo(
    budget: Budget, settings: Settings, tiny: Subject | None, results: dict[str, Any]
) -> Subject | None:
    """SD-Turbo's geometry, exported on the CPU while the tiny bundle's engines are built on the
    GPU; then whether the tiny bundle is right."""
    with contextlib.ExitStack() as stack:
        building = None
        if tiny is not None and "tensorrt" in settings.engines:
            budget.say("building TensorRT engines of tiny, beside the next")
            command = subjects.build_command(settings, tiny.bundle, TINY_SIDE, 1)
            building = stack.enter_context(processes.beside(command))
        budget.say("making SD-Turbo's geometry")
        turbo = budget.attempt("SD-Turbo's geometry", lambda: subjects.turbo(settings), EXPORT_S)
        if building is not None:
            limit = min(TINY_BUILD_S, budget.left)
            what = f"TensorRT engines of tiny at {TINY_SIDE} px, batch 1"
            budget.attempt(what, lambda: processes.finish(building, limit), limit)
    if tiny is not None:
        _keep(budget, results, "correctness", correctness.check(budget, settings, tiny, TINY_SIDE))
    return turbo


def _measure(
    budget: Budget, settings: Settings, subject: Subject, size: int, results: dict[str, Any]
) -> None:
    """Batch 1 at a size: engines in turns, uint8 to uint8; memory at the first size."""
    bundle = subject.bundle
    budget.say(f"taking turns at {size} px, batch 1")
    rows = speed.measure(budget, settings, subject, size, 1, TURNS_S, keeps=AFTER_TURNS_S)
    _keep(budget, results, "speed", rows)
    if not settings.cpu:
        row = budget.attempt(
            f"uint8 to uint8 at {size}", lambda: overlap.paste(settings, bundle, size), 60
        )
        _keep(budget, results, "paste", [row])
    for name in settings.engines if size == settings.sizes[0] else ():
        limit = min(MEMORY_S, budget.left)
        row = budget.attempt(
            f"memory of {name}",
            lambda n=name, s=limit: memory.in_a_process(bundle.root, n, size, s),
            limit,
        )
        _keep(budget, results, "memory", [row])


def _rest(budget: Budget, settings: Settings, subject: Subject, results: dict[str, Any]) -> None:
    """What is less often asked for: `generate`, the prompt encoder, larger batches."""
    bundle = subject.bundle
    for name in settings.engines:
        row = budget.attempt(
            f"generate with {name}", lambda n=name: overlap.generate(settings, bundle, n), 60
        )
        _keep(budget, results, "generate", [row])
    results["prompt"] = budget.attempt(
        "the prompt encoder", lambda: speed.prompt_encoder(settings), 40
    )
    for batch in settings.batches[1:]:
        for size in settings.sizes:
            _build(budget, settings, subject, size, batch, BATCH_KEEPS_S)
            rows = speed.measure(budget, settings, subject, size, batch, TURNS_S / 2)
            _keep(budget, results, "speed", rows)


def _keep(
    budget: Budget, results: dict[str, Any], part: str, rows: Sequence[dict[str, Any] | None]
) -> None:
    """Add the `rows` that there are to a part of the results, and print them at once: a library
    that crashes, as one on a GPU may, takes table and JSON line with it."""
    for row in rows:
        if row is not None:
            results[part].append(row)
            budget.say(f"  {part}: {json.dumps(row, sort_keys=True)}")


def _build(
    budget: Budget, settings: Settings, subject: Subject, side: int, batch: int, keeps: float
) -> None:
    """TensorRT engines, where TensorRT is an engine of this run and `keeps` seconds are left for
    what comes after them."""
    if "tensorrt" not in settings.engines:
        return
    what = f"TensorRT engines of {subject.name} at {side} px, batch {batch}"
    budget.say(f"building {what}")
    limit = min(BUILD_S, budget.left - keeps)
    command = subjects.build_command(settings, subject.bundle, side, batch)
    needs = keeps + LEAST_BUILD_S
    budget.attempt(what, lambda: processes.run(command, limit), limit + processes.STOP_S, needs)


if __name__ == "__main__":
    sys.exit(main())
