"""ONNX Runtime behind the `Engine` protocol, on the CPU or with the CUDA provider."""

from __future__ import annotations

import contextlib
import importlib
import sys
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Literal

from numpy.typing import NDArray

from aliaug_edge.bundle import GraphSpec
from aliaug_edge.engines.base import require_entered
from aliaug_edge.engines.gpu import probe_gpus
from aliaug_edge.engines.installed import CUDA_LIBRARIES, CUDA_REINSTALL, onnxruntime_fault
from aliaug_edge.engines.shapes import bind_specs, bound_names, free_dimensions
from aliaug_edge.engines.threads import thread_count
from aliaug_edge.errors import AliAugError, BundleError, MissingDependencyError
from aliaug_edge.tensors import Arrays, TensorSpec, check_feeds

Provider = Literal["cpu", "cuda", "auto"]

_CUDA = "CUDAExecutionProvider"
_CPU = "CPUExecutionProvider"
# Precision is a property of the graph: TF32 would round FP32 graphs to 10 bits behind our back.
# Exhaustive search may pick another convolution each time, and with it other bytes.
_CUDA_OPTIONS = {"use_tf32": "0", "cudnn_conv_algo_search": "HEURISTIC"}
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

    `provider` "cuda" insists; "auto" takes CUDA where it works, else the CPU, and prints why on
    stderr. `size_hw` (pixels) and `batch` fix the free dimensions, so that the graph is optimised
    for static shapes and other feeds are refused; without them they stay free. `threads` is for the
    CPU; see `thread_count`.

    Raises:
        MissingDependencyError: ONNX Runtime is not installed.
        AliAugError: its installation is damaged, or CUDA was asked for and is not there.
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
    ) -> None:
        self._runtime = _import_onnxruntime()
        self._graph_path = graph_path
        self._spec = spec
        self._asked = provider
        self._threads = thread_count(threads)
        self._dimensions = free_dimensions(size_hw, batch)
        self._inputs = bind_specs(spec.inputs, self._dimensions)
        self._outputs = bind_specs(spec.outputs, self._dimensions)
        self._no_cuda = "the CPU was asked for" if provider == "cpu" else _no_cuda(self._runtime)
        self._device = "cpu" if self._no_cuda else "cuda"
        if provider == "cuda" and self._no_cuda:
            raise _cuda_error(self._no_cuda)
        self._session: Any = None

    @property
    def name(self) -> str:
        """ "onnxruntime-cpu" or "onnxruntime-cuda"."""
        return f"onnxruntime-{self._device}"

    @property
    def inputs(self) -> tuple[TensorSpec, ...]:
        return self._inputs

    @property
    def outputs(self) -> tuple[TensorSpec, ...]:
        return self._outputs

    def __enter__(self) -> OnnxRuntimeEngine:
        session = self._cuda_session() if self._device == "cuda" else None
        if session is None:
            session = self._cpu_session()
        self._check_session(session)
        self._session = session
        if self._asked == "auto":
            reason = self._no_cuda or "a GPU answers and ONNX Runtime can use it"
            print(f"engine: {self.name} ({reason})", file=sys.stderr)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._session = None

    def infer(self, feeds: Mapping[str, NDArray[Any]]) -> Arrays:
        """See `Engine.infer`."""
        require_entered(self.name, self._session is not None)
        check_feeds(self.name, self._inputs, feeds)
        names = [tensor.name for tensor in self._outputs]
        try:
            return dict(zip(names, self._session.run(names, dict(feeds)), strict=True))
        except Exception as error:  # the runtime's errors have no common class of their own
            raise AliAugError(
                f"{self.name} | {self._graph_path.name} failed while running: {_one_line(error)}"
            ) from error

    def _cpu_session(self) -> Any:
        try:
            return self._new_session([_CPU])
        except Exception as error:
            raise BundleError(
                f"{self.name} | {self._graph_path} cannot be loaded: {_one_line(error)}; "
                "export the bundle again"
            ) from error

    def _cuda_session(self) -> Any:
        """A session on CUDA; None where CUDA does not start and the CPU may take over."""
        try:
            session = self._new_session([(_CUDA, _CUDA_OPTIONS), _CPU])
            if _CUDA in session.get_providers():
                return session
            # ONNX Runtime does not raise when a provider's libraries are missing.
            self._no_cuda = f"the CUDA provider did not start; its libraries: {CUDA_LIBRARIES}"
        except Exception as error:
            self._no_cuda = f"the CUDA provider did not start: {_one_line(error)}"
        if self._asked == "cuda":
            raise _cuda_error(self._no_cuda)
        self._device = "cpu"
        return None

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


def _no_cuda(runtime: Any) -> str | None:
    """Why CUDA cannot be used, as far as can be known before a session exists."""
    if _CUDA not in runtime.get_available_providers():
        return "the installed onnxruntime has no CUDA provider"
    problem = probe_gpus().problem
    if problem is None and hasattr(runtime, "preload_dlls"):
        with contextlib.redirect_stdout(sys.stderr):  # it reports by print
            runtime.preload_dlls()
    return problem


def _cuda_error(reason: str) -> AliAugError:
    return AliAugError(
        f"onnxruntime-cuda | cannot be used: {reason}; choose onnxruntime-cpu, or on a machine "
        f"with an NVIDIA GPU run: {CUDA_REINSTALL}"
    )


def _one_line(error: BaseException) -> str:
    return " ".join(str(error).split()) or type(error).__name__
