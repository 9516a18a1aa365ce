"""TensorRT's runtime over a `Machine`: a plan names an ONNX file, and a run really runs it.

Names, return values and rules are those of the real bindings, in three ages: "8.6" has no
allocation strategy, "10.3" both ways, "11.4" only the new one.
"""

from __future__ import annotations

import enum
import json
import weakref
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import onnxruntime

from aliaug_edge.bundle import Bundle
from aliaug_edge.engines.stage import Plan
from support.gpu.enums import CUresult
from support.gpu.failures import Failures
from support.gpu.machine import Machine, RuleBroken, Work

SCRATCH = 1 << 16
_SAID = {
    CUresult.CUDA_ERROR_OUT_OF_MEMORY: "Cuda Runtime (out of memory)",
    CUresult.CUDA_ERROR_ECC_UNCORRECTABLE: "Cuda Runtime (uncorrectable ECC error encountered)",
}


class TensorIOMode(enum.Enum):
    NONE = 0
    INPUT = 1
    OUTPUT = 2


class DataType(enum.Enum):
    FLOAT = 0
    HALF = 1


class Severity(enum.Enum):
    INTERNAL_ERROR = 0
    ERROR = 1
    WARNING = 2


class ExecutionContextAllocationStrategy(enum.Enum):
    STATIC = 0
    USER_MANAGED = 2


class Dims(list[int]):
    """A sequence that equals no tuple, as the real one."""


class ILogger:
    def __init__(self) -> None:
        self.ready = True


def plan(
    onnx: Path,
    specs: Any,
    low: dict[str, int],
    high: dict[str, int],
    scratch: int = SCRATCH,
    *,
    host_code: bool = False,
) -> bytes:
    """What `FakeTensorRt.Runtime` deserialises; the bounds are of batch, height and width."""
    document = {
        "onnx": str(onnx),
        "inputs": [[s.name, s.dtype, list(s.shape)] for s in specs.inputs],
        "outputs": [[s.name, s.dtype, list(s.shape)] for s in specs.outputs],
        "low": low,
        "high": high,
        "scratch": scratch,
        "host_code": host_code,
    }
    return json.dumps(document).encode()


def plans(
    bundle: Bundle, stages: tuple[str, ...], *, sizes: tuple[int, int] = (32, 512), batch: int = 4
) -> list[tuple[str, Any]]:
    """A plan per stage of `bundle`, as `TensorRtEngine` takes them."""
    low = {"batch": 1, "height": sizes[0], "width": sizes[0]}
    high = {"batch": batch, "height": sizes[1], "width": sizes[1]}

    def reader(stage: str) -> Any:
        data = plan(bundle.graph_path(stage), bundle.graphs[stage], low, high)
        return lambda: Plan(data)

    return [(stage, reader(stage)) for stage in stages]


def fake_tensorrt(machine: Machine, failures: Failures, version: str = "10.3") -> Any:
    """The module; `failures` are the driver's."""
    module = SimpleNamespace(
        __version__=version,
        ILogger=ILogger,
        TensorIOMode=TensorIOMode,
        DataType=DataType,
    )
    if version != "8.6":
        module.ExecutionContextAllocationStrategy = ExecutionContextAllocationStrategy
    plugins: list[Any] = []
    if version == "8.6":
        module.init_libnvinfer_plugins = lambda logger, _namespace: plugins.append(logger) or True
    voice = Voice()
    module.Runtime = lambda logger: Runtime(machine, failures, version, logger, voice, plugins)
    return module


class Voice:
    """The one logger that a process has in TensorRT: that of the first runtime. Others that come
    while one lives are not asked, and the pointer keeps nothing alive."""

    def __init__(self) -> None:
        self._runtimes: weakref.WeakSet[Runtime] = weakref.WeakSet()
        self._logger: Any = None

    def join(self, runtime: Runtime) -> None:
        if not self._runtimes:
            self._logger = weakref.ref(runtime.logger)
        self._runtimes.add(runtime)

    def say(self, message: str) -> None:
        logger = self._logger()
        if logger is None:
            raise RuleBroken("TensorRT calls the logger of a runtime that is gone")
        logger.log(Severity.WARNING, "nobody should see this")
        logger.log(Severity.ERROR, message)


