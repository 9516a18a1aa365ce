"""Memory of the GPU and page-locked memory of the host, given back when the `with` block ends."""

from __future__ import annotations

import contextlib
import ctypes
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from aliaug_edge.engines.cuda import Cuda
from aliaug_edge.tensors import Arrays, TensorSpec

ALIGNMENT = 256  # what cuMemAlloc itself keeps, and TensorRT asks of every address


@dataclass(frozen=True)
class Field:
    """A tensor's place in a block: its dtype, shape and offset in bytes."""

    dtype: str
    shape: tuple[int, ...]
    offset: int

    @property
    def nbytes(self) -> int:
        return tensor_bytes(self.dtype, self.shape)


@dataclass(frozen=True)
class Layout:
    """Several tensors in one piece of memory, so that one copy carries them all."""

    fields: Mapping[str, Field]
    nbytes: int


@dataclass(frozen=True)
class Block:
    """A layout in device memory."""

    layout: Layout
    address: int

    def at(self, name: str) -> int:
        """The device address of a field."""
        return self.address + self.layout.fields[name].offset


@dataclass(frozen=True)
class PinnedBlock:
    """A layout in page-locked host memory; `arrays` are views of it, writable by name."""

    layout: Layout
    address: int
    arrays: Arrays


class Memory:
    """What was allocated on a GPU. A context manager; leaving frees all of it, last things first.

    `used` sums the bytes of device memory by purpose, for the profile.
    """

    def __init__(self, cuda: Cuda) -> None:
        self.cuda = cuda
        self.used: dict[str, int] = {}
        self._stack = contextlib.ExitStack()

    def __enter__(self) -> Memory:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.used.clear()
        self._stack.close()

    def device(self, nbytes: int, purpose: str) -> int:
        """The address of at least `nbytes` of device memory, kept until this `Memory` is left.

        Raises:
            GpuMemoryError: there is not enough.
        """
        nbytes = max(aligned(nbytes), ALIGNMENT)
        address = self.cuda.allocate(nbytes, purpose)
        self._stack.callback(self.cuda.free, address)
        self.used[purpose] = self.used.get(purpose, 0) + nbytes
        return address

    def block(self, layout: Layout, purpose: str) -> Block:
        """Device memory for `layout`."""
        return Block(layout, self.device(layout.nbytes, purpose))

    def pinned(self, layout: Layout, purpose: str) -> PinnedBlock:
        """Page-locked host memory for `layout`."""
        address = self.cuda.allocate_pinned(layout.nbytes, purpose)
        self._stack.callback(self.cuda.free_pinned, address)
        return PinnedBlock(layout, address, _views(layout, address))


def layout_of(specs: Sequence[TensorSpec]) -> Layout:
    """Tensors of fixed shape one after another, each on an aligned offset."""
    fields: dict[str, Field] = {}
    offset = 0
    for spec in specs:
        shape = tuple(int(length) for length in spec.shape)
        fields[spec.name] = Field(spec.dtype, shape, offset)
        offset = aligned(offset + tensor_bytes(spec.dtype, shape))
    return Layout(fields, max(offset, ALIGNMENT))


def tensor_bytes(dtype: str, shape: Sequence[int]) -> int:
    """Bytes of a packed tensor."""
    return np.dtype(dtype).itemsize * math.prod(shape)


def aligned(nbytes: int) -> int:
    """The next multiple of `ALIGNMENT`."""
    return -(-nbytes // ALIGNMENT) * ALIGNMENT


def _views(layout: Layout, address: int) -> Arrays:
    memory = (ctypes.c_uint8 * layout.nbytes).from_address(address)
    flat: NDArray[Any] = np.frombuffer(memoryview(memory), dtype=np.uint8)
    return {
        name: flat[field.offset : field.offset + field.nbytes]
        .view(field.dtype)
        .reshape(field.shape)
        for name, field in layout.fields.items()
    }
