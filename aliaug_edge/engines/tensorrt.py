"""TensorRT behind the `Engine` protocol: plans that were checked before, run on one GPU."""

from __future__ import annotations

import contextlib
import hashlib
import importlib
import sys
import threading
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from aliaug_edge.bundle import GraphSpec
from aliaug_edge.engines.base import require_entered
from aliaug_edge.engines.broken import first_broken
from aliaug_edge.engines.buffers import Memory, PinnedBlock, layout_of
from aliaug_edge.engines.chain import (
    PAINTED,
    Chain,
    Step,
    make_chain,
    outer_inputs,
    paints,
    steps_of,
)
from aliaug_edge.engines.cuda import Cuda
from aliaug_edge.engines.cuda_errors import KernelError
from aliaug_edge.engines.graph import Graphs
from aliaug_edge.engines.kernels import Kernels, Sizes
from aliaug_edge.engines.lost import lost_gpu_first
from aliaug_edge.engines.packages import tensorrt_install
from aliaug_edge.engines.plugins import register_plugins
from aliaug_edge.engines.shapes import bind_specs, free_dimensions
from aliaug_edge.engines.stage import (
    Plan,
    Shape,
    Stage,
    TensorRtError,
    load_stage,
    shared_log,
)
from aliaug_edge.engines.tensorrt_package import MODULES, import_problem, start_problem
from aliaug_edge.errors import AliAugError, BundleError, MissingDependencyError
from aliaug_edge.tensors import Arrays, TensorSpec, check_feeds

NAME = "tensorrt"
SHAPES = 4  # kept ready at once; each has its tensors on the device

Plans = Sequence[tuple[str, Callable[[], Plan]]]


@dataclass(frozen=True)
class Ready:
    """The chain at one shape, with the memory that is its own."""

    chain: Chain
    memory: Memory
    given: PinnedBlock
    made: PinnedBlock
    sizes: Sizes


