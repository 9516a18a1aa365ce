"""CUDA graphs: a whole run of the pipeline launched as one, captured again when it has to be."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from types import TracebackType

from aliaug_edge.engines.cuda import Cuda
from aliaug_edge.engines.cuda_errors import GpuError, GpuLostError, GpuMemoryError
from aliaug_edge.engines.stage import TensorRtError

LIMIT = 16  # graphs kept; each holds a few MiB of the driver's memory


@dataclass(frozen=True)
class _Captured:
    graph: int
    addresses: tuple[int, ...]


class Graphs:
    """The captured runs of an engine by key. A context manager; leaving destroys them.

    `enabled` False enqueues every run call by call, for profiles and for comparison. `refused`
    holds, by key, why a run could not be captured; it is then enqueued call by call too.
    """

    def __init__(self, cuda: Cuda, *, enabled: bool = True, limit: int = LIMIT) -> None:
        self.refused: dict[Hashable, str] = {}
        self.captures = 0
        self._cuda = cuda
        self._enabled = enabled
        self._limit = limit
        self._captured: OrderedDict[Hashable, _Captured] = OrderedDict()

    def __enter__(self) -> Graphs:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        while self._captured:
            self._cuda.drop_graph(self._captured.popitem()[1].graph)

    def run(
        self, key: Hashable, addresses: tuple[int, ...], work: Callable[[], None], stream: int
    ) -> None:
        """Put `work` on `stream`: as the graph of `key`, where that was captured with the same
        `addresses`. Else `work` is enqueued as it is, which TensorRT needs once after a change of
        shape, and captured for the next time.

        Raises:
            GpuError: the work itself failed. TensorRtError: TensorRT refused it.
        """
        known = self._captured.get(key)
        if known is not None and known.addresses == addresses:
            self._captured.move_to_end(key)
            self._cuda.launch_graph(known.graph, stream)
            return
        self.forget(key, stream)
        work()
        if not self._enabled or key in self.refused:
            return
        self._cuda.synchronize(stream)  # its own errors are not those of a capture
        self._capture(key, addresses, work, stream)

    def forget(self, key: Hashable, stream: int) -> None:
        """Destroy the graph of `key`, once `stream` no longer runs it."""
        known = self._captured.pop(key, None)
        if known is not None:
            self._cuda.synchronize(stream)
            self._cuda.drop_graph(known.graph)

    def _capture(
        self, key: Hashable, addresses: tuple[int, ...], work: Callable[[], None], stream: int
    ) -> None:
        try:
            graph = self._cuda.capture(stream, work)
        except (GpuLostError, GpuMemoryError):
            raise
        # Some layers copy or wait inside, and TensorRT then refuses; uncaptured they have just run.
        except (GpuError, TensorRtError) as error:
            self.refused[key] = str(error)
            return
        self.captures += 1
        self._captured[key] = _Captured(graph, addresses)
        if len(self._captured) > self._limit:
            self.forget(next(iter(self._captured)), stream)
