"""How a generator is run at one size: from array to array, or in uint8 on the device.

Chosen once, when the engine is opened. Where it is TensorRT, `PastePipeline` cuts, normalises,
blends and clamps on the GPU; every other engine is given arrays, and blending is left to whoever
keeps the answer. Both may be shared by threads.
"""

from __future__ import annotations

import contextlib
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from types import TracebackType
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from aliaug_edge import crops
from aliaug_edge.engines.base import Engine, Tracing
from aliaug_edge.engines.cuda_errors import KernelError
from aliaug_edge.engines.jobs import Pasted, PasteJob
from aliaug_edge.engines.select import TENSORRT
from aliaug_edge.errors import AliAugError
from aliaug_edge.generation.feeds import pixel_feeds
from aliaug_edge.tensors import Arrays

if TYPE_CHECKING:
    from aliaug_edge.engines.paste import PastePipeline


NON_FINITE = "holds non-finite values"
UNTRACED = f"output generated {NON_FINITE}"


class NonFiniteError(AliAugError):
    """The model gave NaN or infinity for a crop; `what` holds them, and `trace` looks for where
    they began."""

    def __init__(self, subject: str, what: str, trace: Callable[[], str] = str) -> None:
        super().__init__(f"{subject} | {what} {NON_FINITE}")
        self._subject = subject
        self._trace = trace

    def traced(self) -> NonFiniteError:
        """This error, with the name of where it began if that can be found. It may take long: see
        `engines.base.Tracing`."""
        found = self._trace()
        return NonFiniteError(self._subject, found) if found else self


@dataclass(frozen=True)
class Answer:
    """`raw` (h, w, 3) float32 in about [-1, 1], all finite, as the model gave it. `blended` has, by
    way of blending, the pixels (h, w, 3) uint8 that belong under the job's window, where the device
    made them already."""

    raw: NDArray[np.float32]
    blended: Mapping[str, NDArray[np.uint8]] = field(default_factory=dict)


