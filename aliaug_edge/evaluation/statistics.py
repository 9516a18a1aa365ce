"""What a set of runs says, with its uncertainty; all of it can be recomputed from the raw rows.

With v[g, s] the metric of group g and seed s (see `group_table`), G groups and n seeds:

    level       = mean over g, s of v                     every group counts the same
    seed sd     = sd over s of (mean over g of v), n − 1 in the denominator
    difference  d[g] = mean over s of (vA[g, s] − vB[g, s]);   their mean over g is `difference`
    interval    2.5 and 97.5 % of the means of draws (see `resampling`): of groups in `low`, `high`;
                of groups, and of the seeds of every fold as well, in `low_seeds`, `high_seeds`:
                there a seed's A and B stay a pair
    Wilcoxon    signed-rank test over the d[g], two-sided, zeros dropped; its effect sizes are the
                median of d and the matched-pairs rank-biserial correlation (R₊ − R₋) / (R₊ + R₋),
                R± the sums of ranks of |d| where d is above or below 0 (Kerby, 2014)
    Holm        sorted p, (m − i) · p[i] for i = 0 …, made non-decreasing, at most 1 (Holm, 1979);
                m is what was declared, not what came out
    detectable  2.8 · √(2 s² / n + g²): the difference that is found with 80 % power at the 5 %
                level (1.96 + 0.84); s² the mean of both seed variances, g the sd of the group draws

No verdict is given below `LEAST_GROUPS` groups, where Wilcoxon's p cannot reach 0.05 either, nor
with one seed.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from aliaug_edge.errors import AliAugError
from aliaug_edge.evaluation.group_table import GroupTable, group_table
from aliaug_edge.evaluation.resampling import group_draws, interval, seed_draws
from aliaug_edge.evaluation.results import Run

LEAST_GROUPS, LEAST_SEEDS = 6, 2  # of a verdict
POWER_80 = 2.8
SAME = 1e-12  # differences below it are rounding, not a rank


@dataclass(frozen=True)
class Level:
    """A condition's metric in [0, 1] with its 95 % interval over groups.

    `seed_sd` is None with one seed. `by_class` weighs the class's groups alike; `by_group` and
    `by_seed` are means over the other axis.
    """

    condition: str
    metric: str
    without: tuple[str, ...]
    groups: int
    seeds: tuple[int, ...]
    mean: float
    low: float
    high: float
    seed_sd: float | None
    by_class: dict[str, float]
    by_group: dict[str, float]
    by_seed: dict[str, float]


@dataclass(frozen=True)
class Comparison:
    """Condition `a` less condition `b` on the same groups and seeds.

    `relative` is difference / mean of b, None where that is 0. `better`, `worse`: groups where a
    is above or below b. `p_holm` and `family` (its size) are set by `holm`. `seed_sd` is that of
    the paired difference; it and `detectable` are None with one seed.
    """

    a: str
    b: str
    metric: str
    without: tuple[str, ...]
    groups: int
    seeds: tuple[int, ...]
    mean_a: float
    mean_b: float
    difference: float
    relative: float | None
    low: float
    high: float
    low_seeds: float
    high_seeds: float
    median_difference: float
    rank_biserial: float
    p_value: float
    better: int
    worse: int
    seed_sd: float | None
    detectable: float | None
    by_group: dict[str, float]
    p_holm: float | None = None
    family: int | None = None


def level(runs: Sequence[Run], metric: str = "ap", without: Iterable[str] = ()) -> Level:
    """The level of one condition over all its folds, groups and seeds.

    Raises:
        AliAugError: as `group_table`.
    """
    without = tuple(without)
    table = group_table(runs, metric, without)
    per_group = table.values.mean(axis=1)
    low, high = interval(group_draws(table.classes) @ per_group)
    per_class = {
        name: float(per_group[[shown == name for shown in table.classes]].mean())
        for name in sorted(set(table.classes))
    }
    return Level(
        condition=table.condition,
        metric=metric,
        without=without,
        groups=len(table.groups),
        seeds=table.seeds,
        mean=float(per_group.mean()),
        low=low,
        high=high,
        seed_sd=_sd(table.values.mean(axis=0)),
        by_class=per_class,
        by_group=_named(table.groups, per_group),
        by_seed=_named(table.seeds, table.values.mean(axis=0)),
    )


def compare(
    a: Sequence[Run], b: Sequence[Run], metric: str = "ap", without: Iterable[str] = ()
) -> Comparison:
    """The paired comparison of two conditions.

    Raises:
        AliAugError: as `group_table`, or the two were not tried on the same photos with the same
            seeds.
    """
    without = tuple(without)
    first, second = group_table(a, metric, without), group_table(b, metric, without)
    _require_same(first, second)
    paired = first.values - second.values
    per_group = paired.mean(axis=1)
    over_groups = group_draws(first.classes) @ per_group
    low, high = interval(over_groups)
    low_seeds, high_seeds = interval(over_groups + seed_draws(paired, first.folds))
    mean_b, difference = float(second.values.mean()), float(per_group.mean())
    return Comparison(
        a=first.condition,
        b=second.condition,
        metric=metric,
        without=without,
        groups=len(first.groups),
        seeds=first.seeds,
        mean_a=float(first.values.mean()),
        mean_b=mean_b,
        difference=difference,
        relative=difference / mean_b if mean_b else None,
        low=low,
        high=high,
        low_seeds=low_seeds,
        high_seeds=high_seeds,
        median_difference=float(np.median(per_group)),
        rank_biserial=rank_biserial(per_group),
        p_value=wilcoxon_p(per_group),
        better=int((per_group > SAME).sum()),
        worse=int((per_group < -SAME).sum()),
        seed_sd=_sd(paired.mean(axis=0)),
        detectable=_detectable(first, second, over_groups),
        by_group=_named(first.groups, per_group),
    )


def holm(comparisons: Sequence[Comparison], family: int) -> tuple[Comparison, ...]:
    """`comparisons` with `p_holm`, in the order given; `family` is the number that was declared
    beforehand. Those without a result count as if their p were 1: no failure lowers another's."""
    count = max(family, len(comparisons))
    corrected: dict[int, float] = {}
    highest = 0.0
    order = range(len(comparisons))
    for place, index in enumerate(sorted(order, key=lambda i: comparisons[i].p_value)):
        highest = max(highest, min(1.0, (count - place) * comparisons[index].p_value))
        corrected[index] = highest
    return tuple(
        replace(comparison, p_holm=corrected[index], family=count)
        for index, comparison in enumerate(comparisons)
    )


