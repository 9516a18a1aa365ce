"""What an evaluation says, as one plain document: `results.json`, and all that is drawn from it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, fields, replace
from functools import partial
from pathlib import Path
from typing import Any

from aliaug_edge.evaluation.conditions import Condition
from aliaug_edge.evaluation.protocol import PRIMARY_METRIC
from aliaug_edge.evaluation.report.aims import Paired, aims, nothing_added, synthetic_alone
from aliaug_edge.evaluation.report.insertions import insertion_rows
from aliaug_edge.evaluation.report.measured import (
    level_row,
    measured_comparison,
    measured_level,
    pooled_mean,
)
from aliaug_edge.evaluation.report.read import Evaluation, read_evaluation
from aliaug_edge.evaluation.report.testset import (
    describe_test_set,
    dominating_class,
    group_classes,
)
from aliaug_edge.evaluation.report.words import verdict_kind
from aliaug_edge.evaluation.results import run_path
from aliaug_edge.evaluation.statistics import Comparison, holm

SCHEMA = 1
PRIMARY = PRIMARY_METRIC
SECONDARY = ("iou", "f1", "auroc")
POOLED = ("ap", "auroc", "map50_95", "map50")
_DIGITS = 6
_CHANCES = ("p_value", "p_holm")

Document = dict[str, Any]


def summarise(out: Path) -> Document:
    """The document of `out`, a run folder that may be unfinished; equal folders, equal documents.

    Its numbers come from the per-image files that it links, rounded to six digits.

    Raises:
        AliAugError: no protocol there, a file is not what was written, or runs contradict each
            other.
    """
    evaluation = read_evaluation(out)
    test_set = describe_test_set(evaluation.runs)
    left_out = dominating_class(test_set)
    conditions = [_condition_row(evaluation, c, left_out) for c in evaluation.conditions]
    comparisons = _comparisons(evaluation)
    primary = comparisons[0]
    paired = partial(_paired, evaluation)
    alone, nothing = synthetic_alone(evaluation), nothing_added(evaluation)
    document = {
        "schema": SCHEMA,
        "quick": evaluation.is_quick,
        "planned": len(evaluation.runs) + len(evaluation.missing),
        "folds": len(evaluation.protocol["folds"]),
        "seeds": list(evaluation.protocol["seeds"]),
        "test_set": test_set,
        "left_out_class": left_out,
        "group_classes": group_classes(evaluation.runs),
        "primary": {
            **primary,
            "verdict": verdict_kind(primary, quick=evaluation.is_quick),
        },
        "primary_otherwise": _primary_otherwise(evaluation, left_out),
        "conditions": conditions,
        "comparisons": comparisons,
        "ratios": _ratio_curves(evaluation.conditions, conditions),
        "share_of_real": _shares_of_real(evaluation, paired),
        "synthetic_alone": alone.name if alone else None,
        "nothing_added": nothing.name if nothing else None,
        "aims": [] if evaluation.is_quick else aims(evaluation, paired),
        "missing": [
            {"fold": fold, "condition": name, "seed": seed}
            for fold, name, seed in evaluation.missing
        ],
        "discarded": _discarded(evaluation),
        "insertions": insertion_rows(out, len(evaluation.protocol["folds"])),
        "strays": list(evaluation.strays),
    }
    rounded: Document = _rounded(document)
    return rounded


def _condition_row(evaluation: Evaluation, condition: Condition, left_out: str | None) -> Document:
    runs = evaluation.good_runs(condition.name)
    found = measured_level(runs, PRIMARY)
    planned = len(evaluation.protocol["folds"]) * len(evaluation.protocol["seeds"])
    there = [run for run in evaluation.runs if run.condition == condition.name]
    return {
        **asdict(condition),
        "runs": {"planned": planned, "done": len(there), "failed": len(there) - len(runs)},
        "ap": level_row(found),
        "ap_without": level_row(measured_level(runs, PRIMARY, left_out)) if left_out else None,
        **{metric: level_row(measured_level(runs, metric)) for metric in SECONDARY},
        "pooled": {key: pooled_mean(runs, key) for key in POOLED},
        "by_class": found.by_class if found else {},
        "by_group": found.by_group if found else {},
        "files": [_link(evaluation.out, run.fold, run.condition, run.seed) for run in there],
    }


def _comparisons(evaluation: Evaluation) -> list[Document]:
    """The primary one first, the declared secondary ones, then the rest against classic.

    Holm's family are all of them, also those that have no result: what the protocol declares.
    """
    classic = evaluation.contrast[1]
    planned = {evaluation.contrast: "primary"}
    for a, b in evaluation.protocol["secondary"]:
        planned.setdefault((a, b), "secondary")
    for condition in evaluation.conditions:
        if condition.name != classic and (classic, condition.name) not in planned:
            planned.setdefault((condition.name, classic), "further")
    found = {pair: _compared(evaluation, pair, PRIMARY) for pair in planned}
    done = [comparison for comparison in found.values() if comparison is not None]
    corrected = {(c.a, c.b): c for c in holm(done, len(planned))}
    return [
        _comparison_row(evaluation, pair, kind, corrected.get(pair))
        for pair, kind in planned.items()
    ]


def _primary_otherwise(evaluation: Evaluation, left_out: str | None) -> list[Document]:
    """The primary pair by the secondary measures, which are Holm's family here."""
    measures: list[tuple[str, str | None]] = [(PRIMARY, left_out)] if left_out else []
    measures += [(metric, None) for metric in SECONDARY]
    pair = evaluation.contrast
    found = [_compared(evaluation, pair, metric, without) for metric, without in measures]
    done = [comparison for comparison in found if comparison is not None]
    corrected = holm(done, len(measures))
    return [_comparison_row(evaluation, pair, "secondary", row) for row in corrected]


