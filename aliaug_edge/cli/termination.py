"""SIGTERM, as a scheduler or `kill` sends it, ends a command as tidily as Ctrl-C does."""

from __future__ import annotations

import contextlib
import signal
import sys
import threading
from collections.abc import Iterator

TERMINATED = 128 + signal.SIGTERM


@contextlib.contextmanager
def ending_on_sigterm() -> Iterator[None]:
    """Within it SIGTERM unwinds the stack, so that processes that were started are ended too."""
    if threading.current_thread() is not threading.main_thread():  # where none may be handled
        yield
        return
    before = signal.signal(signal.SIGTERM, lambda *_: sys.exit(TERMINATED))
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
