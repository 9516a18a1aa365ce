"""uint8 in, uint8 out: cut, generate and blend on the device, copies hidden behind computing.

Three streams: in, compute, out. While image n is computed, image n + 1 is copied to the device and
the files of image n - 1 are encoded by whoever takes the results. One copy carries all that an
image needs, one graph launch computes it, one copy brings back the pixels. All of it is put on the
streams at once; then only the last copy is waited for, and others may send meanwhile.
"""

from __future__ import annotations

import contextlib
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from types import TracebackType

from aliaug_edge.engines.broken import first_broken
from aliaug_edge.engines.buffers import Layout, layout_of
from aliaug_edge.engines.cuda_errors import GpuError
from aliaug_edge.engines.jobs import Pasted, PasteJob, fill
from aliaug_edge.engines.kernels import FIELDS, Sizes
from aliaug_edge.engines.latents import LatentCache
from aliaug_edge.engines.shapes import bind_specs, free_dimensions
from aliaug_edge.engines.slots import Slot, Slots
from aliaug_edge.engines.tensorrt import TensorRtEngine
from aliaug_edge.errors import AliAugError
from aliaug_edge.tensors import TensorSpec

CACHE_MIB = 256
SLOTS = 2
Mark = Callable[[int], None]
PIXELS = ("image", "mask")  # made on the device; every other input comes with the job