class TensorRtEngine:
    """A graph of a bundle as one TensorRT plan, or as several that feed each other on the device.

    `plans` are (stage, read) in the order in which they run: "generator" alone, or "encoder",
    "unet", "decoder"; `read` gives a plan, its bytes checked first, since deserialising runs
    code. `size_hw` and `batch` fix the free dimensions, as in `OnnxRuntimeEngine`; without
    them every shape that the plans were built for can be fed. `cuda_graph` False enqueues call by
    call; `chosen` is the reason to print when entered. `trt` and `bindings` are the runtime's and
    cuda-python's modules, found when left out.

    A context manager. `infer` takes and gives host arrays; `PastePipeline` works in uint8. Both
    hold `turn` while they put work on the stream, which captures may not share.

    Raises:
        MissingDependencyError: TensorRT or cuda-python is not installed.
        GpuError: no driver or no GPU; when entered, a KernelError where our kernels cannot be
            compiled and a stage needs them.
    """

    def __init__(
        self,
        spec: GraphSpec,
        plans: Plans,
        *,
        size_hw: tuple[int, int] | None = None,
        batch: int | None = None,
        cuda_graph: bool = True,
        chosen: str = "",
        trt: Any = None,
        bindings: tuple[Any, Any] | None = None,
    ) -> None:
        dimensions = free_dimensions(size_hw, batch)
        self._inputs = bind_specs(spec.inputs, dimensions)
        self._outputs = bind_specs(spec.outputs, dimensions)
        self._plans = tuple(plans)
        self._cuda_graph = cuda_graph
        self._chosen = chosen
        self.cuda = Cuda(bindings)  # asks the driver first: TensorRT without one is a crash
        self.trt = trt or import_runtime()
        self.turn = threading.Lock()
        self._stack = contextlib.ExitStack()
        self._log = shared_log(self.trt)
        self._digest = hashlib.sha256()  # of the plans in use
        self._steps: tuple[Step, ...] = ()
        self._ready: OrderedDict[tuple[Shape, ...], Ready] = OrderedDict()

    @property
    def name(self) -> str:
        """ "tensorrt"."""
        return NAME

    @property
    def made_by(self) -> Mapping[str, str]:
        """TensorRT's version, which pip does not know where apt installed it, and the plans' hash:
        a plan that was built again may compute with other kernels."""
        return {"TensorRT": self.trt.__version__, "plans": self._digest.hexdigest()}

    @property
    def inputs(self) -> tuple[TensorSpec, ...]:
        return self._inputs

    @property
    def outputs(self) -> tuple[TensorSpec, ...]:
        return self._outputs

    def __enter__(self) -> TensorRtEngine:
        with contextlib.ExitStack() as stack:  # leaves nothing behind when a step below fails
            stack.enter_context(self.cuda)
            self.stream = self.cuda.new_stream()
            stack.callback(self.cuda.drop_stream, self.stream)
            self.memory = stack.enter_context(Memory(self.cuda))
            with lost_gpu_first(self.cuda, self.stream):
                self._steps = steps_of(self._load_stages())
            stack.callback(self._drop_stages)
            self._check_specs()
            self._scratch = self._new_scratch()
            self._kernels: Kernels | None = None
            self._open = stack.enter_context(contextlib.ExitStack())
            self._require_kernels()
            stack.callback(self._drop_shapes)
            self.graphs = stack.enter_context(Graphs(self.cuda, enabled=self._cuda_graph))
            stack.callback(self._settle)
            self._stack = stack.pop_all()
        if self._chosen:
            print(f"engine: {self.name} ({self._chosen})", file=sys.stderr)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stack.close()

    def has_plans_of(self, other: TensorRtEngine) -> bool:
        """Whether this engine can be run in place of `other`, with one copy of the weights. Before
        TensorRT 10 a range of shapes belongs to one execution context, hence to one size."""
        new = hasattr(self.trt, "ExecutionContextAllocationStrategy")
        return new and self._plans == other._plans

    def infer(self, feeds: Mapping[str, NDArray[Any]]) -> Arrays:
        """See `Engine.infer`."""
        require_entered(self.name, bool(self._steps))
        check_feeds(self.name, self._inputs, feeds)
        with self.turn:
            return self._infer(feeds)

    def _infer(self, feeds: Mapping[str, NDArray[Any]]) -> Arrays:
        self.cuda.activate()
        ready = self.at({name: array.shape for name, array in feeds.items()})
        tensors = ready.chain.tensors
        for name, array in feeds.items():
            ready.given.arrays[name][...] = array
            field = ready.given.layout.fields[name]
            source = ready.given.address + field.offset
            self.cuda.to_device(tensors.at(name), source, field.nbytes, self.stream)
        self.graphs.run(
            ("infer", tensors.address),
            (tensors.address, self._scratch[0]),
            lambda: self.run_chain(ready),
            self.stream,
        )
        for name, field in ready.made.layout.fields.items():
            target = ready.made.address + field.offset
            self.cuda.to_host(target, tensors.at(name), field.nbytes, self.stream)
        self.cuda.synchronize(self.stream)
        return {name: array.copy() for name, array in ready.made.arrays.items()}

    def culprit(self, feeds: Mapping[str, NDArray[Any]]) -> str:
        """See `Tracing.culprit`; between the stages, since TensorRT shows nothing within one."""
        try:
            made = self.infer(feeds)
            finite = [
                np.isfinite(array).all(axis=tuple(range(1, array.ndim))) for array in made.values()
            ]
            item = int(np.argmin(np.all(finite, axis=0)))
            with self.turn:
                self.cuda.activate()
                chain = self.at({name: array.shape for name, array in feeds.items()}).chain
                return first_broken(self.cuda, chain, item, self.stream)
        except AliAugError:
            return ""

    def at(self, shapes: Mapping[str, Shape]) -> Ready:
        """The chain at these shapes of its inputs, made when it is not there.

        Raises:
            TensorRtError: an engine was not built for them. GpuMemoryError: no room for them.
        """
        key = tuple(tuple(shapes[spec.name]) for spec in self._inputs)
        if key not in self._ready:
            if len(self._ready) >= SHAPES:
                self._drop_shape(next(iter(self._ready)))
            self._ready[key] = self.make_ready(shapes)
        self._ready.move_to_end(key)
        return self._ready[key]

    def run_chain(self, ready: Ready, first: int = 0) -> None:
        """Put the chain's steps from `first` on onto the stream, the mask painted where needed."""
        tensors = ready.chain.tensors
        if PAINTED in tensors.layout.fields:
            colour = tensors.at("colour")
            target = tensors.at(PAINTED)
            self.kernels().paint(tensors.at("mask"), colour, target, ready.sizes, self.stream)
        with lost_gpu_first(self.cuda, self.stream):
            ready.chain.enqueue(self.stream, first)

    def kernels(self) -> Kernels:
        """Our own kernels, compiled when first asked for."""
        if self._kernels is None:
            self._kernels = self._open.enter_context(Kernels(self.cuda))
        return self._kernels

    def _load_stages(self) -> list[Stage]:
        register_plugins(self.trt, self._log.logger)
        try:
            runtime = self.trt.Runtime(self._log.logger)
        except TypeError as error:
            raise TensorRtError(start_problem(self.trt.__version__, self._log.take())) from error
        self._digest = hashlib.sha256()
        stages = []
        for name, read in self._plans:
            plan = read()
            self._digest.update(plan.data)
            stages.append(load_stage(self.trt, runtime, name, plan, self._log))
        return stages

    def _check_specs(self) -> None:
        """Whether the plans together are the graph that bundle.json describes."""
        wanted = {spec.name: spec.dtype for spec in self._inputs}
        found = {spec.name: spec.dtype for spec in outer_inputs(self._steps)}
        unused = {name: kind for name, kind in wanted.items() if name not in found}
        made = {s.name: s.dtype for step in self._steps for s in step.stage.outputs}
        missing = [s.name for s in self._outputs if made.get(s.name) != s.dtype]
        if {**unused, **found} != wanted or missing:
            raise BundleError(
                f"{self.name} | the engines are not the graph that bundle.json describes: expected "
                f"inputs {wanted}, they have {found}; run: ali-aug build"
            )

    def _require_kernels(self) -> None:
        """Compile them now where the chain cannot run without: `auto` then takes another engine,
        and no run ends at its first sample."""
        if not paints(self._steps):
            return
        try:
            self.kernels()
        except KernelError as error:
            raise KernelError(
                f"{self.name} | this bundle's encoder sees the mask painted, which needs our own "
                f"kernels: {error}"
            ) from error

    def _new_scratch(self) -> tuple[int, int]:
        """One piece for all stages: they never run at the same time."""
        nbytes = max(step.stage.scratch_bytes for step in self._steps)
        return self.memory.device(nbytes, "scratch"), nbytes

    def make_ready(self, shapes: Mapping[str, Shape]) -> Ready:
        """A chain of the caller's own at these shapes; leaving its `memory` frees it.

        Raises:
            TensorRtError: an engine was not built for them. GpuMemoryError: no room for them.
        """
        with contextlib.ExitStack() as stack:
            memory = stack.enter_context(Memory(self.cuda))
            stack.enter_context(lost_gpu_first(self.cuda, self.stream))
            given = [TensorSpec(s.name, s.dtype, shapes[s.name]) for s in self._inputs]
            chain = make_chain(self.trt, memory, self._steps, given, self._scratch, self.stream)
            fields = chain.tensors.layout.fields
            made = [TensorSpec(s.name, s.dtype, fields[s.name].shape) for s in self._outputs]
            first = next((shapes[n] for n in ("image", "mask") if n in shapes), (1, 1, 1, 1))
            ready = Ready(
                chain,
                memory,
                memory.pinned(layout_of(given), "inputs"),
                memory.pinned(layout_of(made), "outputs"),
                Sizes(first[0], first[2], first[3]),
            )
            stack.pop_all()
        return ready

    def _drop_shape(self, key: tuple[Shape, ...]) -> None:
        ready = self._ready.pop(key)
        self.graphs.forget(("infer", ready.chain.tensors.address), self.stream)
        self.cuda.synchronize(self.stream)
        ready.memory.__exit__(None, None, None)

    def _drop_shapes(self) -> None:
        while self._ready:
            self._ready.popitem()[1].memory.__exit__(None, None, None)

    def _drop_stages(self) -> None:
        self._steps = ()  # the engines go with the last reference to them

    def _settle(self) -> None:
        """Nothing is freed under work that still runs."""
        if not self.cuda.lost:
            self.cuda.activate()
            self.cuda.synchronize(self.stream)


def import_runtime() -> Any:
    """The TensorRT module that is installed here, the lean runtime where that is all there is.

    Raises:
        MissingDependencyError: none is, or it cannot be imported.
    """
    problem, install = "", tensorrt_install()
    for package in MODULES:
        try:
            module = importlib.import_module(package)
        except ModuleNotFoundError as error:
            if error.name != package:
                problem = problem or import_problem(error)
        except ImportError as error:
            problem = problem or import_problem(error)
        else:
            if hasattr(module, "Runtime"):
                return module
            problem = problem or f"{package} is a stub without a runtime; run: {install}"
    raise MissingDependencyError(problem or f"TensorRT is not installed; run: {install}")