class Runtime:
    def __init__(
        self,
        machine: Machine,
        failures: Failures,
        version: str,
        logger: Any,
        voice: Voice,
        plugins: Sequence[Any] = (),
    ) -> None:
        if not getattr(logger, "ready", False):
            raise RuleBroken("a logger whose base is not initialised crashes in TensorRT")
        self.machine, self.failures = machine, failures
        self.version, self.logger, self.plugins = version, logger, plugins
        self.engine_host_code_allowed = False
        self.say = voice.say
        voice.join(self)

    def fails(self, call: str) -> bool:
        """Whether this call is refused; as in TensorRT, what is said last is not why."""
        code = self.failures.verdict(call)
        if code is not None:
            self.say(f"Error Code 1: {_SAID[code]}")
            self.say(f"Error Code 2: Internal Error ({call} failed)")
        return code is not None

    def deserialize_cuda_engine(self, serialized: bytes) -> Any:
        if self.fails("deserialize_cuda_engine"):
            return None
        try:
            document = json.loads(serialized)
        except ValueError:
            self.say("Serialization assertion\n magicTagRead == kMAGIC_TAG failed")
            return None
        if document["host_code"] and not self.engine_host_code_allowed:
            self.say("a version-compatible plan carries host code, which is not allowed")
            return None
        if self.engine_host_code_allowed and not document["host_code"]:
            raise RuleBroken("host code is allowed to a plan that was built without any")
        if self.version == "8.6" and not self.plugins:  # what a normalisation became there
            self.say("getPluginCreator could not find plugin InstanceNormalization_TRT version 1")
            return None
        return engine_class(self.version)(self, document)


class _Engine:
    def __init__(self, runtime: Runtime, document: dict[str, Any]) -> None:
        self.runtime, self.document = runtime, document
        self.contexts = 0  # the first has the profile, the others have to be given it
        self.tensors = {name: (dtype, shape) for name, dtype, shape in self._all()}
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        options.log_severity_level = 4
        self.session = onnxruntime.InferenceSession(
            document["onnx"], options, providers=["CPUExecutionProvider"]
        )

    def _all(self) -> list[Any]:
        return [*self.document["inputs"], *self.document["outputs"]]

    @property
    def num_io_tensors(self) -> int:
        return len(self.tensors)

    def get_tensor_name(self, index: int) -> str:
        return list(self.tensors)[index]

    def get_tensor_mode(self, name: str) -> TensorIOMode:
        inputs = {entry[0] for entry in self.document["inputs"]}
        return TensorIOMode.INPUT if name in inputs else TensorIOMode.OUTPUT

    def get_tensor_dtype(self, name: str) -> DataType:
        return {"float32": DataType.FLOAT, "float16": DataType.HALF}[self.tensors[name][0]]

    def get_tensor_shape(self, name: str) -> Dims:
        return Dims(n if isinstance(n, int) else -1 for n in self.tensors[name][1])

    def get_tensor_profile_shape(self, name: str, profile: int) -> list[Dims]:
        assert profile == 0
        low, high = (self._bound(name, side) for side in ("low", "high"))
        return [low, low, high]

    def _bound(self, name: str, side: str) -> Dims:
        return Dims(dimension(n, self.document[side]) for n in self.tensors[name][1])

    def _context(self, *, managed: bool) -> Any:
        if not managed:
            raise RuleBroken("a context with scratch memory of its own: memory is to be shared")
        return None if self.runtime.fails("create_execution_context") else Context(self)


class _Old(_Engine):
    """8.5 and 8.6."""

    @property
    def device_memory_size(self) -> int:
        return int(self.document["scratch"])

    def create_execution_context_without_device_memory(self) -> Any:
        return OldContext(self)


class _New(_Engine):
    """11."""

    @property
    def device_memory_size_v2(self) -> int:
        return int(self.document["scratch"])

    def create_execution_context(self, strategy: Any) -> Any:
        managed = strategy is ExecutionContextAllocationStrategy.USER_MANAGED
        return self._context(managed=managed)


class _Both(_New, _Old):
    """10."""


def engine_class(version: str) -> type[_Engine]:
    return {"8": _Old, "10": _Both, "11": _New}[version.split(".")[0]]


