"""From per-image scores to one number per physical part and seed, which all statistics rest on.

    value[group, seed] = mean over the group's defect images of the image's metric

A group lies in the test side of one fold, so the folds' groups stand together in one table. Of the
metrics, `ap`, `iou` and `f1` are those of `ImageScore`. `auroc` is an image's share of the area
under the ROC curve: the share of the run's good test photos whose score is lower (a tie counts
half); its plain mean over a run's defect images is that run's AUROC (DeLong et al., 1988).
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from aliaug_edge.data.samples import GOOD
from aliaug_edge.errors import AliAugError
from aliaug_edge.evaluation.results import ImageScore, Run

METRICS = ("ap", "iou", "f1", "auroc")


@dataclass(frozen=True, eq=False)
class GroupTable:
    """One condition's metric: `values` (groups, seeds) float64.

    Per group: its `groups` name, the `classes` it shows ("crack", or "crack+pit"), the number of
    its fold, and the names of its defect `photos`. Groups are ordered by class, then by name.
    """

    condition: str
    metric: str
    groups: tuple[str, ...]
    classes: tuple[str, ...]
    folds: tuple[int, ...]
    photos: tuple[tuple[str, ...], ...]
    seeds: tuple[int, ...]
    values: NDArray[np.float64]


def group_table(runs: Sequence[Run], metric: str = "ap", without: Iterable[str] = ()) -> GroupTable:
    """The table of one condition from its runs on all folds and seeds, photos of the classes
    `without` left out.

    Raises:
        AliAugError: no runs, runs of several conditions, a run twice or failed, folds with other
            seeds than each other, seeds with other photos, a group in two folds, a score that is
            missing, or nothing left to average.
    """
    condition = _one_condition(runs)
    left_out = _known_classes(runs, without)
    seeds = _common_seeds(runs, condition)
    cells: dict[int, dict[int, dict[str, dict[str, float]]]] = defaultdict(dict)
    shown: dict[str, set[str]] = defaultdict(set)
    for run in runs:
        defects = [s for s in run.images if s.defect_class not in (GOOD, *left_out)]
        cells[run.fold][run.seed] = _by_group(run, defects, metric)
        for score in defects:
            shown[score.group].add(score.defect_class)
    fold_of = _fold_of_groups(cells, seeds, condition)
    if not fold_of:
        raise AliAugError(f"{condition}: no defect photos to average; keep at least one class")
    classes = {group: "+".join(sorted(names)) for group, names in shown.items()}
    groups = sorted(fold_of, key=lambda group: (classes[group], group))
    values = [
        [float(np.mean(list(cells[fold_of[g]][s][g].values()))) for s in seeds] for g in groups
    ]
    return GroupTable(
        condition=condition,
        metric=metric,
        groups=tuple(groups),
        classes=tuple(classes[group] for group in groups),
        folds=tuple(fold_of[group] for group in groups),
        photos=tuple(tuple(sorted(cells[fold_of[g]][seeds[0]][g])) for g in groups),
        seeds=seeds,
        values=np.array(values, dtype=np.float64),
    )


def image_auroc(run: Run) -> float:
    """Area under the ROC curve of the image scores, defect against good; 0.5 is chance.

    Raises:
        AliAugError: the run has no defect or no good photos.
    """
    defects = [score for score in run.images if score.defect_class != GOOD]
    if not defects:
        raise AliAugError(f"{_name(run)} has no defect photos; an AUROC needs both kinds")
    return float(np.mean(list(_metric_values(run, defects, "auroc").values())))


def usable_seeds(conditions: Mapping[str, Sequence[Run]]) -> tuple[int, ...]:
    """Seeds whose runs succeeded on every fold of every condition: those that can be compared."""
    folds = {run.fold for runs in conditions.values() for run in runs}
    wanted = len(folds) * len(conditions)
    good = Counter(run.seed for runs in conditions.values() for run in runs if run.failed is None)
    return tuple(sorted(seed for seed, count in good.items() if count == wanted))


def _by_group(run: Run, defects: Sequence[ImageScore], metric: str) -> dict[str, dict[str, float]]:
    """{group: {photo: value}} of one run."""
    values = _metric_values(run, defects, metric)
    table: dict[str, dict[str, float]] = defaultdict(dict)
    for score in defects:
        table[score.group][score.name] = values[score.name]
    return dict(table)


def _metric_values(run: Run, defects: Sequence[ImageScore], metric: str) -> dict[str, float]:
    if metric not in METRICS:
        raise AliAugError(f"unknown metric {metric!r}; expected {', '.join(METRICS)}")
    if metric == "auroc":
        return _shares_of_auroc(run, defects)
    values: dict[str, float] = {}
    for score in defects:
        value = getattr(score, metric)
        if value is None or not np.isfinite(value):
            raise AliAugError(f"{_name(run)}: photo {score.name} has no {metric}; run it again")
        values[score.name] = float(value)
    return values


def _shares_of_auroc(run: Run, defects: Sequence[ImageScore]) -> dict[str, float]:
    goods = np.sort([score.score for score in run.images if score.defect_class == GOOD])
    if not goods.size:
        raise AliAugError(f"{_name(run)} has no good test photos; an AUROC needs both kinds")
    scores = [score.score for score in defects]
    if not np.isfinite([*goods, *scores]).all():  # it would pass for the highest score of all
        raise AliAugError(f"{_name(run)}: a photo's score is not a number; run it again")
    below = np.searchsorted(goods, scores, "left") + np.searchsorted(goods, scores, "right")
    shares = below / (2 * goods.size)
    return {score.name: float(share) for score, share in zip(defects, shares, strict=True)}


def _one_condition(runs: Sequence[Run]) -> str:
    conditions = sorted({run.condition for run in runs})
    if len(conditions) != 1:
        raise AliAugError(
            f"expected the runs of one condition, got those of {', '.join(conditions) or 'none'}"
        )
    for run in runs:
        if run.failed is not None:
            raise AliAugError(
                f"{_name(run)} failed ({run.failed}); compare the seeds that every condition has"
            )
    return conditions[0]


def _known_classes(runs: Sequence[Run], without: Iterable[str]) -> frozenset[str]:
    left_out = frozenset([without] if isinstance(without, str) else without)
    known = {score.defect_class for run in runs for score in run.images} - {GOOD}
    if unknown := sorted(left_out - known):
        raise AliAugError(
            f"cannot leave out {', '.join(unknown)}: "
            f"the test photos show {', '.join(sorted(known))}"
        )
    return left_out


def _common_seeds(runs: Sequence[Run], condition: str) -> tuple[int, ...]:
    """The seeds, once it is sure that each fold has them all, each once."""
    seeds: dict[int, list[int]] = defaultdict(list)
    for run in runs:
        seeds[run.fold].append(run.seed)
    first_fold = min(seeds)
    first = sorted(seeds[first_fold])
    if len(set(first)) != len(first):
        raise AliAugError(f"{condition}, fold {first_fold}: seeds {first} name one of them twice")
    for fold in sorted(seeds):
        if sorted(seeds[fold]) != first:
            raise AliAugError(
                f"{condition}: fold {first_fold} has seeds {first}, fold {fold} has "
                f"{sorted(seeds[fold])}; run the missing ones, or leave out those not shared"
            )
    return tuple(first)


def _fold_of_groups(
    cells: Mapping[int, Mapping[int, Mapping[str, Mapping[str, float]]]],
    seeds: Sequence[int],
    condition: str,
) -> dict[str, int]:
    """{group: fold}, once it is sure that no group is tried twice and seeds saw the same photos."""
    fold_of: dict[str, int] = {}
    for fold in sorted(cells):
        photos = {s: {g: sorted(row) for g, row in cells[fold][s].items()} for s in seeds}
        for seed in seeds[1:]:
            if photos[seed] != photos[seeds[0]]:
                raise AliAugError(
                    f"{condition}, fold {fold}: seeds {seeds[0]} and {seed} were tried on other "
                    "photos; remove the older runs, and they are made again"
                )
        for group in photos[seeds[0]]:
            if fold_of.setdefault(group, fold) != fold:
                raise AliAugError(
                    f"{condition}: group {group} is tried in fold {fold_of[group]} and fold "
                    f"{fold}; a group belongs to the test side of one fold"
                )
    return fold_of


def _name(run: Run) -> str:
    return f"{run.condition}, fold {run.fold}, seed {run.seed}"