def wilcoxon_p(differences: NDArray[np.float64]) -> float:
    """Two-sided p of the signed-rank test; 1.0 where no difference is left.

    Below six differences it cannot reach 0.05, whatever they are.
    """
    from scipy.stats import wilcoxon

    kept = differences[np.abs(differences) > SAME]
    return float(wilcoxon(kept, method="auto").pvalue) if kept.size else 1.0


def rank_biserial(differences: NDArray[np.float64]) -> float:
    """Matched-pairs rank-biserial correlation in [-1, 1]; 1 where every difference is above 0."""
    from scipy.stats import rankdata

    kept = differences[np.abs(differences) > SAME]
    ranks = rankdata(np.abs(kept))
    return float((ranks * np.sign(kept)).sum() / ranks.sum()) if kept.size else 0.0


def detectable_gain(seed_sd: float, group_se: float, seeds: int) -> float:
    """The smallest gain found with 80 % power by `seeds` runs of each condition."""
    return float(POWER_80 * np.sqrt(2 * seed_sd**2 / seeds + group_se**2))


def _detectable(
    first: GroupTable, second: GroupTable, over_groups: NDArray[np.float64]
) -> float | None:
    sds = [_sd(table.values.mean(axis=0)) for table in (first, second)]
    if sds[0] is None or sds[1] is None:
        return None
    pooled = float(np.sqrt((sds[0] ** 2 + sds[1] ** 2) / 2))
    return detectable_gain(pooled, float(over_groups.std()), len(first.seeds))


def _sd(values: NDArray[np.float64]) -> float | None:
    return float(values.std(ddof=1)) if values.size > 1 else None


def _named(names: Iterable[object], values: NDArray[np.float64]) -> dict[str, float]:
    return {str(name): float(value) for name, value in zip(names, values, strict=True)}


def _require_same(first: GroupTable, second: GroupTable) -> None:
    both = f"{first.condition} and {second.condition}"
    if first.seeds != second.seeds:
        raise AliAugError(
            f"{both} ran with seeds {first.seeds} and {second.seeds}; run the missing ones, or "
            "compare the seeds that both have"
        )
    one, other = (dict(zip(t.groups, t.folds, strict=True)) for t in (first, second))
    if one != other:
        lacking = sorted(one.items() ^ other.items())[0][0]
        raise AliAugError(
            f"{both} were not tried on the same groups (group {lacking} differs); evaluate both "
            "with the same data, classes and folds"
        )
    if first.photos != second.photos or first.classes != second.classes:
        raise AliAugError(
            f"{both} were tried on the same groups but other photos of them; evaluate both with "
            "the same data"
        )
