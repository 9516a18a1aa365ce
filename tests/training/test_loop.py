"""The loop's own parts; its behaviour as a whole is in `test_trainer.py` and `test_pretrain.py`."""

from __future__ import annotations

import errno
from pathlib import Path

import pytest
import torch
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from torch import nn

from aliaug_edge.errors import OutputError
from aliaug_edge.training.board import Board
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


def steps_of(folder: Path) -> list[int]:
    return [event.step for event in EventAccumulator(str(folder)).Reload().Scalars("loss")]


def test_tensorboard_reads_what_was_written_at_once(tmp_path: Path) -> None:
    board = Board(tmp_path, 0)
    board.write(20, {"loss": 0.5, "inside": 0.25})
    assert steps_of(tmp_path) == [20]
    board.write(40, {"loss": 0.25, "inside": 0.25})
    events = EventAccumulator(str(tmp_path)).Reload()
    assert [(e.step, e.value) for e in events.Scalars("loss")] == [(20, 0.5), (40, 0.25)]


def test_a_resumed_run_keeps_its_checkpoint_s_step_and_drops_what_came_after(
    tmp_path: Path,
) -> None:
    first = Board(tmp_path, 0)
    for step in (20, 40, 60):
        first.write(step, {"loss": 1.0})
    Board(tmp_path, 40).write(80, {"loss": 1.0})
    assert steps_of(tmp_path) == [20, 40, 80]


def test_a_tail_cut_off_by_a_kill_spoils_nothing(tmp_path: Path) -> None:
    Board(tmp_path, 0).write(20, {"loss": 1.0})
    (path,) = tmp_path.iterdir()
    path.write_bytes(path.read_bytes() + b"\x20\0\0\0half")
    Board(tmp_path, 20).write(40, {"loss": 1.0})
    assert steps_of(tmp_path) == [20, 40]


def test_a_full_disk_is_one_clear_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    board, inner = Board(tmp_path, 0), Path.open

    def full(self: Path, mode: str = "r", **named: object) -> object:
        if "a" in mode:
            raise OSError(errno.ENOSPC, "No space left on device")
        return inner(self, mode, **named)  # type: ignore[call-overload]

    monkeypatch.setattr(Path, "open", full)
    with pytest.raises(OutputError, match=r"tfevents.*: No space left .* free some space") as error:
        board.write(20, {"loss": 1.0})
    assert "\n" not in str(error.value)


def test_a_folder_that_is_a_file_is_one_clear_line(tmp_path: Path) -> None:
    (tmp_path / "tensorboard").write_text("mine")
    with pytest.raises(OutputError, match=r"cannot write .*tfevents"):
        Board(tmp_path / "tensorboard", 0)
