"""What detectors make of it: real, synthetic or both, how much of it, and from how many defects.

Both studies are `ali-aug evaluate` with conditions of their own; intervals over groups, the
protocol and the raw scores lie in the evaluations inside the study's folder.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from aliaug_edge.errors import AliAugError
from aliaug_edge.evaluation.folds import first_fold
from aliaug_edge.evaluation.protocol import EvaluationSettings
from aliaug_edge.evaluation.run import evaluate
from aliaug_edge.evaluation.studies.study import (
    Measure,
    Parts,
    Result,
    Row,
    Say,
    StudySettings,
)

RATIOS = (0.5, 1.0, 2.0, 5.0)
MIXES = ("none", "classic", "cas-text-1x", *(f"nas-text-{ratio:g}x" for ratio in RATIOS))
PAIR = ("classic", "nas-text-1x")
SIZES, QUICK_SIZES = (5, 10, 20, 50), (5, 10)
QUICK_DETECTOR_STEPS = 60
Document = dict[str, Any]
MEASURES = (
    Measure("ap", "AP per image", "higher"),
    Measure("iou", "IoU", "higher"),
    Measure("f1", "F1", "higher"),
    Measure("auroc", "image AUROC", "higher"),
)
NOTES = (
    "The numbers are means over test groups, one per seed. Intervals over groups, paired "
    "differences and the protocol are in the report of the evaluation in this folder.",
    "Every detector sees the same number of real defect crops in the same number of steps; "
    "synthetic crops are added.",
)


def real_synthetic(settings: StudySettings, parts: Parts, say: Say) -> Result:
    """Real defects, synthetic ones, and both at several ratios.

    Raises:
        AliAugError: as `evaluate`.
    """
    document = _evaluated(settings, MIXES, 0, parts.out / "evaluation", say)
    return Result(
        "real-synthetic",
        "Real against synthetic against both",
        "seeds",
        MEASURES,
        tuple(_rows(document, "mix")),
        NOTES,
    )


def data_size(settings: StudySettings, parts: Parts, say: Say) -> Result:
    """Classic augmentation against ours, learning from 5, 10, 20, 50 and all real defects.

    The generator learns from the same few. Sizes that the data cannot give are left out.

    Raises:
        AliAugError: as `evaluate`.
    """
    fold = first_fold(
        Path(settings.data),
        groups=Path(settings.groups) if settings.groups else None,
        pool=settings.pool,
        seed=settings.seed,
        classes=settings.classes,
    )
    sizes = QUICK_SIZES if settings.quick else SIZES
    chosen = [n for n in sizes if len(fold.classes) <= n < len(fold.train)]
    if not settings.quick:
        chosen.append(0)
    if not chosen:
        raise AliAugError(
            f"{settings.data}: {len(fold.train)} train defects of {len(fold.classes)} classes are "
            f"too few for sizes {', '.join(map(str, sizes))}"
        )
    rows: list[Row] = []
    for count in chosen:
        amount = f"{count or len(fold.train)} defects"
        folder = parts.out / f"evaluation-{count or 'all'}"
        document = _evaluated(settings, PAIR, count, folder, say)
        rows += _rows(document, amount)
    return Result(
        "data-size",
        "Gain over the number of real defects",
        "seeds",
        MEASURES,
        tuple(rows),
        (*NOTES, "The larger sets contain the smaller ones."),
    )


def _evaluated(
    settings: StudySettings, conditions: tuple[str, ...], count: int, out: Path, say: Say
) -> Document:
    steps = QUICK_DETECTOR_STEPS if settings.quick else EvaluationSettings.detector_steps
    return evaluate(
        EvaluationSettings(
            data=Path(settings.data),
            groups=Path(settings.groups) if settings.groups else None,
            pool=settings.pool,
            classes=settings.classes,
            max_defects=count,
            conditions=conditions,
            seeds=1 if settings.quick else settings.budget.seeds,
            exchange=False if settings.quick else None,
            detector_steps=steps,
            generator_steps=settings.budget.steps,
            base=settings.base,
            seed=settings.seed,
            quick=settings.quick,
        ),
        out,
        say=say,
    )


def _rows(document: Document, factor: str) -> Iterator[Row]:
    for row in document["conditions"]:
        label = row["title"] if factor == "mix" else f"{factor}, {row['name']}"
        yield Row(factor, label, {m.key: _by_seed(row[m.key]) for m in MEASURES})


def _by_seed(level: Document | None) -> list[float]:
    return [] if level is None else [float(value) for value in level["by_seed"].values()]