class _Context:
    def __init__(self, engine: _Engine) -> None:
        self.engine, self.machine = engine, engine.runtime.machine
        self.shapes: dict[str, tuple[int, ...]] = {}
        self.addresses: dict[str, int] = {}
        self.scratch: tuple[int, int] | None = None
        self.settled = False  # ran once since its shapes changed
        self.active_optimization_profile = 0 if engine.contexts == 0 else -1
        engine.contexts += 1

    def _refuse(self, message: str) -> bool:
        self.engine.runtime.say(f"IExecutionContext: {message}")
        return False

    def set_optimization_profile_async(self, profile: int, stream: int) -> bool:
        assert stream, "the default stream would wait for all others"
        if profile:
            return self._refuse(f"no profile {profile}")
        self.active_optimization_profile = profile
        return True

    def set_input_shape(self, name: str, shape: tuple[int, ...]) -> bool:
        if self.active_optimization_profile < 0 and -1 in self.engine.get_tensor_shape(name):
            return self._refuse("no optimization profile was chosen")
        low, _, high = self.engine.get_tensor_profile_shape(name, 0)
        if any(not a <= b <= c for a, b, c in zip(low, shape, high, strict=True)):
            return self._refuse(f"{name} {shape} is outside the profile")
        self.shapes[name] = tuple(shape)
        self.settled = False
        return True

    def get_tensor_shape(self, name: str) -> Dims:
        bound: dict[str, int] = {}
        for given, shape in self.shapes.items():
            for axis, length in zip(self.engine.tensors[given][1], shape, strict=True):
                if isinstance(axis, str):
                    bound[base(axis)] = length * part(axis)
        return Dims(dimension(n, bound, -1) for n in self.engine.tensors[name][1])

    def set_tensor_address(self, name: str, address: int) -> bool:
        if name not in self.engine.tensors:
            return self._refuse(f"no tensor {name}")
        if address % 256:
            raise RuleBroken(f"{name} at {address:#x} is not aligned to 256 bytes")
        self.addresses[name] = address
        return True

    def execute_async_v3(self, stream: int) -> bool:
        missing = [name for name in self.engine.tensors if name not in self.addresses]
        if missing:
            return self._refuse(f"no address for {missing}")
        if self.scratch is None or self.scratch[1] < self.engine.document["scratch"]:
            return self._refuse("no scratch memory, or too little")
        if self.engine.runtime.fails("execute_async_v3"):
            return False
        found = self.machine.stream(stream)
        capturing = found.captured is not None
        if capturing and not self.settled:
            raise RuleBroken("TensorRT has to run once after a change of shape before a capture")
        if capturing and self.engine.runtime.failures.uncapturable:
            found.invalid = True
            return self._refuse("Cuda Runtime (operation not permitted when stream is capturing)")
        self.settled = True
        with self.machine.turn:
            self.machine.put(stream, self._work())
        return True

    def _work(self) -> Work:
        inputs = {n: self._range(n) for n, _, _ in self.engine.document["inputs"]}
        outputs = {n: self._range(n) for n, _, _ in self.engine.document["outputs"]}
        shapes = {name: self.get_tensor_shape(name) for name in self.engine.tensors}
        scratch = self.scratch
        assert scratch is not None

        def run() -> None:
            view = self.machine.view
            view(*scratch)[:] = 0xEE  # nobody may count on what lay there
            feeds = {
                name: view(*where).view(self.engine.tensors[name][0]).reshape(shapes[name]).copy()
                for name, where in inputs.items()
            }
            results = self.engine.session.run(list(outputs), feeds)
            for (name, where), result in zip(outputs.items(), results, strict=True):
                if list(result.shape) != shapes[name]:
                    raise RuleBroken(f"{name} came out as {result.shape}, not {shapes[name]}")
                view(*where)[:] = np.ascontiguousarray(result).view(np.uint8).reshape(-1)

        name = Path(self.engine.document["onnx"]).stem
        return Work(name, list(inputs.values()), [*outputs.values(), scratch], run)

    def _range(self, name: str) -> tuple[int, int]:
        itemsize = np.dtype(self.engine.tensors[name][0]).itemsize
        return self.addresses[name], itemsize * int(np.prod(self.get_tensor_shape(name)))


class Context(_Context):
    def set_device_memory(self, address: int, nbytes: int) -> None:
        self.scratch = (address, nbytes)


class OldContext(_Context):
    @property
    def device_memory(self) -> int:
        return self.scratch[0] if self.scratch else 0

    @device_memory.setter
    def device_memory(self, address: int) -> None:
        self.scratch = (address, self.engine.document["scratch"])


def base(axis: str) -> str:
    return axis.removeprefix("latent_").split("_")[0]


def part(axis: str) -> int:
    factor = 8 if axis.startswith("latent_") else 1
    digits = axis.removeprefix("latent_").partition("_")[2]
    return factor * int(digits or 1)


def dimension(axis: int | str, bound: dict[str, int], missing: int = -1) -> int:
    if isinstance(axis, int):
        return axis
    return bound[base(axis)] // part(axis) if base(axis) in bound else missing
