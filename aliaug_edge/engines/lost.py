"""Whether a call of another library failed because the GPU is gone.

TensorRT tells no more than that it refuses. The driver knows why, and answers when it is asked to
wait: without that, a lost GPU would read as an engine that has to be built again.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from aliaug_edge.engines.cuda import Cuda
from aliaug_edge.engines.cuda_errors import GpuError, GpuLostError
from aliaug_edge.errors import AliAugError


@contextlib.contextmanager
def lost_gpu_first(cuda: Cuda, stream: int) -> Iterator[None]:
    """Where what is inside fails and the GPU is lost, that is the error to be told.

    Raises:
        GpuLostError: the GPU is gone.
    """
    try:
        yield
    except GpuLostError:
        raise
    except AliAugError as error:
        try:
            cuda.synchronize(stream)
        except GpuLostError as loss:
            raise loss from error
        except GpuError:  # as in a capture, where nobody may wait
            pass
        raise
