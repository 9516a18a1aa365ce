"""CUDA through cuda-python's driver API: each call checked, each error one line of ours.

Only the driver library is needed, which comes with the GPU's driver, and NVRTC for our own small
kernels. Handles are plain ints, so that nothing above this file knows the bindings' classes.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Any

from aliaug_edge.engines.cuda_errors import (
    BindingError,
    GpuError,
    GpuLostError,
    GpuMemoryError,
    KernelError,
    error_of,
)
from aliaug_edge.engines.cuda_python import find_bindings
from aliaug_edge.engines.gpu import probe_gpus
from aliaug_edge.engines.packages import nvrtc_install

MIB = 2**20
_THREADS = 256


class Cuda:
    """One GPU, held from entering to leaving. A context manager; not to be entered twice.

    `bindings` are the driver and NVRTC modules of cuda-python; found here when left out.

    Raises:
        MissingDependencyError: cuda-python is not installed. GpuError: no driver or no GPU.
    """

    def __init__(self, bindings: tuple[Any, Any] | None = None, ordinal: int = 0) -> None:
        self._driver, self._nvrtc = bindings or find_bindings()
        self._ordinal = ordinal
        self._device: Any = None
        self._context: Any = None
        self._lost = ""

    @property
    def lost(self) -> bool:
        """Whether an error has ended this process's hold on the GPU; every call fails from then
        on."""
        return bool(self._lost)

    def __enter__(self) -> Cuda:
        self._call(self._driver.cuInit, 0)
        self._device = self._call(self._driver.cuDeviceGet, self._ordinal)
        # The primary context is the one that TensorRT works in.
        self._context = self._call(self._driver.cuDevicePrimaryCtxRetain, self._device)
        self.activate()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._context = None
        self._release(self._driver.cuDevicePrimaryCtxRelease, self._device)

    def activate(self) -> None:
        """Make this GPU the calling thread's; every thread has to, before anything else."""
        self._call(self._driver.cuCtxSetCurrent, self._context)

    def compute_capability(self) -> tuple[int, int]:
        """(8, 7) and the like."""
        kinds = self._driver.CUdevice_attribute
        ask = self._driver.cuDeviceGetAttribute
        major = self._call(ask, kinds.CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR, self._device)
        minor = self._call(ask, kinds.CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR, self._device)
        return int(major), int(minor)

    def memory_info(self) -> tuple[int, int]:
        """(free, total) bytes of device memory."""
        free, total = self._call(self._driver.cuMemGetInfo)
        return int(free), int(total)

    def allocate(self, nbytes: int, what: str) -> int:
        """The address of new device memory. `what` goes into the message when there is none.

        Raises:
            GpuMemoryError: not enough memory.
        """
        try:
            return int(self._call(self._driver.cuMemAlloc, nbytes))
        except GpuMemoryError:
            free, total = self.memory_info()
            raise GpuMemoryError(
                f"out of GPU memory: {what} needs {_mib(nbytes)}, {_mib(free)} of {_mib(total)} "
                "are free; lower the batch or the size, or close other programs that use the GPU"
            ) from None

    def free(self, address: int) -> None:
        self._release(self._driver.cuMemFree, address)

    def allocate_pinned(self, nbytes: int, what: str) -> int:
        """The address of new page-locked host memory, which copies need to run beside computing.

        Raises:
            GpuMemoryError: not enough memory.
        """
        try:
            return int(self._call(self._driver.cuMemHostAlloc, nbytes, 0))
        except GpuMemoryError:
            raise GpuMemoryError(
                f"out of page-locked host memory: {what} needs {_mib(nbytes)}; lower the batch"
            ) from None

    def free_pinned(self, address: int) -> None:
        self._release(self._driver.cuMemFreeHost, address)

    def to_device(self, target: int, source: int, nbytes: int, stream: int) -> None:
        self._call(self._driver.cuMemcpyHtoDAsync, target, source, nbytes, stream)

    def to_host(self, target: int, source: int, nbytes: int, stream: int) -> None:
        self._call(self._driver.cuMemcpyDtoHAsync, target, source, nbytes, stream)

    def on_device(self, target: int, source: int, nbytes: int, stream: int) -> None:
        self._call(self._driver.cuMemcpyDtoDAsync, target, source, nbytes, stream)

    def clear(self, target: int, nbytes: int, stream: int) -> None:
        """Set device memory to zero."""
        self._call(self._driver.cuMemsetD8Async, target, 0, nbytes, stream)

    def new_stream(self) -> int:
        kinds = self._driver.CUstream_flags
        return int(self._call(self._driver.cuStreamCreate, int(kinds.CU_STREAM_NON_BLOCKING)))

    def drop_stream(self, stream: int) -> None:
        self._release(self._driver.cuStreamDestroy, stream)

    def synchronize(self, stream: int) -> None:
        """Wait until all work on `stream` is done; errors of that work come out here."""
        self._call(self._driver.cuStreamSynchronize, stream)

    def new_event(self, *, timing: bool = False) -> int:
        kinds = self._driver.CUevent_flags
        flag = kinds.CU_EVENT_DEFAULT if timing else kinds.CU_EVENT_DISABLE_TIMING
        return int(self._call(self._driver.cuEventCreate, int(flag)))

    def drop_event(self, event: int) -> None:
        self._release(self._driver.cuEventDestroy, event)

    def record(self, event: int, stream: int) -> None:
        self._call(self._driver.cuEventRecord, event, stream)

    def wait(self, stream: int, event: int) -> None:
        """What is put on `stream` from here on begins when `event` has passed."""
        self._call(self._driver.cuStreamWaitEvent, stream, event, 0)

    def wait_on_host(self, event: int) -> None:
        self._call(self._driver.cuEventSynchronize, event)

    def elapsed_ms(self, start: int, end: int) -> float:
        return float(self._call(self._driver.cuEventElapsedTime, start, end))

    def capture(self, stream: int, work: Callable[[], None]) -> int:
        """What `work` puts on `stream`, as a graph that is ready to launch; it is not run now.

        Raises:
            GpuError: something in `work` cannot be captured.
        """
        mode = self._driver.CUstreamCaptureMode.CU_STREAM_CAPTURE_MODE_THREAD_LOCAL
        self._call(self._driver.cuStreamBeginCapture, stream, mode)
        try:
            work()
        except BaseException:  # a capture that is left open would poison the stream
            code, *rest = self._driver.cuStreamEndCapture(stream)
            if not int(code) and rest and int(rest[0]):
                self._release(self._driver.cuGraphDestroy, rest[0])
            raise
        graph = self._call(self._driver.cuStreamEndCapture, stream)
        try:
            return int(self._call(self._driver.cuGraphInstantiate, graph, 0))
        finally:
            self._release(self._driver.cuGraphDestroy, graph)

    def launch_graph(self, graph: int, stream: int) -> None:
        self._call(self._driver.cuGraphLaunch, graph, stream)

    def drop_graph(self, graph: int) -> None:
        self._release(self._driver.cuGraphExecDestroy, graph)

    def load_module(self, image: bytes) -> int:
        return int(self._call(self._driver.cuModuleLoadData, image))

    def drop_module(self, module: int) -> None:
        self._release(self._driver.cuModuleUnload, module)

    def function(self, module: int, name: str) -> int:
        return int(self._call(self._driver.cuModuleGetFunction, module, name.encode()))

    def launch(
        self, function: int, blocks: tuple[int, int], arguments: Sequence[Any], stream: int
    ) -> None:
        """Run a kernel of ours on blocks of 256 threads; `arguments` are ctypes values."""
        values = tuple(argument.value for argument in arguments)
        kinds = tuple(type(argument) for argument in arguments)
        grid, block = (*blocks, 1), (_THREADS, 1, 1)
        self._call(
            self._driver.cuLaunchKernel, function, *grid, *block, 0, stream, (values, kinds), 0
        )

    def compile(self, source: str, name: str) -> bytes:
        """Machine code of CUDA C++ `source` for this GPU, by NVRTC.

        Raises:
            KernelError: it does not compile, or NVRTC is not there or does not know this GPU.
        """
        major, minor = self.compute_capability()
        # Fused multiply-add rounds once where numpy rounds twice.
        options = [f"--gpu-architecture=sm_{major}{minor}".encode(), b"--fmad=false"]
        nvrtc = self._nvrtc
        try:
            known = self._call(nvrtc.nvrtcGetSupportedArchs)
        except BindingError as error:
            raise KernelError(
                f"NVRTC cannot be opened ({error.__cause__}); run: {_nvrtc_cure()}"
            ) from error
        if 10 * major + minor not in map(int, known):
            version = ".".join(map(str, self._call(nvrtc.nvrtcVersion)))
            raise KernelError(
                f"NVRTC {version} does not compile for this GPU, SM {major}.{minor} (for SM "
                f"{_shown(min(known))} to {_shown(max(known))}); run: {_nvrtc_cure()}"
            )
        program = self._call(nvrtc.nvrtcCreateProgram, source.encode(), name.encode(), 0, [], [])
        try:
            self._call(nvrtc.nvrtcCompileProgram, program, len(options), options)
            code = bytearray(int(self._call(nvrtc.nvrtcGetCUBINSize, program)))
            image = bytes(code)  # the bindings write into the bytes object itself
            self._call(nvrtc.nvrtcGetCUBIN, program, image)
            return image
        except GpuError as error:
            raise KernelError(f"{name} | {error}: {self._log_of(program)}") from error
        finally:
            nvrtc.nvrtcDestroyProgram(program)

    def _log_of(self, program: Any) -> str:
        log = bytes(int(self._call(self._nvrtc.nvrtcGetProgramLogSize, program)))
        self._call(self._nvrtc.nvrtcGetProgramLog, program, log)
        return " ".join(log.decode(errors="replace").strip("\0").split())

    def _call(self, function: Callable[..., Any], *arguments: Any) -> Any:
        """The results of a binding; its first one is the status, raised when it is an error."""
        if self._lost:  # as a driver does it: the other threads must not go on with what is cut off
            raise GpuLostError(self._lost)
        try:
            code, *results = function(*arguments)
        except RuntimeError as error:  # cuda-python's own, where a library lacks the function
            raise BindingError(
                f"cuda-python does not find {function.__name__} here ({error}): it is newer than "
                "the NVIDIA driver, or damaged; run: ali-aug doctor"
            ) from error
        if int(code):
            raise self._error(function.__name__, code)
        return results[0] if len(results) == 1 else tuple(results)

    def _release(self, function: Callable[..., Any], *arguments: Any) -> None:
        """A call that gives something back. Of a GPU that is lost there is nothing to give back."""
        if not self.lost:
            self._call(function, *arguments)

    def _error(self, function: str, code: Any) -> GpuError:
        error = error_of(function, str(getattr(code, "name", code)))
        if isinstance(error, GpuLostError):
            self._lost = self._lost or str(error)
        return error


def pointer(address: int) -> ctypes.c_void_p:
    """A device address as an argument of a kernel."""
    return ctypes.c_void_p(address)


def whole(value: int) -> ctypes.c_int:
    """An int as an argument of a kernel."""
    return ctypes.c_int(value)


def _shown(architecture: int) -> str:
    """ "9.0" of 90."""
    return f"{architecture // 10}.{architecture % 10}"


def _nvrtc_cure() -> str:
    return nvrtc_install(probe_gpus().cuda_version)


def _mib(nbytes: int) -> str:
    return f"{nbytes / MIB:.0f} MiB"
