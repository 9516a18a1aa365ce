"""What every engine offers, whichever runtime is behind it."""

from __future__ import annotations

from collections.abc import Mapping
from types import TracebackType
from typing import Any, Protocol, runtime_checkable

from numpy.typing import NDArray

from aliaug_edge.errors import AliAugError
from aliaug_edge.tensors import Arrays, TensorSpec


class Engine(Protocol):
    """A graph that can be run: a context manager that holds the runtime's resources while entered.

    with open_engine(bundle) as engine:
        generated = engine.infer({"image": image, ...})["generated"]

    `name` says runtime and device ("onnxruntime-cpu"); it goes into reports and samples.jsonl.
    `made_by` is what else equal bytes depend on and no Python package's version tells, such as the
    plans that TensorRT runs; complete once entered.
    `inputs` and `outputs` are the graph's tensors as the bundle declares them, with the free
    dimensions replaced by numbers where the engine was opened at a fixed size.
    """

    @property
    def name(self) -> str: ...

    @property
    def made_by(self) -> Mapping[str, str]: ...

    @property
    def inputs(self) -> tuple[TensorSpec, ...]: ...

    @property
    def outputs(self) -> tuple[TensorSpec, ...]: ...

    def __enter__(self) -> Engine: ...

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None: ...

    def infer(self, feeds: Mapping[str, NDArray[Any]]) -> Arrays:
        """Run the graph once; `feeds` by input name, the result by output name.

        Names, dtypes and shapes are checked before the runtime is touched. Equal feeds give equal
        bytes. The arrays returned belong to the caller: the next call does not change them.

        Raises:
            AliAugError: not entered, wrong feeds, or the runtime failed.
        """
        ...


@runtime_checkable
class Tracing(Protocol):
    """An engine that can tell where values that are not finite began."""

    def culprit(self, feeds: Mapping[str, NDArray[Any]]) -> str:
        """ "output denoised of unet" and the like: where NaN or infinity in what `infer` gives for
        `feeds` began; empty where that was not found. It costs more than a run, and never fails.
        """
        ...


def require_entered(name: str, entered: bool) -> None:
    """Refuse to run an engine outside its `with` block.

    Raises:
        AliAugError: it is not entered.
    """
    if not entered:
        raise AliAugError(f"{name} | not open: call infer inside `with engine:`")
