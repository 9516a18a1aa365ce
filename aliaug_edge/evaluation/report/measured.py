"""Levels and comparisons of conditions of which some runs may be missing or have failed."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import fmean, stdev
from typing import Any

from aliaug_edge.data.samples import GOOD
from aliaug_edge.evaluation.group_table import usable_seeds
from aliaug_edge.evaluation.results import Run
from aliaug_edge.evaluation.statistics import Comparison, Level, compare, level


def measured_level(runs: Sequence[Run], metric: str, without: str | None = None) -> Level | None:
    """The level over the seeds that stand on every fold there is; None where there is none.

    Raises:
        AliAugError: the runs contradict each other.
    """
    (usable,) = _comparable([runs])
    if not _measurable(usable, metric, without):
        return None
    return level(usable, metric, _left_out(without))


def measured_comparison(
    a: Sequence[Run], b: Sequence[Run], metric: str, without: str | None = None
) -> Comparison | None:
    """`a` less `b` on the folds and seeds that both have; None where there are none.

    Raises:
        AliAugError: the runs contradict each other, or were not tried on the same photos.
    """
    first, second = _comparable([a, b])
    if not _measurable(first, metric, without) or not _measurable(second, metric, without):
        return None
    return compare(first, second, metric, _left_out(without))


def pooled_mean(runs: Sequence[Run], key: str) -> dict[str, float | None] | None:
    """Mean over folds, then over seeds, of a figure that a run has as a whole, and the seeds' sd.

    From the seeds that stand on every fold, as `measured_level`. None where no run knows it. With
    one seed the sd is None.
    """
    (usable,) = _comparable([runs])
    by_seed: dict[int, list[float]] = {}
    for run in usable:
        value = run.pooled.get(key)
        if value is not None:
            by_seed.setdefault(run.seed, []).append(value)
    if not by_seed:
        return None
    means = [fmean(by_seed[seed]) for seed in sorted(by_seed)]
    return {"mean": fmean(means), "seed_sd": stdev(means) if len(means) > 1 else None}


def level_row(found: Level | None) -> dict[str, Any] | None:
    """A level as plain data, without what the document says elsewhere."""
    if found is None:
        return None
    return {
        "mean": found.mean,
        "low": found.low,
        "high": found.high,
        "seed_sd": found.seed_sd,
        "groups": found.groups,
        "seeds": list(found.seeds),
        "by_seed": found.by_seed,
    }


def _comparable(conditions: Sequence[Sequence[Run]]) -> list[list[Run]]:
    """Of each condition, the runs on folds that all have and seeds that all have there."""
    good = [[run for run in runs if run.failed is None] for runs in conditions]
    folds = set.intersection(*({run.fold for run in runs} for runs in good))
    shared = [[run for run in runs if run.fold in folds] for runs in good]
    seeds = usable_seeds({str(number): runs for number, runs in enumerate(shared)})
    return [[run for run in runs if run.seed in seeds] for runs in shared]


def _measurable(runs: Sequence[Run], metric: str, without: str | None) -> bool:
    """Whether there is anything to average: defect photos, and for an AUROC good ones in each."""
    classes = [{image.defect_class for image in run.images} for run in runs]
    if metric == "auroc" and not all(GOOD in shown for shown in classes):
        return False
    shown = set().union(*classes) - {GOOD}
    return bool(shown - {without}) and (without is None or without in shown)


def _left_out(without: str | None) -> tuple[str, ...]:
    return () if without is None else (without,)
