"""Single runs of a TensorRT engine, timed on the device: copies, stages, the host's part.

A run goes as `TensorRtEngine.infer` does it: into pinned memory, to the device, through the chain,
back. Times on the device are between CUDA events on its stream. `staged` runs enqueue stage by
stage with an event behind each; the others launch the chain's CUDA graph, as generation does.
"""

from __future__ import annotations

import contextlib
import itertools
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import TracebackType

from aliaug_edge.engines.chain import MASK, PAINTED
from aliaug_edge.engines.lost import lost_gpu_first
from aliaug_edge.engines.tensorrt import Ready, TensorRtEngine
from aliaug_edge.profiling.latency import Rules
from aliaug_edge.tensors import Arrays

PAINT = "paint"
Work = Callable[[], None]


@dataclass(frozen=True)
class Query:
    """One run in ms. `enqueue` is the host's time to put the chain on the stream, `end_to_end` the
    host's from arrays to arrays; the others passed on the device. `stages` is empty where the
    chain ran as one graph."""

    enqueue: float
    h2d: float
    compute: float
    d2h: float
    end_to_end: float
    stages: Mapping[str, float]


class Tracer:
    """An entered engine at the shapes of `feeds`, with tensors of its own. A context manager."""

    def __init__(self, engine: TensorRtEngine, feeds: Arrays) -> None:
        self.engine = engine
        self._feeds = feeds
        self._stack = contextlib.ExitStack()
        self._events: list[int] = []

    def __enter__(self) -> Tracer:
        engine = self.engine
        engine.cuda.activate()
        with contextlib.ExitStack() as stack:
            self.ready: Ready = engine.make_ready({n: a.shape for n, a in self._feeds.items()})
            stack.enter_context(self.ready.memory)
            self._key = ("profile", self.ready.chain.tensors.address)
            stack.callback(engine.graphs.forget, self._key, engine.stream)
            for _ in range(len(self._works()) + 3):
                event = engine.cuda.new_event(timing=True)
                stack.callback(engine.cuda.drop_event, event)
                self._events.append(event)
            stack.callback(engine.cuda.synchronize, engine.stream)
            self._stack = stack.pop_all()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stack.close()

    @property
    def graphed(self) -> bool:
        """Whether runs that are not staged launch a CUDA graph; known once two were made."""
        return self.engine.graphs.captures > 0 and self._key not in self.engine.graphs.refused

    def run(self, *, staged: bool) -> Query:
        """One run, waited for.

        Raises:
            AliAugError: the GPU or an engine failed.
        """
        cuda, stream = self.engine.cuda, self.engine.stream
        works = self._works() if staged else [("", self._launch)]
        events = iter(self._events)
        marks: list[int] = []

        def mark() -> None:
            marks.append(next(events))
            cuda.record(marks[-1], stream)

        started = time.perf_counter()
        self._fill()
        mark()
        self._copy_in()
        mark()
        before = time.perf_counter()
        with lost_gpu_first(cuda, stream):
            for _, work in works:
                work()
                mark()
        enqueue = _ms_since(before)
        self._copy_out()
        mark()
        cuda.synchronize(stream)
        for array in self.ready.made.arrays.values():
            array.copy()
        end_to_end = _ms_since(started)
        spans = [cuda.elapsed_ms(a, b) for a, b in itertools.pairwise(marks)]
        stages = {name: span for (name, _), span in zip(works, spans[1:-1], strict=True) if name}
        return Query(enqueue, spans[0], sum(spans[1:-1]), spans[-1], end_to_end, stages)

    def _works(self) -> list[tuple[str, Work]]:
        """What the chain consists of, each by its name."""
        engine, ready = self.engine, self.ready
        found: list[tuple[str, Work]] = []
        if PAINTED in ready.chain.tensors.layout.fields:
            found.append((PAINT, self._paint))
        for step, context in zip(ready.chain.steps, ready.chain.contexts, strict=True):
            name = (MASK if step.names else "") + step.stage.name
            found.append((name, lambda context=context: context.enqueue(engine.stream)))  # type: ignore[misc]
        return found

    def _paint(self) -> None:
        tensors, engine = self.ready.chain.tensors, self.engine
        mask, colour, target = (tensors.at(name) for name in ("mask", "colour", PAINTED))
        engine.kernels().paint(mask, colour, target, self.ready.sizes, engine.stream)

    def _launch(self) -> None:
        engine, address = self.engine, self.ready.chain.tensors.address
        engine.graphs.run(
            self._key, (address,), lambda: engine.run_chain(self.ready), engine.stream
        )

    def _fill(self) -> None:
        for name, array in self._feeds.items():
            self.ready.given.arrays[name][...] = array

    def _copy_in(self) -> None:
        given, tensors = self.ready.given, self.ready.chain.tensors
        for name, field in given.layout.fields.items():
            source = given.address + field.offset
            self.engine.cuda.to_device(tensors.at(name), source, field.nbytes, self.engine.stream)

    def _copy_out(self) -> None:
        made, tensors = self.ready.made, self.ready.chain.tensors
        for name, field in made.layout.fields.items():
            target = made.address + field.offset
            self.engine.cuda.to_host(target, tensors.at(name), field.nbytes, self.engine.stream)


def collect(tracer: Tracer, rules: Rules, *, staged: bool) -> Sequence[Query]:
    """Warm up, then as many runs as `rules` ask for."""
    return list(_runs(tracer, rules, staged=staged))


def _runs(tracer: Tracer, rules: Rules, *, staged: bool) -> Iterator[Query]:
    started = time.perf_counter()
    for count in itertools.count(2):  # the first run captures the graph, the second launches it
        tracer.run(staged=staged)
        tracer.run(staged=staged)
        if rules.warm(count, _ms_since(started)):
            break
    started = time.perf_counter()
    for count in itertools.count(1):
        yield tracer.run(staged=staged)
        if rules.enough(count, _ms_since(started)):
            return


def _ms_since(started: float) -> float:
    return (time.perf_counter() - started) * 1000
