"""Event files for TensorBoard, written by the training process itself.

TensorBoard's own writer leaves that to a thread, which on a full disk prints a traceback and dies.
"""

from __future__ import annotations

import io
import time
from collections.abc import Mapping
from pathlib import Path

from tensorboard.compat.proto.event_pb2 import Event, SessionLog
from tensorboard.summary.writer.record_writer import RecordWriter
from torch.utils.tensorboard.summary import scalar

from aliaug_edge.errors import OutputError

VERSION = "brain.Event:2"


class Board:
    """Scalars by step in `folder`; each session has a file of its own.

    `start` is the last step that counts: TensorBoard drops what an earlier session, cut short,
    wrote beyond it.

    Raises:
        OutputError: the folder cannot be written, or the disk is full.
    """

    def __init__(self, folder: Path, start: int) -> None:
        self._path = folder / f"events.out.tfevents.{time.time_ns():020d}"
        self._pending = io.BytesIO()
        self._records = RecordWriter(self._pending)
        self._add(Event(wall_time=time.time(), file_version=VERSION))
        begun = SessionLog(status=SessionLog.START)
        self._add(Event(wall_time=time.time(), step=start + 1, session_log=begun))
        self._append()

    def write(self, step: int, values: Mapping[str, float]) -> None:
        """Append the values of a step; they are on the disk when this returns."""
        for name, value in values.items():
            summary = scalar(name, value)
            self._add(Event(wall_time=time.time(), step=step, summary=summary))
        self._append()

    def _add(self, event: Event) -> None:
        self._records.write(event.SerializeToString())

    def _append(self) -> None:
        """In one piece; a tail that a kill cut off is skipped by readers."""
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            with self._path.open("ab") as stream:
                stream.write(self._pending.getvalue())
        except OSError as error:
            raise OutputError(
                f"cannot write {self._path}: {error.strerror or error}; free some space, then "
                "give the same command again: the run goes on from its last checkpoint"
            ) from error
        self._pending.seek(0)
        self._pending.truncate()
