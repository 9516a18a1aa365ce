"""How far a mean over groups would move with other groups, or other seeds: by drawing them again.

`DRAWS` draws of G groups with replacement, each stratum drawing as many as it has. A stratum is a
class of at least 6 groups; smaller classes are one together, with the smallest of the others where
that is still below 6. Draws of n groups spread too little: a stratum's are widened by
√(n / (n − 1)) · t / 1.96, t the 97.5 % point of Student's with G − strata degrees of freedom
(Hesterberg, 2015).

In simulations with no true difference, 1 to 5 classes of 1 to 20 groups each (6 at least in all),
2.1 to 2.9 % of the intervals lie above zero, or fewer where small classes differ in their means.
With one group in all there is nothing to draw from, and the interval is a point.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

DRAWS = 10_000
DRAW_SEED = 20_261
LIMITS = (2.5, 97.5)
NORMAL = 1.96
LEAST_STRATUM = 6  # groups


def group_draws(classes: Sequence[str]) -> NDArray[np.float64]:
    """Weights (DRAWS, groups), each row adding up to 1: how often a draw took each group / G,
    widened so that 95 % of the means of few groups hold what is true."""
    from scipy.stats import t

    rng = np.random.default_rng(DRAW_SEED)
    strata = _strata(classes)
    student = t.ppf(0.975, max(len(classes) - len(strata), 1)) / NORMAL
    weights = np.ones((DRAWS, len(classes)))
    for members in strata:
        count = len(members)
        widened = student * np.sqrt(count / max(count - 1, 1))
        weights[:, members] += widened * (_times_drawn(rng, count) - 1)
    return weights / len(classes)


def seed_draws(paired: NDArray[np.float64], folds: Sequence[int]) -> NDArray[np.float64]:
    """How far each draw of the seeds moves the mean of `paired` (groups, seeds): (DRAWS,).

    Every fold draws its own: the detectors of two folds are different ones, though a seed's number
    is the same.
    """
    rng = np.random.default_rng(DRAW_SEED + 1)
    groups, seeds = paired.shape
    moved = np.zeros(DRAWS)
    for fold in sorted(set(folds)):
        members = np.flatnonzero([number == fold for number in folds])
        moved += (_times_drawn(rng, seeds) - 1) @ paired[members].sum(axis=0) / (groups * seeds)
    return moved


def interval(means: NDArray[np.float64]) -> tuple[float, float]:
    """The 95 % interval of `means` (DRAWS,)."""
    low, high = np.percentile(means, LIMITS)
    return float(low), float(high)


def _strata(classes: Sequence[str]) -> list[NDArray[np.intp]]:
    """The groups (their indices) that are drawn among themselves, by name of class."""
    members = {
        name: np.flatnonzero([shown == name for shown in classes]) for name in sorted(set(classes))
    }
    by_size = sorted(members.values(), key=len)
    few = [found for found in by_size if len(found) < LEAST_STRATUM]
    many = by_size[len(few) :]
    if few and many and sum(map(len, few)) < LEAST_STRATUM:
        few.append(many.pop(0))
    return [*([np.sort(np.concatenate(few))] if few else []), *many]


def _times_drawn(rng: np.random.Generator, count: int) -> NDArray[np.float64]:
    """(DRAWS, count): how often each of `count` things was drawn in `count` draws with return."""
    drawn = rng.integers(0, count, size=(DRAWS, count))
    offsets = np.arange(DRAWS)[:, None] * count
    times = np.bincount((drawn + offsets).ravel(), minlength=DRAWS * count)
    return times.reshape(DRAWS, count).astype(np.float64)