class BusyClock:
    """Sums the `seconds` in which at least one thread was inside."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self._inside = 0
        self._since = 0.0
        self._turn = threading.Lock()

    def __enter__(self) -> None:
        with self._turn:
            if not self._inside:
                self._since = time.perf_counter()
            self._inside += 1

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        with self._turn:
            self._inside -= 1
            if not self._inside:
                self.seconds += time.perf_counter() - self._since


class Runner(Protocol):
    """A generator at one size. `name` and `made_by` are its engine's; `subject` begins the
    messages."""

    @property
    def name(self) -> str: ...

    @property
    def made_by(self) -> Mapping[str, str]: ...

    def run(self, jobs: Sequence[PasteJob], subject: str) -> list[Answer]:
        """The model's answers to `jobs`, whose windows have its size.

        Raises:
            NonFiniteError: an answer holds NaN or infinity. AliAugError: the engine failed.
        """
        ...


class ArrayRunner:
    """Any engine: all jobs in one call of `infer`, in `thread` alone and with `turn` held.

    The engine has threads of its own; and ONNX Runtime replays a CUDA graph in no other thread than
    captured it, while every other one must leave the GPU alone as long as it captures.
    """

    def __init__(
        self, engine: Engine, clock: BusyClock, thread: Executor, turn: threading.Lock
    ) -> None:
        self._engine = engine
        self._clock = clock
        self._thread = thread
        self._turn = turn

    @property
    def name(self) -> str:
        return self._engine.name

    @property
    def made_by(self) -> Mapping[str, str]:
        return self._engine.made_by

    def run(self, jobs: Sequence[PasteJob], subject: str) -> list[Answer]:
        """See `Runner.run`."""
        shown = np.stack([crops.cut(job.photo, job.window) for job in jobs])
        masks = np.stack([crops.cut(job.mask, job.window) for job in jobs])
        conditions = {n: np.stack([job.conditions[n] for job in jobs]) for n in jobs[0].conditions}
        known = {**pixel_feeds(shown, masks), **conditions}
        feeds = {spec.name: known[spec.name] for spec in self._engine.inputs}
        outputs = self._thread.submit(self._infer, feeds).result()
        generated: NDArray[np.float32] = outputs["generated"].astype(np.float32, copy=False)
        if not np.isfinite(generated).all():
            raise NonFiniteError(subject, "output generated", partial(self._culprit, feeds))
        return [Answer(raw) for raw in np.ascontiguousarray(generated.transpose(0, 2, 3, 1))]

    def _infer(self, feeds: Mapping[str, NDArray[Any]]) -> Arrays:
        with self._turn, self._clock:
            return self._engine.infer(feeds)

    def _culprit(self, feeds: Mapping[str, NDArray[Any]]) -> str:
        return self._engine.culprit(feeds) if isinstance(self._engine, Tracing) else ""


class DeviceRunner:
    """TensorRT: uint8 in and out, the copies of one thread beside the computing of another."""

    def __init__(
        self, engine: Engine, pipeline: PastePipeline, batch: int, clock: BusyClock
    ) -> None:
        self._engine = engine
        self._pipeline = pipeline
        self._batch = batch
        self._clock = clock

    @property
    def name(self) -> str:
        return self._engine.name

    @property
    def made_by(self) -> Mapping[str, str]:
        return self._engine.made_by

    def run(self, jobs: Sequence[PasteJob], subject: str) -> list[Answer]:
        """See `Runner.run`."""
        batches = [jobs[i : i + self._batch] for i in range(0, len(jobs), self._batch)]
        with self._clock:
            found = [one for results in self._pipeline.paste(batches) for one in results]
        return [_answer(job, one, subject) for job, one in zip(jobs, found, strict=True)]


def _answer(job: PasteJob, pasted: Pasted, subject: str) -> Answer:
    if pasted.broken:
        raise NonFiniteError(subject, pasted.culprit)
    return Answer(pasted.raw, {job.mode: pasted.patch})


def shared(opened: Engine, entered: Iterable[Engine]) -> Engine | None:
    """Which of the engines in use runs what `opened`, not entered, would load a second time: one of
    TensorRT with a range of sizes."""
    if opened.name != TENSORRT:
        return None
    from aliaug_edge.engines.tensorrt import TensorRtEngine

    if not isinstance(opened, TensorRtEngine):  # the first of a run, which may yet be another
        return None
    known = (engine for engine in entered if isinstance(engine, TensorRtEngine))
    return next((engine for engine in known if engine.has_plans_of(opened)), None)


@contextlib.contextmanager
def open_runner(
    engine: Engine,
    size_hw: tuple[int, int],
    batch: int | None,
    clock: BusyClock,
    turn: threading.Lock,
) -> Iterator[Runner]:
    """The runner for an engine that is entered, at `size_hw` and, where it is not free, `batch`.
    Whoever opens another engine meanwhile holds `turn`."""
    with contextlib.ExitStack() as stack:
        pipeline = _paste_pipeline(stack, engine, size_hw, batch or 1)
        if pipeline is None:
            thread = stack.enter_context(ThreadPoolExecutor(1, thread_name_prefix="engine"))
            yield ArrayRunner(engine, clock, thread, turn)
        else:
            yield DeviceRunner(engine, pipeline, batch or 1, clock)


def _paste_pipeline(
    stack: contextlib.ExitStack, engine: Engine, size_hw: tuple[int, int], batch: int
) -> PastePipeline | None:
    """`engine`'s pipeline, entered on `stack`; None where the engine is not TensorRT, or where our
    kernels cannot be compiled, which is said."""
    if engine.name != TENSORRT:
        return None
    from aliaug_edge.engines.paste import PastePipeline
    from aliaug_edge.engines.tensorrt import TensorRtEngine

    assert isinstance(engine, TensorRtEngine)
    try:
        return stack.enter_context(PastePipeline(engine, size_hw, batch))
    except KernelError as error:
        print(f"engine: {engine.name}, cut and blend on the CPU ({error})", file=sys.stderr)
        return None
