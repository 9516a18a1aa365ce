"""Statistics of latencies, and the rules for how long to measure. No clock is read here.

Percentiles are by nearest rank, so each is a latency that occurred. Nothing is dropped: the slow
passes are what a line has to live with.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

PERCENTS = (50, 90, 95, 99)
COV_LIMIT_PERCENT = 2.5  # above this trtexec calls a measurement unstable


@dataclass(frozen=True)
class Latency:
    """A stage's latencies in ms; `cov_percent` is 100 · standard deviation / mean, over `count`
    passes (None where it has no meaning: one pass, or a mean of zero)."""

    p50_ms: float
    p90_ms: float
    p95_ms: float
    p99_ms: float
    max_ms: float
    mean_ms: float
    cov_percent: float | None
    count: int


@dataclass(frozen=True)
class Rules:
    """How long to measure: warm up for `warmup_ms`, then at least `min_duration_ms` and at least
    `min_iterations` passes, as trtexec does by default. `iterations`, where given, is exact."""

    warmup_ms: float = 200.0
    min_duration_ms: float = 3000.0
    min_iterations: int = 10
    iterations: int | None = None

    def enough(self, passes: int, elapsed_ms: float) -> bool:
        """Whether `passes` that took `elapsed_ms` in all are enough."""
        if self.iterations is not None:
            return passes >= self.iterations
        return passes >= self.min_iterations and elapsed_ms >= self.min_duration_ms

    def warm(self, passes: int, elapsed_ms: float) -> bool:
        """Whether the warm-up is over: at least one pass and at least `warmup_ms`."""
        return passes >= 1 and elapsed_ms >= self.warmup_ms


def summarise(latencies_ms: Sequence[float]) -> Latency:
    """Statistics of at least one latency.

    Raises:
        ValueError: there is none.
    """
    if not latencies_ms:
        raise ValueError("no latencies to summarise")
    ordered = sorted(latencies_ms)
    count = len(ordered)
    mean = sum(ordered) / count
    cov = None
    if count > 1 and mean > 0:
        variance = sum((value - mean) ** 2 for value in ordered) / (count - 1)
        cov = round(100 * math.sqrt(variance) / mean, 3)
    p50, p90, p95, p99 = (_nearest_rank(ordered, percent) for percent in PERCENTS)
    return Latency(p50, p90, p95, p99, _rounded(ordered[-1]), _rounded(mean), cov, count)


def slowest_pass(count: int) -> list[str]:
    """Names of the percentiles that, of `count` passes, are the slowest one: p99 below 100."""
    return [f"p{percent}" for percent in PERCENTS if _rank(percent, count) == count]


def _nearest_rank(ordered: Sequence[float], percent: int) -> float:
    return _rounded(ordered[_rank(percent, len(ordered)) - 1])


def _rank(percent: int, count: int) -> int:
    return max(math.ceil(percent * count / 100), 1)


def _rounded(value_ms: float) -> float:
    return round(value_ms, 4)
