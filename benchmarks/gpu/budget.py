"""Time that is divided and enforced, and what was left out for want of it or of software."""

from __future__ import annotations

import contextlib
import re
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from types import FrameType
from typing import Any, TypeVar

Value = TypeVar("Value")
AGAIN_S = 0.5  # an alarm that rang in an import
_COLOUR = re.compile(r"\x1b\[[0-9;]*m")


class OutOfTime(BaseException):
    """A part used up its time; raised by the alarm, wherever the part is. Not an `Exception`:
    exporters and compilers catch those, and try something else."""


class Budget:
    """`seconds` for all parts together. `missing` names what was left out, and why.

    A part that overruns is interrupted by an alarm. What sits in a library and cannot be
    interrupted is ended by `last_word`, which at the end of the time prints what there is.
    """

    def __init__(self, seconds: float) -> None:
        self._end = time.monotonic() + seconds
        self._out = sys.stdout  # exporters redirect it for a while, also for the last word's thread
        self._silent = False
        self.missing: list[dict[str, str]] = []

    @property
    def left(self) -> float:
        return max(self._end - time.monotonic(), 0.0)

    def leave_out(self, what: str, why: str) -> None:
        """Note, and say, what is not measured."""
        self.missing.append({"what": what, "why": " ".join(why.split())})
        self.say(f"  left out {what}: {self.missing[-1]['why']}")

    def say(self, text: str, *, last: bool = False) -> None:
        """Print `text` where the run prints, whatever part is under way; nothing after what is
        `last`: while the last word's thread cleans up, the main one may still give up a part."""
        if not self._silent:
            self._silent = last
            print(text, file=self._out, flush=True)

    def attempt(
        self, what: str, work: Callable[[], Value], seconds: float, needs: float = 0.0
    ) -> Value | None:
        """The result of `work`, which may take `seconds`; None, with a note, where it fails, takes
        longer, or less than `needs` seconds are left for it."""
        if self.left <= needs:
            self.leave_out(what, f"{self.left:.0f} s left, it needs about {needs:.0f}")
            return None
        limit = min(seconds, self.left)
        try:
            with _alarm(limit):
                return work()
        except OutOfTime:
            self.leave_out(what, f"not done within {limit:.0f} s")
        except Exception as error:  # one thing that fails must not cost the others
            self.leave_out(what, said_by(error))
        return None

    @contextlib.contextmanager
    def last_word(self, speak: Callable[[], Any], end: Callable[[], Any]) -> Iterator[None]:
        """While inside, `speak` and then `end` are called when the time is over."""

        def over() -> None:
            self.leave_out("the rest", "the time is over")
            speak()
            end()

        timer = threading.Timer(self.left, over)
        timer.daemon = True
        timer.start()
        try:
            yield
        finally:
            timer.cancel()


def said_by(error: BaseException) -> str:
    """An error in one line, with the one that caused it: exporters and compilers wrap those in
    advice, and a run on a borrowed GPU is not easily repeated."""
    cause = error
    while cause.__cause__ is not None:
        cause = cause.__cause__
    said = _first_line(error)
    return said if cause is error else f"{said}, because of {_first_line(cause)}"


def _first_line(error: BaseException) -> str:
    lines = _COLOUR.sub("", str(error)).strip().splitlines() or [""]
    return f"{type(error).__name__}: {lines[0][:300]}"


def _importing(frame: FrameType | None) -> bool:
    """Whether a module is being imported: left half done it would stay broken for every part."""
    while frame is not None:
        if frame.f_code.co_filename.startswith("<frozen importlib"):
            return True
        frame = frame.f_back
    return False


@contextlib.contextmanager
def _alarm(seconds: float) -> Iterator[None]:
    """Raise `OutOfTime` in the main thread after `seconds`. Not to be nested."""

    def ring(_signal: int, frame: FrameType | None) -> None:
        if _importing(frame):
            signal.setitimer(signal.ITIMER_REAL, AGAIN_S)
            return
        raise OutOfTime

    before = signal.signal(signal.SIGALRM, ring)
    signal.setitimer(signal.ITIMER_REAL, max(seconds, 0.001))
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