class PastePipeline:
    """`engine`, which must be entered, at one size and batch. A context manager; several of them
    may share an engine.

    Threads may share it: each calls `paste`, and the copies and the waiting of one hide behind the
    computing of another. `mark` is for who times it: it is given the stream before a batch's
    upload, and behind its upload, computing and download.

    Raises:
        GpuMemoryError: no room. TensorRtError: the engine was not built for this size and batch.
        KernelError: our kernels cannot be compiled here.
    """

    def __init__(
        self,
        engine: TensorRtEngine,
        size_hw: tuple[int, int],
        batch: int = 1,
        cache_mib: int = CACHE_MIB,
        mark: Mark | None = None,
    ) -> None:
        self._engine = engine
        self._cuda = engine.cuda
        self._sizes = Sizes(batch, *size_hw)
        self._cache_bytes = cache_mib * 2**20
        self._mark: Mark = mark or (lambda _stream: None)
        self._specs = bind_specs(engine.inputs, free_dimensions(size_hw, batch))
        self._stack = contextlib.ExitStack()
        self._turn = engine.turn  # of putting work on the streams

    def __enter__(self) -> PastePipeline:
        engine, cuda = self._engine, self._cuda
        cuda.activate()
        with self._turn, contextlib.ExitStack() as stack:
            self._in, self._out = cuda.new_stream(), cuda.new_stream()
            for stream in (self._in, self._out):
                stack.callback(cuda.drop_stream, stream)
            shapes = {s.name: tuple(int(n) for n in s.shape) for s in self._specs}
            self._ready = engine.make_ready(shapes)
            self.memory = stack.enter_context(self._ready.memory)
            self._kernels = engine.kernels()
            given, made, work = self._layouts()
            self._given = self.memory.block(given, "inputs")
            self._made = self.memory.block(made, "outputs")
            self._work = self.memory.block(work, "blending")
            self._slots = Slots(self.memory, stack, given, made, SLOTS)
            self.cache = LatentCache(
                self.memory, self._ready.chain, self._sizes.batch, self._cache_bytes
            )
            stack.callback(self._settle)
            self._stack = stack.pop_all()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stack.close()

    def paste(self, batches: Iterable[Sequence[PasteJob]]) -> Iterator[list[Pasted]]:
        """The results of `batches`, in order, each of at most the pipeline's batch. While a result
        is looked at, the next batch is computed.

        Raises:
            AliAugError: a batch too large, or a window of another size. GpuError: the GPU failed;
                the results given before stand.
        """
        under_way: deque[tuple[Slot, int]] = deque()
        try:
            for jobs in batches:
                self._check(jobs)
                # Nobody waits for a slot with another in hand: two could wait for each other.
                slot = self._slots.take(wait=not under_way)
                while slot is None:
                    yield self._receive(*under_way.popleft())
                    slot = self._slots.take(wait=not under_way)
                under_way.append((slot, len(jobs)))
                self._send(slot, jobs)
                if len(under_way) == SLOTS:
                    yield self._receive(*under_way.popleft())
            while under_way:
                yield self._receive(*under_way.popleft())
        finally:
            for slot, _ in under_way:
                self._slots.give(slot)

    def _check(self, jobs: Sequence[PasteJob]) -> None:
        if not 1 <= len(jobs) <= self._sizes.batch:
            raise AliAugError(
                f"tensorrt | expected 1 to {self._sizes.batch} jobs in a batch, got {len(jobs)}"
            )
        size = (self._sizes.height, self._sizes.width)
        for job in jobs:
            if (job.window.height, job.window.width) != size:
                raise AliAugError(
                    f"tensorrt | expected a window of {size[0]} x {size[1]} pixels, got "
                    f"{job.window.height} x {job.window.width}"
                )

    def _send(self, slot: Slot, jobs: Sequence[PasteJob]) -> None:
        """Put all of a batch's work on the streams, a short batch with its last job again."""
        self._cuda.activate()
        self._cuda.wait_on_host(slot.downloaded)  # a run that was left early may still be at work
        keys = []
        for item in range(self._sizes.batch):
            keys.append(fill(slot.given.arrays, item, jobs[min(item, len(jobs) - 1)]))
        with self._turn, self._quiet_after_errors():
            self._mark(self._in)
            self._upload(slot)
            self._mark(self._in)
            self._compute(slot, keys)
            self._mark(self._engine.stream)
            self._download(slot)
            self._mark(self._out)

    def _upload(self, slot: Slot) -> None:
        nbytes = slot.given.layout.nbytes
        self._cuda.to_device(slot.given_device.address, slot.given.address, nbytes, self._in)
        self._cuda.record(slot.uploaded, self._in)

    def _compute(self, slot: Slot, keys: Sequence[str]) -> None:
        cuda, stream = self._cuda, self._engine.stream
        cuda.wait(stream, slot.uploaded)
        self._take_in(slot)
        warm = self.cache.load(keys, stream)
        tensors = self._ready.chain.tensors.address
        addresses = (tensors, self._given.address, self._made.address, self._work.address)
        self._engine.graphs.run(
            self._graph_key(warm), addresses, lambda: self._run(int(warm)), stream
        )
        if not warm:
            self.cache.store(keys, stream)
        made = slot.made_device
        cuda.on_device(made.address, self._made.address, made.layout.nbytes, stream)
        cuda.record(slot.computed, stream)

    def _take_in(self, slot: Slot) -> None:
        """What was uploaded, to where the graph reads it."""
        given = slot.given_device
        self._cuda.on_device(
            self._given.address, given.address, given.layout.nbytes, self._engine.stream
        )

    def _run(self, first: int) -> None:
        """The whole pipeline, from the photo's region to the patch; what the graph holds."""
        stream, sizes, tensors = self._engine.stream, self._sizes, self._ready.chain.tensors
        self._kernels.cut(self._given, self._work, tensors, sizes, stream)
        for name in self._conditions():
            nbytes = self._given.layout.fields[name].nbytes
            self._cuda.on_device(tensors.at(name), self._given.at(name), nbytes, stream)
        self._kernels.ramp(self._given, self._work, sizes, stream)
        self._engine.run_chain(self._ready, first)
        generated = tensors.at("generated")
        patch = self._made.at("patch")
        self._kernels.blend(generated, self._given, self._work, patch, sizes, stream)
        self._kernels.count_broken(generated, self._made.at("broken"), sizes, stream)
        nbytes = self._made.layout.fields["raw"].nbytes
        self._cuda.on_device(self._made.at("raw"), generated, nbytes, stream)

    def _download(self, slot: Slot) -> None:
        self._cuda.wait(self._out, slot.computed)
        nbytes = slot.made.layout.nbytes
        self._cuda.to_host(slot.made.address, slot.made_device.address, nbytes, self._out)
        self._cuda.record(slot.downloaded, self._out)

    def _receive(self, slot: Slot, count: int) -> list[Pasted]:
        """The results of a batch that was sent, once they are there; its slot is free again."""
        try:
            self._cuda.activate()
            self._cuda.wait_on_host(slot.downloaded)
            return [self._result(slot, item) for item in range(count)]
        finally:
            self._slots.give(slot)

    def _result(self, slot: Slot, item: int) -> Pasted:
        made = slot.made.arrays
        broken = int(made["broken"][item])
        return Pasted(
            patch=made["patch"][item].copy(),
            raw=made["raw"][item].transpose(1, 2, 0).copy(),
            broken=broken,
            culprit=self._culprit(slot, item) if broken else "",
        )

    def _culprit(self, slot: Slot, item: int) -> str:
        """Where the values that are not finite began: the slot's batch is run again, alone, since
        what came after it has written over its tensors."""
        chain, stream = self._ready.chain, self._engine.stream
        with self._turn, self._quiet_after_errors():
            self._wait()
            self.cache.forget()
            self._take_in(slot)
            self._run(0)
            return first_broken(self._cuda, chain, item, stream) or "output generated"

    def _layouts(self) -> tuple[Layout, Layout, Layout]:
        """What comes in, what goes out, and what blending needs in between."""
        batch, hw = self._sizes.batch, (self._sizes.height, self._sizes.width)
        given = [
            TensorSpec("photo", "uint8", (batch, *hw, 3)),
            TensorSpec("painted", "uint8", (batch, *hw)),
            TensorSpec("geometry", "int32", (batch, FIELDS)),
            *(spec for spec in self._specs if spec.name not in PIXELS),
        ]
        made = [
            TensorSpec("patch", "uint8", (batch, *hw, 3)),
            TensorSpec("raw", "float32", (batch, 3, *hw)),
            TensorSpec("broken", "int32", (batch,)),
        ]
        work = [
            TensorSpec("shown", "uint8", (batch, *hw, 3)),
            TensorSpec("marks", "int32", (batch, *hw)),
            TensorSpec("spare", "int32", (batch, *hw)),
            TensorSpec("count", "int32", (batch,)),
        ]
        return layout_of(given), layout_of(made), layout_of(work)

    def _conditions(self) -> list[str]:
        return [spec.name for spec in self._specs if spec.name not in PIXELS]

    def _graph_key(self, warm: bool) -> tuple[str, bool, int]:
        return ("paste", warm, self._ready.chain.tensors.address)

    @contextlib.contextmanager
    def _quiet_after_errors(self) -> Iterator[None]:
        """A failure in between leaves no work behind in anybody's slot, and nothing known of what
        lies in the chain's tensors."""
        try:
            yield
        except BaseException:
            self.cache.forget()
            if not self._cuda.lost:
                with contextlib.suppress(GpuError):  # the first error is the one to be told
                    self._wait()
            raise

    def _settle(self) -> None:
        """Nothing is freed under work that still runs."""
        if self._cuda.lost:
            return
        self._wait()
        for warm in (False, True):
            self._engine.graphs.forget(self._graph_key(warm), self._engine.stream)

    def _wait(self) -> None:
        self._cuda.activate()
        for stream in (self._in, self._engine.stream, self._out):
            self._cuda.synchronize(stream)
