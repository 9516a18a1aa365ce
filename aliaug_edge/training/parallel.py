"""Several processes train one model: each takes its rows of the batch, and gradients are averaged.

Without DistributedDataParallel: the step has one backward per network, so one all-reduce after each
is all that it needs. Everything here is the identity where a single process trains.
"""

from __future__ import annotations

import contextlib
import dataclasses
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn

from aliaug_edge.errors import AliAugError
from aliaug_edge.training.batch import Batch


@dataclass(frozen=True)
class Ranks:
    """How many processes train together, and which of them this one is."""

    count: int = 1
    index: int = 0

    @property
    def main(self) -> bool:
        """Whether this process writes the run's files."""
        return self.index == 0


def ranks() -> Ranks:
    """This process among those that train now."""
    if dist.is_available() and dist.is_initialized():
        return Ranks(dist.get_world_size(), dist.get_rank())
    return Ranks()


@contextlib.contextmanager
def joined(batch_size: int) -> Iterator[Ranks]:
    """Meet the other processes that `accelerate launch` or `torchrun` started, if there are any.

    Raises:
        AliAugError: the batch cannot be shared out evenly.
    """
    count = launched()
    if batch_size % count:
        raise AliAugError(
            f"batch_size {batch_size}: expected a multiple of the {count} processes; "
            "choose another --batch-size or number of processes"
        )
    if count == 1 or dist.is_initialized():
        yield ranks()
        return
    from accelerate import PartialState  # type: ignore[import-untyped]  # its own GPU, its backend

    PartialState()
    try:
        yield ranks()
    finally:
        dist.destroy_process_group()


def refuse_several(command: str) -> None:
    """Raises AliAugError where a launcher started several processes of a command made for one."""
    if (count := launched()) > 1:
        raise AliAugError(
            f"{command} runs in one process, {count} were launched; start it without the launcher"
        )


def launched() -> int:
    """How many processes the launcher started, 1 without one."""
    return int(os.environ.get("WORLD_SIZE", "1"))


def device() -> torch.device:
    """This process's own GPU, or the CPU where there is none or it was asked for."""
    from accelerate.utils import parse_flag_from_env  # type: ignore[import-untyped]

    if not torch.cuda.is_available() or parse_flag_from_env("ACCELERATE_USE_CPU"):
        return torch.device("cpu")
    return torch.device("cuda", torch.cuda.current_device())


def share_of(batch: Batch, whom: Ranks) -> Batch:
    """The rows of a batch that are this process's."""
    rows = rows_of(len(batch.prompts), whom)
    parts: dict[str, Any] = {name: value[rows] for name, value in vars(batch).items()}
    return dataclasses.replace(batch, **parts)


def rows_of(size: int, whom: Ranks) -> slice:
    """Which of `size` rows are this process's: consecutive ones, as many for each."""
    each = size // whom.count
    return slice(whom.index * each, (whom.index + 1) * each)


@torch.no_grad()
def mean_over_ranks(value: Tensor) -> Tensor:
    """The mean of `value` over all processes, without gradient."""
    count = ranks().count
    if count == 1:
        return value.detach()
    total = value.detach().clone()
    dist.all_reduce(total)
    return total / count


def divisor(count: Tensor) -> Tensor:
    """What to divide a sum over this process's rows by, where `count` of them count here.

    Averaged over processes, sum / divisor is the whole batch's sum over the whole batch's count
    (at least 1), however unevenly the rows that count are spread.
    """
    size = ranks().count
    return (mean_over_ranks(count) * size).clamp(min=1.0) / size


def average_gradients(parameters: Iterable[nn.Parameter]) -> None:
    """Give each parameter the mean of its gradient over all processes, in one exchange."""
    grads = [p.grad for p in parameters if p.grad is not None]
    if ranks().count == 1 or not grads:
        return
    mean = mean_over_ranks(torch.cat([grad.flatten() for grad in grads]))
    for grad, part in zip(grads, mean.split([g.numel() for g in grads]), strict=True):
        grad.copy_(part.view_as(grad))


def average_metrics(metrics: dict[str, float]) -> dict[str, float]:
    """The mean of each number over all processes, which all name the same ones."""
    if ranks().count == 1:
        return metrics
    mean = mean_over_ranks(torch.tensor(list(metrics.values()), device=device()))
    return dict(zip(metrics, mean.tolist(), strict=True))


def same_start(tensors: Iterable[Tensor]) -> None:
    """Take the main process's values, so that no difference of arithmetic at the start stays."""
    if ranks().count > 1:
        for tensor in tensors:
            dist.broadcast(tensor.detach(), 0)
