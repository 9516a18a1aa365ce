"""How far a long row of pieces is, and how long it will still take."""

from __future__ import annotations

import time
from collections.abc import Callable

MEASURED = 4  # pieces, before what they took says something of the others

Clock = Callable[[], float]
Say = Callable[[str], None]


def countdown(say: Say, clock: Clock = time.monotonic) -> Callable[[int, int, str], None]:
    """A callback for (finished, of, note) that says "[finished/of] note" and, once `MEASURED` were
    finished since now, about how many minutes are left; what was finished before took no time."""
    began = clock()
    before: int | None = None

    def done(finished: int, of: int, note: str) -> None:
        nonlocal before
        if before is None:
            before = finished - 1
        line = f"[{finished}/{of}] {note}"
        made, missing = finished - before, of - finished
        if made >= MEASURED and missing:
            minutes = round((clock() - began) / made * missing / 60)
            line += f"  about {minutes} min left" if minutes else "  under a minute left"
        say(line)

    return done
