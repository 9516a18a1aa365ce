"""The loop's own parts; its behaviour as a whole is in `test_trainer.py` and `test_pretrain.py`."""

from __future__ import annotations

import torch
from torch import nn

from aliaug_edge.training.loop import _Ema


def averaged(steps: int, decay: float) -> float:
    """The average after `steps` updates of a weight that was 0 and has been 1 ever since."""
    parameter = nn.Parameter(torch.zeros(1))
    ema = _Ema([parameter], decay)
    with torch.no_grad():
        parameter.fill_(1.0)
    for done in range(1, steps + 1):
        ema.update(done)
    ema.copy_to_parameters()
    return parameter.item()


def test_a_short_run_s_average_forgets_where_it_began() -> None:
    assert averaged(20, decay=0.999) > 0.99


def test_a_long_run_s_average_moves_by_the_decay_alone() -> None:
    parameter = nn.Parameter(torch.zeros(1))
    ema = _Ema([parameter], 0.9)
    with torch.no_grad():
        parameter.fill_(1.0)
    ema.update(10_000)
    assert torch.allclose(ema.shadow[0], torch.tensor([0.1]))
