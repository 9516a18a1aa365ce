"""One run at a time in an output folder: two would sweep and assemble each other's files."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

from aliaug_edge.errors import OutputError


@contextlib.contextmanager
def exclusive(out_dir: Path) -> Iterator[None]:
    """Hold `out_dir`, made when it is missing, for this run alone.

    The lock is on the folder itself, so no lock file can be left in a dataset, and the system lets
    go of it with the process, however that ends. On a network drive it holds for one machine.

    Raises:
        OutputError: another run holds it, or the folder can be neither made nor opened.
    """
    try:
        out_dir.mkdir(parents=True, exist_ok=True)
        handle = os.open(out_dir, os.O_RDONLY) if os.name == "posix" else None
    except OSError as error:
        raise OutputError(
            f"cannot write {out_dir}: {error.strerror or error}; choose another output folder"
        ) from error
    if handle is None:  # no such lock there: it is for the user to run one at a time
        yield
        return
    try:
        _lock(handle, out_dir)
        yield
    finally:
        os.close(handle)


def _lock(handle: int, out_dir: Path) -> None:
    import fcntl  # POSIX alone

    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise OutputError(
            f"another run is writing to {out_dir}; wait until it has ended, or choose another "
            "output folder"
        ) from None
    except OSError:  # a file system without locks: then it is for the user to run one at a time
        return
