"""The state behind the fake driver: memory, streams, events and graphs, and the rules they obey.

Work put on a stream is not run until somebody waits for it (`eager` False), or at once (True): a
missing wait then reads old bytes, or bytes that are not there yet. Beside that every access carries
a vector clock, and two that touch the same bytes without an order between them break a rule.
"""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np

GUARD = 256
PATTERN = 0xA5
Range = tuple[int, int]  # address, bytes


class RuleBroken(AssertionError):
    """What a real GPU would answer with wrong pixels or a crash, now or later."""


@dataclass(eq=False)
class Allocation:
    address: int
    nbytes: int
    memory: np.ndarray  # with a guard on both sides
    pinned: bool
    accesses: list[tuple[int, int, bool, int, int]] = field(default_factory=list)

    @property
    def bytes(self) -> np.ndarray:
        return self.memory[GUARD : GUARD + self.nbytes]

    def check_guards(self) -> None:
        if (self.memory[:GUARD] != PATTERN).any() or (
            self.memory[GUARD + self.nbytes :] != PATTERN
        ).any():
            raise RuleBroken(f"written outside the {self.nbytes} bytes at {self.address:#x}")


@dataclass(frozen=True)
class Work:
    name: str
    reads: Sequence[Range]
    writes: Sequence[Range]
    run: Callable[[], None]


@dataclass
class Queued:
    work: Work
    waits: dict[int, int]


@dataclass
class Stream:
    queue: list[Queued] = field(default_factory=list)
    done: int = 0
    clock: dict[int, int] = field(default_factory=dict)
    waits: dict[int, int] = field(default_factory=dict)
    captured: list[Work] | None = None
    captor: int = 0  # the thread
    invalid: bool = False