def _compared(
    evaluation: Evaluation, pair: tuple[str, str], metric: str, without: str | None = None
) -> Comparison | None:
    a, b = (evaluation.good_runs(name) for name in pair)
    return measured_comparison(a, b, metric, without)


def _paired(evaluation: Evaluation, a: str, b: str) -> Document:
    """Any two conditions, declared or not, where no p is said of them."""
    return _comparison_row(evaluation, (a, b), "paired", _compared(evaluation, (a, b), PRIMARY))


def _comparison_row(
    evaluation: Evaluation, pair: tuple[str, str], kind: str, found: Comparison | None
) -> Document:
    """A comparison as plain data; every figure is None while there is no result."""
    values: Document = (
        asdict(replace(found, by_group={}))
        if found is not None
        else {field.name: None for field in fields(Comparison)}
    )
    del values["by_group"]
    titles = [evaluation.condition(name).title for name in pair]
    return {**values, "a": pair[0], "b": pair[1], "kind": kind, "titles": titles}


def _ratio_curves(
    conditions: Sequence[Condition], rows: Sequence[Document]
) -> dict[str, list[Document]]:
    """Levels over the ratio, for every kind of synthetic photo that is tried at several ratios."""
    curves: dict[str, list[Document]] = {}
    for condition, row in zip(conditions, rows, strict=True):
        if condition.real and condition.pool != "none" and row["ap"]:
            outlines = None if condition.bent else "not bent"
            kind = (condition.pool, condition.carrier, condition.blend, outlines)
            name = ", ".join(filter(None, kind))
            point = {key: row["ap"][key] for key in ("mean", "low", "high")}
            curves.setdefault(name, []).append(
                {"ratio": condition.ratio, "condition": condition.name, **point}
            )
    several = {name: curve for name, curve in curves.items() if len(curve) > 1}
    return {name: sorted(curve, key=lambda p: p["ratio"]) for name, curve in several.items()}


def _shares_of_real(evaluation: Evaluation, paired: Paired) -> list[Document]:
    """What synthetic photos alone reach, as a share of what real ones with classic do."""
    classic = evaluation.contrast[1]
    rows = [paired(c.name, classic) for c in evaluation.conditions if not c.real]
    return [
        {"condition": row["a"], "share": row["mean_a"] / row["mean_b"]}
        for row in rows
        if row["mean_b"]
    ]


def _discarded(evaluation: Evaluation) -> list[Document]:
    return [
        {
            "fold": run.fold,
            "condition": run.condition,
            "seed": run.seed,
            "why": run.failed,
            "file": _link(evaluation.out, run.fold, run.condition, run.seed),
        }
        for run in evaluation.runs
        if run.failed is not None
    ]


def _link(out: Path, fold: int, condition: str, seed: int) -> str:
    return run_path(out, fold, condition, seed).relative_to(out).as_posix()


def _rounded(value: Any) -> Any:
    """Floats of a document to six digits: what lies beyond differs between machines."""
    if isinstance(value, float):
        return round(value, _DIGITS)
    if isinstance(value, Mapping):
        return {k: _chance(v) if k in _CHANCES else _rounded(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [_rounded(entry) for entry in value]
    return value


def _chance(value: float | None) -> float | None:
    """A p to four significant digits: however small, it is not 0."""
    return None if value is None else float(f"{value:.3e}")
