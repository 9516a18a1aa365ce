"""Places for the batches that are under way on the device, each of them taken by one at a time."""

from __future__ import annotations

import contextlib
import queue
from dataclasses import dataclass

from aliaug_edge.engines.buffers import Block, Layout, Memory, PinnedBlock


@dataclass(frozen=True)
class Slot:
    """What a batch under way has of its own on both sides, and when its steps are done."""

    given: PinnedBlock
    given_device: Block
    made: PinnedBlock
    made_device: Block
    uploaded: int
    computed: int
    downloaded: int


class Slots:
    """`count` slots for what comes in and what goes out, in `memory`; `stack` drops their events.

    Raises:
        GpuMemoryError: no room.
    """

    def __init__(
        self,
        memory: Memory,
        stack: contextlib.ExitStack,
        given: Layout,
        made: Layout,
        count: int,
    ) -> None:
        self._free: queue.SimpleQueue[Slot] = queue.SimpleQueue()
        for _ in range(count):
            self._free.put(_new_slot(memory, stack, given, made))

    def take(self, *, wait: bool) -> Slot | None:
        """A slot that nobody has; where all are taken, None or, after waiting, the next one that is
        given back."""
        try:
            return self._free.get(block=wait)
        except queue.Empty:
            return None

    def give(self, slot: Slot) -> None:
        """Hand a slot back. Work may still run in it: whoever takes it waits for `downloaded`."""
        self._free.put(slot)


def _new_slot(memory: Memory, stack: contextlib.ExitStack, given: Layout, made: Layout) -> Slot:
    events = []
    for _ in range(3):
        event = memory.cuda.new_event()
        stack.callback(memory.cuda.drop_event, event)
        events.append(event)
    return Slot(
        memory.pinned(given, "inputs"),
        memory.block(given, "inputs"),
        memory.pinned(made, "outputs"),
        memory.block(made, "outputs"),
        *events,
    )
