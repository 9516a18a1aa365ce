"""ONNX Runtime behind the `Engine` protocol: on the CPU, or with its CUDA or TensorRT provider."""

from __future__ import annotations

import contextlib
import importlib
import io
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from aliaug_edge.bundle import GraphSpec
from aliaug_edge.engines.base import require_entered
from aliaug_edge.engines.binding import Bound
from aliaug_edge.engines.gpu import probe_gpus
from aliaug_edge.engines.installed import CUDA_REINSTALL, nvidia_libraries, onnxruntime_fault
from aliaug_edge.engines.origin import first_broken_node
from aliaug_edge.engines.providers import CPU, GPU_PROVIDERS, LIBRARIES, TITLES, gpu_providers
from aliaug_edge.engines.shapes import bind_specs, bound_names, free_dimensions, may_agree
from aliaug_edge.engines.threads import thread_count
from aliaug_edge.engines.vouched import keep_vouched, vouch
from aliaug_edge.errors import AliAugError, BundleError, MissingDependencyError
from aliaug_edge.tensors import Arrays, TensorSpec, check_feeds

Provider = Literal["cpu", "cuda", "tensorrt", "auto"]

_DTYPES = {
    "tensor(float)": "float32",
    "tensor(float16)": "float16",
    "tensor(double)": "float64",
    "tensor(int64)": "int64",
    "tensor(int32)": "int32",
    "tensor(uint8)": "uint8",
    "tensor(bool)": "bool",
}


