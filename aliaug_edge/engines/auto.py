"""`--engine auto` when it is entered: the engine that was chosen, or the next where it fails."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import Any

from numpy.typing import NDArray

from aliaug_edge.engines.base import Engine
from aliaug_edge.errors import AliAugError
from aliaug_edge.tensors import Arrays, TensorSpec


class AutoEngine:
    """`first`, or what `instead` makes of the error that kept `first` from being entered: a plan
    that proves damaged, that TensorRT does not take, or that memory is short for.

    A context manager that gives the engine that was entered; it forwards to that one as well.
    """

    def __init__(self, first: Engine, instead: Callable[[AliAugError], Engine]) -> None:
        self._engine = first
        self._instead = instead
        self._stack = contextlib.ExitStack()

    @property
    def name(self) -> str:
        """Of the first engine until another one took its place."""
        return self._engine.name

    @property
    def made_by(self) -> Mapping[str, str]:
        return self._engine.made_by

    @property
    def inputs(self) -> tuple[TensorSpec, ...]:
        return self._engine.inputs

    @property
    def outputs(self) -> tuple[TensorSpec, ...]:
        return self._engine.outputs

    def __enter__(self) -> Engine:
        try:
            return self._stack.enter_context(self._engine)
        except AliAugError as error:
            self._engine = self._instead(error)
        return self._stack.enter_context(self._engine)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stack.__exit__(kind, error, trace)

    def infer(self, feeds: Mapping[str, NDArray[Any]]) -> Arrays:
        """See `Engine.infer`."""
        return self._engine.infer(feeds)