class Machine:
    """`total` bytes of device memory. `trace` names what the host asked for, in order, `ran`
    what the device did, with what is inside of graphs."""

    def __init__(self, total: int = 1 << 30, *, eager: bool = False) -> None:
        self.total = total
        self.eager = eager
        self.trace: list[str] = []
        self.ran: list[str] = []
        self.allocations: dict[int, Allocation] = {}
        self.freed: list[Range] = []
        self.streams: dict[int, Stream] = {}
        self.events: dict[int, dict[int, int]] = {}
        self.graphs: dict[int, list[Work]] = {}
        self.executables: dict[int, tuple[list[Work], list[Allocation]]] = {}
        self.host: dict[int, int] = {}
        self.turn = threading.RLock()  # threads share a GPU, and its driver lets one in at a time
        self._handles = itertools.count(1000)
        self._next = 0x7F_0000_0000

    def handle(self) -> int:
        return next(self._handles)

    def used(self) -> int:
        return sum(a.nbytes for a in self.allocations.values() if not a.pinned)

    def allocate(self, nbytes: int, *, pinned: bool) -> int:
        memory = np.full(nbytes + 2 * GUARD, PATTERN, np.uint8)
        if pinned:  # the host really writes here
            address = memory.ctypes.data + GUARD
        else:  # the host must not: an address that nothing lives at
            address, self._next = self._next, self._next + -(-nbytes // 256) * 256 + 4096
        self.allocations[address] = Allocation(address, nbytes, memory, pinned)
        return address

    def release(self, address: int, *, pinned: bool) -> None:
        found = self.allocations.get(address)
        if found is None or found.pinned != pinned:
            raise RuleBroken(f"freed {address:#x}, which is not allocated (or freed before)")
        found.check_guards()
        for start, end, _, stream, tick in found.accesses:
            if self.host.get(stream, 0) < tick:
                raise RuleBroken(f"freed bytes {start}..{end} of {address:#x} while work uses them")
        for graph, (_, used) in self.executables.items():
            if found in used:
                self.trace.append(f"graph {graph} lost {address:#x}")
        del self.allocations[address]

    def find(self, address: int, nbytes: int) -> Allocation:
        for allocation in self.allocations.values():
            if allocation.address <= address < allocation.address + allocation.nbytes:
                if address + nbytes > allocation.address + allocation.nbytes:
                    raise RuleBroken(
                        f"{nbytes} bytes at {address:#x} run past the end of their allocation"
                    )
                return allocation
        raise RuleBroken(f"address {address:#x} is not allocated (or was freed)")

    def view(self, address: int, nbytes: int) -> np.ndarray:
        allocation = self.find(address, nbytes)
        offset = address - allocation.address
        return allocation.bytes[offset : offset + nbytes]

    def rest(self, address: int) -> int:
        """Bytes from `address` to the end of its allocation."""
        allocation = self.find(address, 1)
        return allocation.address + allocation.nbytes - address

    def put(self, stream_id: int, work: Work) -> None:
        stream = self.stream(stream_id)
        for address, nbytes in (*work.reads, *work.writes):
            self.find(address, nbytes)
        if stream.captured is not None:
            if stream.captor != threading.get_ident():
                raise RuleBroken(f"{work.name} of another thread gets into a capture")
            stream.captured.append(work)
            return
        self.trace.append(work.name)
        tick = len(stream.queue) + 1
        clock = _merged(stream.clock, self.host, stream.waits, {stream_id: tick - 1})
        for ranges, writes in ((work.reads, False), (work.writes, True)):
            for address, nbytes in ranges:
                self._access(address, nbytes, writes, stream_id, tick, clock, work.name)
        stream.queue.append(Queued(work, dict(stream.waits)))
        stream.clock = {**clock, stream_id: tick}
        stream.waits = {}
        if self.eager:
            self.run_until(stream_id, tick)

    def _access(
        self,
        address: int,
        nbytes: int,
        writes: bool,
        stream: int,
        tick: int,
        clock: dict[int, int],
        name: str,
    ) -> None:
        allocation = self.find(address, nbytes)
        start = address - allocation.address
        for first, end, wrote, other, at in allocation.accesses:
            conflict = (writes or wrote) and first < start + nbytes and start < end
            if conflict and other != stream and clock.get(other, 0) < at:
                raise RuleBroken(f"{name} on stream {stream} races with work on stream {other}")
        allocation.accesses = [a for a in allocation.accesses if self.host.get(a[3], 0) < a[4]]
        allocation.accesses.append((start, start + nbytes, writes, stream, tick))

    def run_until(self, stream_id: int, tick: int) -> None:
        stream = self.streams[stream_id]
        while stream.done < tick:
            queued = stream.queue[stream.done]
            for other, at in queued.waits.items():
                if other != stream_id and other in self.streams:  # else destroyed, when done
                    self.run_until(other, at)
            stream.done += 1
            self.ran.append(queued.work.name)
            queued.work.run()

    def wait_on_host(self, clock: dict[int, int]) -> None:
        for stream_id, tick in clock.items():
            if stream_id in self.streams:
                self.run_until(stream_id, tick)
        self.host = _merged(self.host, clock)

    def stream(self, stream_id: int) -> Stream:
        if stream_id not in self.streams:
            raise RuleBroken(f"stream {stream_id} does not exist (or was destroyed)")
        return self.streams[stream_id]

    def capturing(self) -> list[Stream]:
        """The streams that this thread captures; in thread-local mode others are free."""
        me = threading.get_ident()
        return [s for s in self.streams.values() if s.captured is not None and s.captor == me]

    def instantiate(self, graph: int) -> int:
        works = self.graphs[graph]
        used = [self.find(a, n) for work in works for a, n in (*work.reads, *work.writes)]
        handle = self.handle()
        self.executables[handle] = (works, used)
        return handle

    def launch(self, executable: int, stream: int) -> None:
        if executable not in self.executables:
            raise RuleBroken(f"graph {executable} does not exist (or was destroyed)")
        works, used = self.executables[executable]
        if any(self.allocations.get(a.address) is not a for a in used):
            raise RuleBroken(f"graph {executable} holds an address that was freed: capture again")

        def run() -> None:
            for work in works:
                self.ran.append(work.name)
                work.run()

        reads = [r for work in works for r in work.reads]
        writes = [r for work in works for r in work.writes]
        self.put(stream, Work("graph", reads, writes, run))

    def leaks(self) -> list[str]:
        return [
            *(
                f"{a.nbytes} bytes {'pinned' if a.pinned else 'on the device'}"
                for a in self.allocations.values()
            ),
            *(f"stream {s}" for s in self.streams),
            *(f"event {e}" for e in self.events),
            *(f"graph {g}" for g in (*self.graphs, *self.executables)),
        ]


def _merged(*clocks: dict[int, int]) -> dict[int, int]:
    merged: dict[int, int] = {}
    for clock in clocks:
        for stream, tick in clock.items():
            merged[stream] = max(merged.get(stream, 0), tick)
    return merged
