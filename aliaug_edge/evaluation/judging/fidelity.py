"""Shares of what a judge recognised, with their intervals over physical parts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

DRAWS = 10_000
LIMITS = (2.5, 97.5)


def share(
    hits: Sequence[bool], classes: Sequence[str], groups: Sequence[str], seed: int = 0
) -> dict[str, Any]:
    """The share of `hits`, every class weighing the same, and its 95 % bootstrap interval.

    A draw takes as many groups of each class as there are, with replacement; a group brings all
    its pictures. `classes` and `groups` are those of each hit.

    Raises:
        ValueError: there are no hits.
    """
    if not hits:
        raise ValueError("a share of nothing")
    rng = np.random.default_rng(seed)
    means: dict[str, float] = {}
    draws = np.zeros(DRAWS)
    for name in sorted(set(classes)):
        rows = [(g, h) for h, c, g in zip(hits, classes, groups, strict=True) if c == name]
        members = sorted({group for group, _ in rows})
        seen = np.array([sum(g == m for g, _ in rows) for m in members], dtype=np.float64)
        hit = np.array([sum(h for g, h in rows if g == m) for m in members], dtype=np.float64)
        means[name] = float(hit.sum() / seen.sum())
        chosen = rng.integers(0, len(members), (DRAWS, len(members)))
        draws += hit[chosen].sum(1) / seen[chosen].sum(1)
    low, high = np.percentile(draws / len(means), LIMITS)
    return {
        "count": len(hits),
        "groups": len(set(groups)),
        "share": round(float(np.mean(list(means.values()))), 4),
        "low": round(float(low), 4),
        "high": round(float(high), 4),
        "per_class": {name: round(value, 4) for name, value in means.items()},
    }


def confusion(
    wanted: Sequence[str], seen: Sequence[str], answers: Sequence[str]
) -> Mapping[str, Mapping[str, int]]:
    """{class wanted: {answer: count}}."""
    table = {name: dict.fromkeys(answers, 0) for name in sorted(set(wanted))}
    for want, name in zip(wanted, seen, strict=True):
        table[want][name] += 1
    return table
