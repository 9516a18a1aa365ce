"""cuda-python's driver module over a `Machine`: real names, real status tuples."""

from __future__ import annotations

import ctypes
import threading
from typing import Any

from support.gpu import compiler
from support.gpu.enums import (
    CUdevice_attribute,
    CUevent_flags,
    CUresult,
    CUstream_flags,
    CUstreamCaptureMode,
)
from support.gpu.failures import Failures
from support.gpu.machine import Machine, RuleBroken, Stream
from support.gpu.works import copy_work, kernel_work, set_work

Status = tuple[Any, ...]

OK = CUresult.CUDA_SUCCESS
# What they give is no int in cuda-python, but an object that can be made one; None with an error.
GIVES_HANDLE = {
    "cuDeviceGet",
    "cuDevicePrimaryCtxRetain",
    "cuMemAlloc",
    "cuStreamCreate",
    "cuEventCreate",
    "cuStreamEndCapture",
    "cuGraphInstantiate",
    "cuModuleLoadData",
    "cuModuleGetFunction",
}


class Handle:
    """CUstream, CUdeviceptr and their like."""

    def __init__(self, value: int) -> None:
        self._value = value

    def __int__(self) -> int:
        return self._value


class FakeDriver:
    """`cuda.bindings.driver`. `fail` makes a call answer with an error, `lose` all from then on."""

    CUdevice_attribute = CUdevice_attribute
    CUstream_flags = CUstream_flags
    CUevent_flags = CUevent_flags
    CUstreamCaptureMode = CUstreamCaptureMode
    CUresult = CUresult

    def __init__(self, machine: Machine) -> None:
        self.machine = machine
        self.contexts = 0
        self.modules: dict[int, ctypes.CDLL] = {}
        self.functions: dict[int, compiler.Kernel] = {}
        self.timed: set[int] = set()  # events
        self.failures = Failures()
        self.fail, self.lose = self.failures.fail, self.failures.lose
        self._current = threading.local()

    def leaks(self) -> list[str]:
        return [
            *self.machine.leaks(),
            *(f"module {m}" for m in self.modules),
            *(["primary context"] * self.contexts),
        ]

    def __getattribute__(self, name: str) -> Any:
        value = super().__getattribute__(name)
        if not name.startswith("cu") or not callable(value):
            return value

        def called(*arguments: Any) -> Status:
            with self.machine.turn:
                code = self._verdict(name)
                plain = [int(a) if isinstance(a, Handle) else a for a in arguments]
                code, *given = (code,) if code else value(*plain)
                if name not in GIVES_HANDLE:
                    return (code, *given)
                return code, None if code else Handle(given[0])

        called.__name__ = name
        return called

    def _verdict(self, name: str) -> CUresult | None:
        wanted = self.failures.verdict(name)
        if wanted is not None:
            return wanted
        free = ("cuInit", "cuDeviceGet", "cuDevicePrimaryCtxRetain", "cuCtxSetCurrent")
        outside = name in (*free, "cuDevicePrimaryCtxRelease", "cuDeviceGetAttribute")
        if not outside and not getattr(self._current, "context", 0):
            return CUresult.CUDA_ERROR_INVALID_CONTEXT
        return None

    # Device and context

    def cuInit(self, flags: int) -> Status:
        return (OK,) if flags == 0 else (CUresult.CUDA_ERROR_INVALID_VALUE,)

    def cuDeviceGet(self, ordinal: int) -> Status:
        return OK, ordinal

    def cuDeviceGetAttribute(self, attribute: CUdevice_attribute, device: int) -> Status:
        del device
        return OK, 8 if attribute == 75 else 7

    def cuDevicePrimaryCtxRetain(self, device: int) -> Status:
        self.contexts += 1
        return OK, 77 + device

    def cuDevicePrimaryCtxRelease(self, device: int) -> Status:
        del device
        self.contexts -= 1
        if self.contexts < 0:
            raise RuleBroken("the primary context is released more often than retained")
        return (OK,)

    def cuCtxSetCurrent(self, context: int) -> Status:
        if context != 77:
            raise RuleBroken(f"no context {context!r}")
        self._current.context = context
        return (OK,)

    # Memory

    def cuMemGetInfo(self) -> Status:
        return OK, self.machine.total - self.machine.used(), self.machine.total

    def cuMemAlloc(self, nbytes: int) -> Status:
        if self._refuses_in_capture():
            return (CUresult.CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED,)
        if nbytes <= 0:
            return (CUresult.CUDA_ERROR_INVALID_VALUE,)
        if self.machine.used() + nbytes > self.machine.total:
            return (CUresult.CUDA_ERROR_OUT_OF_MEMORY,)
        return OK, self.machine.allocate(nbytes, pinned=False)

    def cuMemFree(self, address: int) -> Status:
        if self._refuses_in_capture():
            return (CUresult.CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED,)
        self.machine.release(address, pinned=False)
        return (OK,)

    def cuMemHostAlloc(self, nbytes: int, flags: int) -> Status:
        del flags
        if self._refuses_in_capture():
            return (CUresult.CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED,)
        return OK, self.machine.allocate(nbytes, pinned=True)

    def cuMemFreeHost(self, address: int) -> Status:
        if self._refuses_in_capture():
            return (CUresult.CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED,)
        self.machine.release(address, pinned=True)
        return (OK,)

    def cuMemcpyHtoDAsync(self, target: int, source: int, nbytes: int, stream: int) -> Status:
        return self._copy("copy to device", target, source, nbytes, stream, (False, True))

    def cuMemcpyDtoHAsync(self, target: int, source: int, nbytes: int, stream: int) -> Status:
        return self._copy("copy to host", target, source, nbytes, stream, (True, False))

    def cuMemcpyDtoDAsync(self, target: int, source: int, nbytes: int, stream: int) -> Status:
        return self._copy("copy on device", target, source, nbytes, stream, (False, False))

    def _copy(
        self,
        name: str,
        target: int,
        source: int,
        nbytes: int,
        stream: int,
        pinned: tuple[bool, bool],
    ) -> Status:
        self.machine.put(stream, copy_work(self.machine, name, target, source, nbytes, pinned))
        return (OK,)

    def cuMemsetD8Async(self, target: int, value: int, nbytes: int, stream: int) -> Status:
        self.machine.put(stream, set_work(self.machine, target, value, nbytes))
        return (OK,)

    # Streams and events

    def cuStreamCreate(self, flags: int) -> Status:
        if flags != 1:
            raise RuleBroken("a blocking stream waits for the default stream")
        handle = self.machine.handle()
        self.machine.streams[handle] = Stream()
        return OK, handle

    def cuStreamDestroy(self, stream: int) -> Status:
        self.machine.stream(stream)
        del self.machine.streams[stream]
        return (OK,)

    def cuStreamSynchronize(self, stream: int) -> Status:
        if self._refuses_in_capture():
            return (CUresult.CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED,)
        found = self.machine.stream(stream)
        self.machine.wait_on_host({**found.clock, stream: len(found.queue)})
        self.machine.trace.append("synchronize")
        return (OK,)

    def cuEventCreate(self, flags: int) -> Status:
        handle = self.machine.handle()
        self.machine.events[handle] = {}
        if not flags & CUevent_flags.CU_EVENT_DISABLE_TIMING:
            self.timed.add(handle)
        return OK, handle

    def cuEventDestroy(self, event: int) -> Status:
        del self.machine.events[event]
        return (OK,)

    def cuEventRecord(self, event: int, stream: int) -> Status:
        if event not in self.machine.events:
            raise RuleBroken(f"event {event} does not exist")
        found = self.machine.stream(stream)
        self.machine.events[event] = {**found.clock, **found.waits, stream: len(found.queue)}
        return (OK,)

    def cuStreamWaitEvent(self, stream: int, event: int, flags: int) -> Status:
        del flags
        found = self.machine.stream(stream)
        for other, tick in self.machine.events[event].items():
            if other != stream:
                found.waits[other] = max(found.waits.get(other, 0), tick)
        return (OK,)

    def cuEventSynchronize(self, event: int) -> Status:
        self.machine.wait_on_host(self.machine.events[event])
        return (OK,)

    def cuEventElapsedTime(self, start: int, end: int) -> Status:
        """A millisecond for each piece of work between two events that have passed."""
        marks = [self.machine.events[event] for event in (start, end)]
        if not {start, end} <= self.timed or not all(marks):
            return (CUresult.CUDA_ERROR_INVALID_HANDLE,)
        for mark in marks:
            for stream, tick in mark.items():
                if stream in self.machine.streams and self.machine.streams[stream].done < tick:
                    return (CUresult.CUDA_ERROR_NOT_READY,)
        ticks = [sum(mark.values()) for mark in marks]
        return OK, float(ticks[1] - ticks[0])

    # Graphs

    def cuStreamBeginCapture(self, stream: int, mode: CUstreamCaptureMode) -> Status:
        if mode is not CUstreamCaptureMode.CU_STREAM_CAPTURE_MODE_THREAD_LOCAL:
            raise RuleBroken("a capture that forbids other threads to wait or to allocate")
        found = self.machine.stream(stream)
        if found.captured is not None:
            raise RuleBroken(f"stream {stream} is captured already")
        found.captured, found.invalid = [], False
        found.captor = threading.get_ident()
        return (OK,)

    def cuStreamEndCapture(self, stream: int) -> Status:
        found = self.machine.stream(stream)
        works, found.captured = found.captured, None
        if works is None:
            raise RuleBroken(f"stream {stream} is not captured")
        if found.invalid:
            return CUresult.CUDA_ERROR_STREAM_CAPTURE_INVALIDATED, 0
        handle = self.machine.handle()
        self.machine.graphs[handle] = works
        return OK, handle

    def cuGraphInstantiate(self, graph: int, flags: int) -> Status:
        del flags
        self.machine.trace.append("capture")
        return OK, self.machine.instantiate(graph)

    def cuGraphLaunch(self, executable: int, stream: int) -> Status:
        self.machine.launch(executable, stream)
        return (OK,)

    def cuGraphDestroy(self, graph: int) -> Status:
        del self.machine.graphs[graph]
        return (OK,)

    def cuGraphExecDestroy(self, executable: int) -> Status:
        del self.machine.executables[executable]
        return (OK,)

    # Kernels

    def cuModuleLoadData(self, image: bytes) -> Status:
        if self._refuses_in_capture():
            return (CUresult.CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED,)
        handle = self.machine.handle()
        self.modules[handle] = compiler.load(image)
        return OK, handle

    def cuModuleUnload(self, module: int) -> Status:
        del self.modules[module]
        return (OK,)

    def cuModuleGetFunction(self, module: int, name: bytes) -> Status:
        handle = self.machine.handle()
        self.functions[handle] = compiler.kernel(self.modules[module], name.decode())
        return OK, handle

    def cuLaunchKernel(
        self,
        function: int,
        grid_x: int,
        grid_y: int,
        grid_z: int,
        block_x: int,
        block_y: int,
        block_z: int,
        shared: int,
        stream: int,
        parameters: tuple[tuple[Any, ...], tuple[Any, ...]],
        extra: int,
    ) -> Status:
        if (grid_z, block_y, block_z, shared, extra) != (1, 1, 1, 0, 0):
            raise RuleBroken("our kernels use x and y of the grid, x of the block, no more")
        kernel, grid = self.functions[function], (grid_x, grid_y)
        self.machine.put(stream, kernel_work(self.machine, kernel, grid, block_x, parameters))
        return (OK,)

    def _refuses_in_capture(self) -> bool:
        """CUDA forbids this call while any stream of the thread is captured, and voids those."""
        for stream in self.machine.capturing():
            stream.invalid = True
        return bool(self.machine.capturing())