class OnnxRuntimeEngine:
    """One ONNX graph of a bundle in an ONNX Runtime session, which lives as long as the `with`.

    `provider` "cuda" and "tensorrt" insist; "auto" takes CUDA where it works, else the CPU, and
    prints why on stderr, with `beside` after it. `size_hw` (pixels) and `batch` fix the free
    dimensions, so that the graph is optimised for static shapes and other feeds are refused;
    without them they stay free. `threads` is for the CPU; see `thread_count`.

    On a GPU inputs and outputs are bound to the device, and a run of fixed size is a CUDA graph
    where `cuda_graph` allows it and ONNX Runtime can capture it, which it does at the first run.
    `cache_dir` keeps what the TensorRT provider builds; `fp16` lets that provider use the halves
    that the graph holds.

    Raises:
        MissingDependencyError: ONNX Runtime is not installed.
        AliAugError: its installation is damaged, or a GPU was asked for and is not there.
    """

    def __init__(
        self,
        graph_path: Path,
        spec: GraphSpec,
        *,
        provider: Provider = "auto",
        threads: int | None = None,
        size_hw: tuple[int, int] | None = None,
        batch: int | None = None,
        cuda_graph: bool = True,
        cache_dir: Path | None = None,
        fp16: bool = False,
        beside: str = "",
    ) -> None:
        self._runtime = _import_onnxruntime()
        self._graph_path = graph_path
        self._spec = spec
        self._asked = provider
        self._threads = thread_count(threads)
        self._dimensions = free_dimensions(size_hw, batch)
        self._inputs = bind_specs(spec.inputs, self._dimensions)
        self._outputs = bind_specs(spec.outputs, self._dimensions)
        self._wanted = "tensorrt" if provider == "tensorrt" else "cuda"
        self._cuda_graph = cuda_graph and size_hw is not None and batch is not None
        self._cache_dir = cache_dir if self._wanted == "tensorrt" else None
        self._fp16 = fp16
        self._beside = beside
        self._no_gpu = (
            "the CPU was asked for" if provider == "cpu" else _no_gpu(self._runtime, self._wanted)
        )
        self._device = "cpu" if self._no_gpu else self._wanted
        if provider in ("cuda", "tensorrt") and self._no_gpu:
            raise _gpu_error(self._wanted, self._no_gpu)
        self._session: Any = None
        self._bound: Bound | None = None
        self._captured = False
        self.uncaptured = (
            ""  # why a GPU's runs are not replayed as a CUDA graph, where one was asked for
        )

    @property
    def name(self) -> str:
        """ "onnxruntime-cpu", "onnxruntime-cuda" or "onnxruntime-tensorrt"."""
        return f"onnxruntime-{self._device}"

    @property
    def made_by(self) -> Mapping[str, str]:
        """Nothing: ONNX Runtime is a Python package."""
        return {}

    @property
    def inputs(self) -> tuple[TensorSpec, ...]:
        return self._inputs

    @property
    def outputs(self) -> tuple[TensorSpec, ...]:
        return self._outputs

    def __enter__(self) -> OnnxRuntimeEngine:
        if self._cache_dir is not None and not keep_vouched(self._cache_dir):
            self._cache_dir = None
        session = self._gpu_session() if self._device != "cpu" else None
        if session is None:
            session = self._cpu_session()
        self._check_session(session)
        self._session = session
        self._vouch()
        self._captured = False
        self._run_options = self._runtime.RunOptions()
        if self._device != "cpu":
            self._bound = Bound(self._runtime, session, "cuda", self._outputs)
        if self._asked == "auto":
            reason = self._no_gpu or "a GPU answers and ONNX Runtime can use it"
            print(f"engine: {self.name} ({reason}{self._beside})", file=sys.stderr)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._session = None
        self._bound = None
        self._vouch()

    def _vouch(self) -> None:
        """For what the TensorRT provider keeps: it builds when the session is made, or at a run."""
        if self._cache_dir is not None and self._cache_dir.is_dir():
            vouch(self._cache_dir)

    def infer(self, feeds: Mapping[str, NDArray[Any]]) -> Arrays:
        """See `Engine.infer`."""
        require_entered(self.name, self._session is not None)
        check_feeds(self.name, self._inputs, feeds)
        with self._failures():
            if self._bound is not None:
                made = self._run_bound(feeds)
                return {name: np.array(value.numpy()) for name, value in made.items()}
            names = [tensor.name for tensor in self._outputs]
            made = self._session.run(names, dict(feeds), self._run_options)
            return dict(zip(names, made, strict=True))

    def culprit(self, feeds: Mapping[str, NDArray[Any]]) -> str:
        """See `Tracing.culprit`; found on the CPU, whatever the provider is."""
        try:
            return first_broken_node(self._runtime, self._graph_path, feeds, self._threads)
        except Exception:  # the runtime's errors, or memory: the output's name is enough then
            return ""

    def abort(self) -> None:
        """Have a run on the CPU that is under way in another thread fail, at its next node."""
        self._run_options.terminate = True

    def run_on_device(self, feeds: Mapping[str, Any]) -> dict[str, Any]:
        """As `infer`, but outputs stay on the device as OrtValues, valid until the next call, and
        `feeds` may be outputs of other engines: so taps go from encoder to decoder as they lie.

        Raises:
            AliAugError: not entered, or the runtime failed; or this engine replays a CUDA graph,
                which reads the addresses that it was captured with and no others.
        """
        require_entered(self.name, self._session is not None)
        if self._bound is not None and self._cuda_graph:
            raise AliAugError(f"{self.name} | tensors on the device need cuda_graph=False")
        if self._bound is None:
            self._bound = Bound(self._runtime, self._session, "cpu", self._outputs)
        with self._failures():
            return self._bound.run(feeds)

    @contextlib.contextmanager
    def _failures(self) -> Iterator[None]:
        try:
            yield
        except Exception as error:  # the runtime's errors have no common class of their own
            raise AliAugError(
                f"{self.name} | {self._graph_path.name} failed while running: {_one_line(error)}"
                f"{_hint(error)}"
            ) from error

    def _cpu_session(self) -> Any:
        try:
            return self._new_session([CPU])
        except Exception as error:
            raise BundleError(
                f"{self.name} | {self._graph_path} cannot be loaded: {_one_line(error)}; "
                "export the bundle again"
            ) from error

    def _gpu_session(self) -> Any:
        """A session on the GPU; None where it does not start and the CPU may take over."""
        name = GPU_PROVIDERS[self._wanted]
        try:
            session = self._captured_session() or self._new_session(self._providers(captured=False))
            if name in session.get_providers():
                return session
            # ONNX Runtime does not raise when a provider's libraries are missing.
            self._no_gpu = (
                f"the {TITLES[self._wanted]} provider did not start; its libraries: "
                f"{LIBRARIES[self._wanted]}"
            )
        except Exception as error:
            self._no_gpu = f"the {TITLES[self._wanted]} provider did not start: {_one_line(error)}"
        if self._asked != "auto":
            raise _gpu_error(self._wanted, self._no_gpu)
        self._device = "cpu"
        return None

    def _captured_session(self) -> Any:
        """A session that replays a CUDA graph; None where it cannot, as when a node of the graph
        has no CUDA kernel: then every run is enqueued kernel by kernel."""
        if not self._cuda_graph:
            return None
        try:
            return self._new_session(self._providers(captured=True))
        except Exception as error:  # the same without a graph says what is wrong, if more is
            self._cuda_graph = False
            self.uncaptured = _one_line(error)
            return None

    def _run_bound(self, feeds: Mapping[str, Any]) -> dict[str, Any]:
        """A run on the GPU; where the first one fails while it is captured, kernel by kernel."""
        assert self._bound is not None
        if self._cuda_graph and not self._captured:
            try:
                made = self._bound.run(feeds)
            except Exception as error:  # the same without a graph says what is wrong, if more is
                self._cuda_graph, self.uncaptured = False, _one_line(error)
            else:
                self._captured = True
                return made
            self._session = self._bound = None  # what they hold is needed by those that follow
            self._session = self._new_session(self._providers(captured=False))
            self._bound = Bound(self._runtime, self._session, "cuda", self._outputs)
        return self._bound.run(feeds)

    def _providers(self, *, captured: bool) -> list[Any]:
        return gpu_providers(self._wanted, self._cache_dir, fp16=self._fp16, captured=captured)

    def _new_session(self, providers: list[Any]) -> Any:
        """Without the runtime's own fallback, which prints on stdout and changes device mid-run."""
        return self._runtime.InferenceSession(
            str(self._graph_path), self._session_options(), providers=providers, enable_fallback=0
        )

    def _session_options(self) -> Any:
        options = self._runtime.SessionOptions()
        options.graph_optimization_level = self._runtime.GraphOptimizationLevel.ORT_ENABLE_ALL
        options.intra_op_num_threads = self._threads
        options.use_deterministic_compute = True
        options.log_severity_level = 4  # what the user must know comes as an exception
        # Idle threads that spin take the core that the next image is decoded or encoded on.
        # Measured (benchmarks/session_settings.py; 2 EPYC cores, 2 threads, median of 12 rounds):
        # alone 12.6 ms spinning, 13.2 without; beside a thread that writes PNGs 17.7 and 16.3.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        for name, value in bound_names(self._spec.inputs, self._dimensions).items():
            options.add_free_dimension_override_by_name(name, value)
        return options

    def _check_session(self, session: Any) -> None:
        sides = (
            ("input", self._spec.inputs, session.get_inputs()),
            ("output", self._spec.outputs, session.get_outputs()),
        )
        for side, declared, found in sides:
            want = {tensor.name: tensor.dtype for tensor in declared}
            have = {tensor.name: _DTYPES.get(tensor.type, tensor.type) for tensor in found}
            if want != have:
                raise BundleError(
                    f"{self.name} | {self._graph_path} is not the graph that bundle.json "
                    f"describes: expected {side}s {want}, the file has {have}; "
                    "export the bundle again"
                )
        shapes = {tensor.name: tensor.shape for tensor in session.get_inputs()}
        for tensor in self._inputs:
            if not may_agree(tensor.shape, shapes[tensor.name]):
                raise BundleError(
                    f"{self.name} | {self._graph_path} is not the graph that bundle.json "
                    f"describes: expected input {tensor.name} of shape {list(tensor.shape)}, the "
                    f"file has {shapes[tensor.name]}; export the bundle again"
                )


