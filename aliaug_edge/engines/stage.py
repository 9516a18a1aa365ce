"""One TensorRT engine and its contexts: the few calls that runs need, on 8.5 to 11.

What differs between versions is asked of the object at hand, never of a version number: from 10 on
a context is created with a strategy and told the size of its scratch memory, before that not.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from aliaug_edge.engines.cuda_errors import GpuMemoryError
from aliaug_edge.engines.tensorrt_package import memory_line
from aliaug_edge.errors import AliAugError
from aliaug_edge.tensors import TensorSpec

PROFILE = 0  # engines are built with one optimisation profile
_DTYPES = {
    "FLOAT": "float32",
    "HALF": "float16",
    "INT64": "int64",
    "INT32": "int32",
    "UINT8": "uint8",
    "BOOL": "bool",
}
_LOWER = (
    "lower the batch or the size, export with --precision fp16, or close other programs that use "
    "the GPU"
)
Shape = tuple[int, ...]


class TensorRtError(AliAugError):
    """TensorRT refused an engine or a run."""


class Log:
    """TensorRT's messages: the last errors are kept for ours, the rest is dropped. `logger` is what
    TensorRT takes as its logger."""

    def __init__(self, trt: Any) -> None:
        self._errors: deque[str] = deque(maxlen=20)
        errors = self._errors

        def log(_: Any, severity: Any, message: str) -> None:
            if severity.name in ("ERROR", "INTERNAL_ERROR"):
                errors.append(" ".join(message.split()))

        def init(this: Any) -> None:
            trt.ILogger.__init__(this)

        self.logger = type("Logger", (trt.ILogger,), {"log": log, "__init__": init})()

    def take(self) -> str:
        """What the last error said, once."""
        said = self._errors[-1] if self._errors else "TensorRT does not say why"
        self._errors.clear()
        return said

    def refusal(self, what: str, advice: str = "") -> AliAugError:
        """The error for something that TensorRT refused: `what`, why, and `advice`; a
        GpuMemoryError where memory ran out, which a new build would not mend."""
        memory = memory_line(self._errors)
        said = self.take()
        if memory is not None:
            return GpuMemoryError(f"{what}: out of GPU memory ({memory}); {_LOWER}")
        return TensorRtError(f"{what}: {said}{advice and f'; {advice}'}")


def shared_log(trt: Any) -> Log:
    """The one log of this process, for every engine in it; never freed.

    TensorRT keeps the logger of the first runtime as long as any lives, and calls it for all of
    them: another engine's own would stay empty, and the first one's must not go with its engine.
    """
    for module, log in _logs:
        if module is trt:
            return log
    _logs.append((trt, Log(trt)))
    return _logs[-1][1]


_logs: list[tuple[Any, Log]] = []


@dataclass(frozen=True)
class Plan:
    """The bytes of an engine, checked by whoever read them. `host_code` says that it was built
    version-compatible: then it carries code for the CPU, which TensorRT runs where it may."""

    data: bytes
    host_code: bool = False


@dataclass(frozen=True)
class Stage:
    """A deserialised engine. In `inputs` and `outputs` a free dimension is -1."""

    name: str
    engine: Any
    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]
    log: Log

    @property
    def scratch_bytes(self) -> int:
        """Device memory that a run needs beside weights and bound tensors."""
        size = getattr(self.engine, "device_memory_size_v2", None)
        return int(self.engine.device_memory_size if size is None else size)

    @property
    def is_static(self) -> bool:
        """Whether all of its inputs have one shape."""
        return not any(-1 in spec.shape for spec in self.inputs)

    def context(self, trt: Any, stream: int) -> Context:
        """A new context whose scratch memory is ours to give, ready once `stream` gets there.

        Raises:
            TensorRtError: TensorRT cannot make one. GpuMemoryError: no memory for it.
        """
        strategies = getattr(trt, "ExecutionContextAllocationStrategy", None)
        if strategies is None:
            context = self.engine.create_execution_context_without_device_memory()
        else:
            context = self.engine.create_execution_context(strategies.USER_MANAGED)
        if context is None:
            raise self.log.refusal(f"{self.name} | no execution context")
        self._choose_profile(context, stream)
        return Context(self, context)

    def _choose_profile(self, context: Any, stream: int) -> None:
        """An engine's first context has its profile; others may have to be given it, and before
        TensorRT 10 only one at a time can have it."""
        if context.active_optimization_profile == PROFILE:
            return
        done = context.set_optimization_profile_async(PROFILE, stream)
        if not (done or self.is_static):
            raise self.log.refusal(
                f"{self.name} | no optimization profile for another shape",
                "build one engine per size: ali-aug build BUNDLE --sizes HxW",
            )


@dataclass(frozen=True)
class Context:
    """An execution context of a stage."""

    stage: Stage
    context: Any

    def set_shapes(self, shapes: Mapping[str, Shape]) -> dict[str, Shape]:
        """Choose the inputs' shapes; the outputs' shapes by name.

        Raises:
            TensorRtError: a shape is outside what the engine was built for.
        """
        for spec in self.stage.inputs:
            self._check_profile(spec.name, shapes[spec.name])
            self._require(
                self.context.set_input_shape(spec.name, shapes[spec.name]), f"shape of {spec.name}"
            )
        found = {s.name: tuple(self.context.get_tensor_shape(s.name)) for s in self.stage.outputs}
        for name, shape in found.items():
            self._require(all(length > 0 for length in shape), f"shape {shape} of {name}")
        return found

    def use_scratch(self, address: int, nbytes: int) -> None:
        """Work in device memory at `address`, shared by all that never run at the same time."""
        if hasattr(self.context, "set_device_memory"):
            self.context.set_device_memory(address, nbytes)
        else:
            self.context.device_memory = address

    def bind(self, name: str, address: int) -> None:
        """Read or write the tensor `name` at a device address.

        Raises:
            TensorRtError: the engine has no such tensor.
        """
        self._require(self.context.set_tensor_address(name, address), f"address of {name}")

    def enqueue(self, stream: int) -> None:
        """Put one run on `stream`.

        Raises:
            TensorRtError: TensorRT could not. GpuMemoryError: it ran out of memory.
        """
        self._require(self.context.execute_async_v3(stream), "run")

    def _check_profile(self, name: str, shape: Shape) -> None:
        low, high = self._limits(name)
        fits = len(shape) == len(low) and all(
            a <= b <= c for a, b, c in zip(low, shape, high, strict=True)
        )
        if not fits:
            raise TensorRtError(
                f"{self.stage.name} | {name} of shape {list(shape)} is outside what this engine "
                f"was built for, {list(low)} to {list(high)}; build it for that size and batch: "
                "ali-aug build BUNDLE --sizes HxW --batches N"
            )

    def _limits(self, name: str) -> tuple[Shape, Shape]:
        """The smallest and the largest shape of an input."""
        fixed = next(spec.shape for spec in self.stage.inputs if spec.name == name)
        if -1 not in fixed:  # no profile has to know of it
            shape = tuple(int(length) for length in fixed)
            return shape, shape
        low, _, high = map(tuple, self.stage.engine.get_tensor_profile_shape(name, PROFILE))
        return low, high

    def _require(self, done: object, what: str) -> None:
        if not done:
            raise self.stage.log.refusal(f"{self.stage.name} | {what} refused")


def load_stage(trt: Any, runtime: Any, name: str, plan: Plan, log: Log) -> Stage:
    """Deserialise a plan that was checked before: the bytes run code.

    Raises:
        TensorRtError: TensorRT does not take it, or it has a tensor of a dtype that we do not know.
        GpuMemoryError: no memory for its weights.
    """
    if hasattr(runtime, "engine_host_code_allowed"):  # from 8.6 on
        runtime.engine_host_code_allowed = plan.host_code
    engine = runtime.deserialize_cuda_engine(plan.data)
    if engine is None:
        raise log.refusal(
            f"{name} | TensorRT {trt.__version__} does not take this engine", "run: ali-aug build"
        )
    inputs: list[TensorSpec] = []
    outputs: list[TensorSpec] = []
    for index in range(engine.num_io_tensors):
        tensor = engine.get_tensor_name(index)
        kind = engine.get_tensor_dtype(tensor).name
        if kind not in _DTYPES:
            raise TensorRtError(f"{name} | tensor {tensor} has dtype {kind}; run: ali-aug build")
        side = inputs if engine.get_tensor_mode(tensor) == trt.TensorIOMode.INPUT else outputs
        side.append(TensorSpec(tensor, _DTYPES[kind], tuple(engine.get_tensor_shape(tensor))))
    return Stage(name, engine, tuple(inputs), tuple(outputs), log)
