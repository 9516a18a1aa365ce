"""Do seeds differ, and is what they make more than a memory of the training defects?

Distances are root mean squares over the judge's scaled statistics.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

NEAR = 5.0  # per cent of real test defects that lie this near to a train defect


def diversity(seeds: Sequence[tuple[str, Tensor]], real: Mapping[str, Tensor]) -> dict[str, Any]:
    """Mean distance between seeds at one place, beside that between real defects of a class.

    Args:
        seeds: Class and rows (n, D) of what n seeds made at one place, under one mask.
        real: Rows (n, D) of the real defects of each class. They differ in mask and photo too, so
            their distance is what seeds alone do not reach.
    """
    per_class = {}
    for name in sorted({name for name, _ in seeds}):
        ours = [d for own, rows in seeds if own == name for d in _pairwise(rows)]
        theirs = _pairwise(real[name])
        per_class[name] = {"seeds": _mean(ours), "real": _mean(theirs)}
    return {
        "seeds": _mean([row["seeds"] for row in per_class.values()]),
        "real": _mean([row["real"] for row in per_class.values()]),
        "per_class": per_class,
    }


def memorisation(
    made: Sequence[tuple[str, Tensor]],
    test: Sequence[tuple[str, Tensor]],
    train: Mapping[str, Tensor],
) -> dict[str, Any]:
    """Median distance to the nearest train defect of the class: of made and of real test defects.

    Args:
        made, test: Class and row (D,) of each defect.
        train: Rows (n, D) of the defects of each class that the generator learned from.

    `closer` is the share of made ones that are nearer to a train defect of their class than all
    but `NEAR` per cent of the real test defects of that class; `NEAR` / 100 is expected of
    defects that are as new as real ones.
    """
    ours, theirs = _nearest(made, train), _nearest(test, train)
    limits = {name: float(np.percentile(values, NEAR)) for name, values in theirs.items()}
    names = sorted(ours.keys() & theirs.keys())
    return {
        "made": _mean([float(np.median(ours[name])) for name in names]),
        "real_test": _mean([float(np.median(theirs[name])) for name in names]),
        "closer": _mean([float(np.mean(np.array(ours[n]) < limits[n])) for n in names]),
        "per_class": {
            name: {
                "made": round(float(np.median(ours[name])), 4),
                "real_test": round(float(np.median(theirs[name])), 4),
            }
            for name in names
        },
    }


def distance(first: Tensor, second: Tensor) -> float:
    """Root mean square of the difference of two rows (D,)."""
    return float((first - second).square().mean().sqrt())


def _pairwise(rows: Tensor) -> list[float]:
    return [distance(a, b) for a, b in itertools.combinations(rows, 2)]


def _nearest(
    rows: Sequence[tuple[str, Tensor]], train: Mapping[str, Tensor]
) -> dict[str, list[float]]:
    found: dict[str, list[float]] = {}
    for name, row in rows:
        if name in train:
            off = (train[name] - row).square().mean(dim=1).sqrt()
            found.setdefault(name, []).append(float(torch.min(off)))
    return found


def _mean(values: Sequence[float | None]) -> float | None:
    there = [value for value in values if value is not None]
    return round(float(np.mean(there)), 4) if there else None
