"""Latents and taps of good images, kept on the device: several defects go into one image."""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from aliaug_edge.engines.buffers import Memory
from aliaug_edge.engines.chain import Chain
from aliaug_edge.engines.cuda_errors import GpuMemoryError

PURPOSE = "latents"


def content_key(shown: NDArray[np.uint8], *details: int) -> str:
    """SHA-256 of an image's pixels, and of what else decides what the encoder sees."""
    digest = hashlib.sha256(np.array([*shown.shape, *details], dtype=np.int64).tobytes())
    digest.update(shown.tobytes())
    return digest.hexdigest()


class LatentCache:
    """What a chain's encoder made of images, by their content, within `budget` bytes.

    The image that went through last costs nothing: its latent and taps still lie where the next
    stages read them. Others are copied on the device. Places are never freed while the cache lives,
    only written over on the same stream, oldest first, so no copy can race another.
    """

    def __init__(self, memory: Memory, chain: Chain, batch: int, budget: int) -> None:
        fields = chain.tensors.layout.fields
        self._memory = memory
        self._parts = [
            (chain.tensors.at(name), fields[name].nbytes // batch) for name in chain.cacheable
        ]
        self._entry_bytes = sum(nbytes for _, nbytes in self._parts)
        self._limit = budget // self._entry_bytes if self._parts else 0
        self._places: OrderedDict[str, int] = OrderedDict()
        self._resident: tuple[str, ...] = ()
        self.hits = 0
        self.misses = 0

    def load(self, keys: Sequence[str], stream: int) -> bool:
        """Put what the encoder made of the images `keys` in its place; False where one of them is
        not known, and the encoder has to run."""
        wanted = tuple(keys)
        if not self._parts or not self._known(wanted):
            self.misses += 1
            self._resident = ()
            return False
        self.hits += 1
        for item, key in enumerate(wanted):
            if self._resident[item : item + 1] != (key,):
                self._copy(self._places[key], item, stream, store=False)
        self._resident = wanted
        return True

    def store(self, keys: Sequence[str], stream: int) -> None:
        """Keep what the encoder has just made of the images `keys`."""
        self._resident = tuple(keys) if self._parts else ()
        for item, key in enumerate(self._resident):
            place = self._place(key)
            if place is not None:
                self._copy(place, item, stream, store=True)
                self._places[key] = place  # known once it is on its way, should a copy be refused

    def forget(self) -> None:
        """What lies in the chain's tensors is no longer known, as after a run that failed."""
        self._resident = ()

    def _known(self, wanted: tuple[str, ...]) -> bool:
        if wanted == self._resident:
            return True
        for key in wanted:
            if key not in self._places:
                return False
        for key in wanted:
            self._places.move_to_end(key)
        return True

    def _place(self, key: str) -> int | None:
        """Where `key` is to be kept; None where it is kept already or there is no room."""
        if key in self._places or not self._limit:
            return None
        if len(self._places) >= self._limit:
            place = self._places.popitem(last=False)[1]
        else:
            try:
                place = self._memory.device(self._entry_bytes, PURPOSE)
            except GpuMemoryError:  # a cache that cannot grow is smaller, not an error
                self._limit = len(self._places)
                return self._place(key)
        return place

    def _copy(self, place: int, item: int, stream: int, *, store: bool) -> None:
        for address, nbytes in self._parts:
            inside = address + item * nbytes
            target, origin = (place, inside) if store else (inside, place)
            self._memory.cuda.on_device(target, origin, nbytes, stream)
            place += nbytes
