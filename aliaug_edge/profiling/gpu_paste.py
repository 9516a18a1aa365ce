"""What `generate` runs on TensorRT, timed: a photo's region and mask in uint8 to the blended patch.

One crop at a time through `PastePipeline`, our own kernels (cut, ramp, blend, count) with it, by
CUDA events behind each of its steps. Overlap, which hides the copies in a run, is left out here.
"""

from __future__ import annotations

import contextlib
import itertools
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from aliaug_edge.engines.jobs import PasteJob
from aliaug_edge.engines.paste import PastePipeline
from aliaug_edge.engines.tensorrt import TensorRtEngine
from aliaug_edge.errors import AliAugError
from aliaug_edge.profiling.latency import Rules, summarise

MARKS = 4  # before the upload, and behind upload, computing and download
QUERIES = ("upload", "compute", "download", "end_to_end")


@dataclass(frozen=True)
class Paste:
    """One crop in ms: three spans on the device, and the host's from uint8 to uint8."""

    upload: float
    compute: float
    download: float
    end_to_end: float


def profile_paste(
    engine: TensorRtEngine, jobs: Sequence[PasteJob], rules: Rules
) -> dict[str, Any] | None:
    """{"queries": [{name, p50_ms … count}], "problem"} of `jobs`, which take turns and must be of
    different photos: what the encoder made of the last one is not made again. None without jobs.

    `problem` says why there are no queries, as where our kernels cannot be compiled.
    """
    if not jobs:
        return None
    try:
        found = list(_pastes(engine, jobs, rules))
    except AliAugError as error:
        return {"queries": [], "problem": str(error)}
    latencies = {name: summarise([getattr(one, name) for one in found]) for name in QUERIES}
    rows = [{"name": name, **asdict(latency)} for name, latency in latencies.items()]
    return {"queries": rows, "problem": None}


def _pastes(engine: TensorRtEngine, jobs: Sequence[PasteJob], rules: Rules) -> Iterator[Paste]:
    cuda, window = engine.cuda, jobs[0].window
    cuda.activate()
    with contextlib.ExitStack() as stack:
        events = []
        for _ in range(MARKS):
            events.append(cuda.new_event(timing=True))
            stack.callback(cuda.drop_event, events[-1])
        free: Iterator[int] = iter(())  # the events of this crop that are not recorded yet

        def mark(stream: int) -> None:
            cuda.record(next(free), stream)

        size_hw = (window.height, window.width)
        pipeline = stack.enter_context(PastePipeline(engine, size_hw, cache_mib=0, mark=mark))
        turns = itertools.cycle(jobs)

        def once() -> Paste:
            nonlocal free
            free, job = iter(events), next(turns)
            started = time.perf_counter()
            ((made,),) = pipeline.paste([[job]])
            end_to_end = _ms_since(started)
            if made.broken:
                raise AliAugError(f"{engine.name} | {made.culprit} holds non-finite values")
            cuda.wait_on_host(events[-1])
            up, compute, down = (cuda.elapsed_ms(a, b) for a, b in itertools.pairwise(events))
            return Paste(up, compute, down, end_to_end)

        yield from _by_the_rules(once, rules)


def _by_the_rules(once: Callable[[], Paste], rules: Rules) -> Iterator[Paste]:
    """Warmed up with at least two rounds, since the first run of a graph captures it."""
    started = time.perf_counter()
    for count in itertools.count(-2):
        once()
        if count > 0 and rules.warm(count, _ms_since(started)):
            break
    started = time.perf_counter()
    for count in itertools.count(1):
        yield once()
        if rules.enough(count, _ms_since(started)):
            return


def _ms_since(started: float) -> float:
    return (time.perf_counter() - started) * 1000
