"""The model as one function of arrays: a bundle, and a runner per size, opened when needed."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Mapping, Sequence
from dataclasses import replace
from types import TracebackType
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from aliaug_edge import tensors
from aliaug_edge.bundle import Bundle
from aliaug_edge.crops import Window
from aliaug_edge.engines import open_engine
from aliaug_edge.engines.base import Engine
from aliaug_edge.engines.jobs import PasteJob
from aliaug_edge.generation.feeds import bundle_conditions
from aliaug_edge.generation.runners import (
    Answer,
    BusyClock,
    NonFiniteError,
    Runner,
    open_runner,
    shared,
)

GRAPH = "generator"
PLAIN = "none"  # a way of blending: everywhere what the model made

UInt8 = NDArray[np.uint8]


def subject(bundle: Bundle) -> str:
    """What the messages about `bundle` begin with."""
    return f"bundle {bundle.name}"


class Framed(Protocol):
    """Where a defect goes: under `window` of `image` (H, W, 3) and `mask` (H, W), of which the
    model is shown `shown` (h, w, 3) and `shown_mask` (h, w), all uint8; `grey` stays grey."""

    @property
    def image(self) -> UInt8: ...

    @property
    def mask(self) -> UInt8: ...

    @property
    def window(self) -> Window: ...

    @property
    def shown(self) -> UInt8: ...

    @property
    def shown_mask(self) -> UInt8: ...

    @property
    def grey(self) -> bool: ...


def engine_for(
    bundle: Bundle,
    engine: str,
    size_hw: tuple[int, int] | None = None,
    batch: int | None = 1,
    threads: int | None = None,
) -> Engine:
    """The engine, not entered, that a `Pipeline` takes; without `size_hw`, to hear whether there is
    one and what its name is. It has to serve every size of the bundle: which of them a run needs
    is known when it is too late for another.

    Raises:
        AliAugError: as `open_engine`.
    """
    return open_engine(
        bundle,
        GRAPH,
        engine=engine,
        size_hw=size_hw,
        batch=batch,
        threads=threads,
        sizes=bundle.sizes,
    )


class Pipeline:
    """Runs a bundle's generator, fused or, on TensorRT, in its stages. A context manager;
    `engine_s` sums the time inside it.

    Threads may share it; how far they get into the engine together is the runner's to say. A fixed
    `batch` lets the engine optimise for it, and every call must then have it.
    """

    def __init__(
        self,
        bundle: Bundle,
        engine: str = "auto",
        threads: int | None = None,
        batch: int | None = None,
    ) -> None:
        self.bundle = bundle
        self._choice = engine
        self._threads = threads
        self._batch = batch
        self._clock = BusyClock()
        self._runners: dict[tuple[int, int], Runner] = {}
        self._engines: list[Engine] = []  # entered; sizes may share one
        self._stack = contextlib.ExitStack()
        self._turn = threading.Lock()
        self._engine_turn = threading.Lock()  # of opening one, and of running one on arrays

    def __enter__(self) -> Pipeline:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._runners.clear()
        self._engines.clear()
        self._stack.close()

    @property
    def engine_s(self) -> float:
        """Seconds in which the engine was at work for somebody."""
        return self._clock.seconds

    def engine_name(self) -> str:
        """The name of the engine in use; opens the first one when none is open yet."""
        return self._first().name

    def made_by(self) -> Mapping[str, str]:
        """`Engine.made_by` of the engine in use; opens the first one when none is open yet."""
        return self._first().made_by

    def generate(
        self,
        crops: UInt8,
        masks: UInt8,
        classes: Sequence[str],
        seeds: Sequence[int],
        severities: Sequence[float],
    ) -> NDArray[np.float32]:
        """The raw output (B, h, w, 3) float32 in about [-1, 1] for `crops` (B, h, w, 3) and `masks`
        (B, h, w), both uint8, of one of the bundle's sizes.

        The noise of a crop depends on its seed alone, never on what else is in the batch.

        Raises:
            BundleError: unknown class. NonFiniteError: the model gave NaN or infinity; it
                says where they began.
        """
        size_hw = (crops.shape[1], crops.shape[2])
        feeds = bundle_conditions(self.bundle, size_hw, classes, seeds, severities)
        jobs = [
            _whole(crop, mask, _given(feeds, item), PLAIN, grey=False)
            for item, (crop, mask) in enumerate(zip(crops, masks, strict=True))
        ]
        try:
            return np.stack([answer.raw for answer in self._run(jobs, size_hw)])
        except NonFiniteError as error:  # nobody goes on from here: there is time to look
            raise error.traced() from error

    def insert(
        self, framed: Framed, defect_class: str, seed: int, severity: float, mode: str
    ) -> Answer:
        """What the model makes of `framed`; blended by way of `mode` where the device can do that.

        Raises:
            BundleError: unknown class. NonFiniteError: the model gave NaN or infinity; `traced`
                looks for where they began.
        """
        window, (height, width) = framed.window, framed.shown_mask.shape
        feeds = bundle_conditions(self.bundle, (height, width), [defect_class], [seed], [severity])
        given = _given(feeds, 0)
        if (window.height, window.width) == (height, width):
            job = PasteJob(framed.image, framed.mask, window, given, mode, framed.grey)
            return self._run([job], (height, width))[0]
        job = _whole(framed.shown, framed.shown_mask, given, mode, grey=framed.grey)
        answer = self._run([job], (height, width))[0]
        return replace(answer, blended={})  # what it is blended with has another size

    def _run(self, jobs: Sequence[PasteJob], size_hw: tuple[int, int]) -> list[Answer]:
        return self._runner(size_hw).run(jobs, subject(self.bundle))

    def _first(self) -> Runner:
        if not self._runners:
            self._runner(self.bundle.sizes[0])
        return next(iter(self._runners.values()))

    def _runner(self, size_hw: tuple[int, int]) -> Runner:
        with self._turn:
            if size_hw not in self._runners:
                engine = self._engine(size_hw)
                clock, turn = self._clock, self._engine_turn
                runner = open_runner(engine, size_hw, self._batch, clock, turn)
                self._runners[size_hw] = self._stack.enter_context(runner)
            return self._runners[size_hw]

    def _engine(self, size_hw: tuple[int, int]) -> Engine:
        """An entered engine for `size_hw`, one in use where it has what is needed."""
        opened = engine_for(self.bundle, self._choice, size_hw, self._batch, self._threads)
        engine = shared(opened, self._engines)
        if engine is None:
            with self._engine_turn:
                engine = self._stack.enter_context(opened)
            self._engines.append(engine)
            self._choice = engine.name  # auto decides once, for all sizes
        return engine


def _given(feeds: tensors.Arrays, item: int) -> dict[str, NDArray[Any]]:
    return {name: array[item] for name, array in feeds.items()}


def _whole(
    shown: UInt8, mask: UInt8, given: Mapping[str, NDArray[Any]], mode: str, *, grey: bool
) -> PasteJob:
    """The job of what the model sees, all of it."""
    return PasteJob(shown, mask, Window(0, 0, *mask.shape), given, mode, grey)