def _import_onnxruntime() -> Any:
    fault = onnxruntime_fault()
    if fault is not None:
        raise MissingDependencyError(f"{fault.reason}; run: {fault.fix}")
    try:
        return importlib.import_module("onnxruntime")
    except ImportError as error:
        raise MissingDependencyError(
            f"onnxruntime cannot be imported ({_one_line(error)}); run: ali-aug doctor"
        ) from error


def _no_gpu(runtime: Any, wanted: str) -> str | None:
    """Why a GPU provider cannot be used, as far as can be known before a session exists."""
    problem = probe_gpus().problem
    if problem is None and hasattr(runtime, "preload_dlls"):
        _load_libraries(runtime)  # first: a provider that is a plugin is listed once it has them
    if GPU_PROVIDERS[wanted] not in runtime.get_available_providers():
        return f"the installed onnxruntime has no {TITLES[wanted]} provider"
    return problem


def _load_libraries(runtime: Any) -> None:
    """CUDA's and cuDNN's, as pip brought them. The runtime finds those beside its own package; what
    other site folders hold is named to it folder by folder, each of which has only some."""
    with contextlib.redirect_stdout(io.StringIO()):
        for folder in nvidia_libraries():
            runtime.preload_dlls(directory=str(folder))
    with contextlib.redirect_stdout(sys.stderr):  # it reports by print what is still missing
        runtime.preload_dlls()


def _gpu_error(wanted: str, reason: str) -> AliAugError:
    return AliAugError(
        f"onnxruntime-{wanted} | cannot be used: {reason}; choose onnxruntime-cpu, or on a machine "
        f"with an NVIDIA GPU run: {CUDA_REINSTALL}"
    )


def _hint(error: BaseException) -> str:
    """What to lower, where the runtime says that memory ran out."""
    said = str(error).lower()
    short = any(words in said for words in ("out of memory", "failed to allocate", "bad_alloc"))
    return "; out of memory: lower the batch or the size" if short else ""


def _one_line(error: BaseException) -> str:
    return " ".join(str(error).split()) or type(error).__name__
