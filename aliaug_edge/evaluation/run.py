"""`ali-aug evaluate`: protocol → pools and generators → detectors → report, and where it left off.

Everything lies in one folder, each piece is written whole or not at all, and what is there is not
made again: the same command continues an evaluation that was killed, to the same result.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from aliaug_edge import lock
from aliaug_edge.data.notes import data_notes, say_notes
from aliaug_edge.data.reader import load_dataset
from aliaug_edge.errors import AliAugError
from aliaug_edge.evaluation.conditions import DEFAULT, QUICK, Condition, chosen_conditions
from aliaug_edge.evaluation.countdown import countdown
from aliaug_edge.evaluation.detecting import all_pieces, default_workers, run_pieces, set_aside
from aliaug_edge.evaluation.folds import Fold, evaluation_folds, with_fewer, with_fewer_goods
from aliaug_edge.evaluation.generators import generator_document, given_bundle
from aliaug_edge.evaluation.leaks import require_no_leak, require_not_trained_on
from aliaug_edge.evaluation.photos import read_photos
from aliaug_edge.evaluation.pooling import make_pools
from aliaug_edge.evaluation.protocol import EvaluationSettings, declare, protocol_document

MOST_GOODS = 400  # to learn from; more would add hours, and little else
MOST_TEST_GOODS = 150  # trying a detector on more takes longer than training it
Say = Callable[[str], None]


def evaluate(
    settings: EvaluationSettings, out: Path, *, workers: int | None = None, say: Say
) -> dict[str, Any]:
    """Evaluate, or continue the evaluation in `out`; returns the document of its `results.json`.

    Raises:
        DataError: the data cannot be used, or test photos are among those to learn from.
        OutputError: `out` holds something else, or another run is at it.
        AliAugError: a setting; or, when everything else is done and reported, a pool or a generator
            that could not be made.
    """
    from aliaug_edge.evaluation.report.write import REPORT, RESULTS, write_report

    conditions = chosen_conditions(settings.conditions or (QUICK if settings.quick else DEFAULT))
    folds = evaluation_folds(
        settings.data,
        groups=settings.groups,
        pool=settings.pool,
        seed=settings.seed,
        classes=settings.classes,
        exchange=settings.exchange,
    )
    if settings.max_defects:
        few = settings.max_defects
        folds = tuple(with_fewer(fold, few, settings.data, settings.seed) for fold in folds)
    whole = folds
    folds = tuple(with_fewer_goods(fold, MOST_GOODS, MOST_TEST_GOODS) for fold in whole)
    notes = [*_data_notes(settings), *_left_out(whole, folds)]
    say_notes(notes, settings.data, say)
    _check_leaks(settings, folds, say)
    _check_bundle(settings, folds, conditions)
    with lock.exclusive(out):
        declare(
            out,
            protocol_document(
                settings,
                folds,
                conditions,
                _detector_document(settings),
                generator_document(settings, folds[0]),
                notes,
            ),
        )
        say(f"{out}: the protocol is declared; {_amount(settings, folds, conditions)}")
        lost = {
            (fold.number, name): why
            for fold in folds
            for name, why in make_pools(settings, fold, conditions, out, say).items()
        }
        pieces = all_pieces(settings, folds, conditions, out)
        set_aside(pieces, lost)
        count = workers or default_workers(settings, folds)
        run_pieces(pieces, count, countdown(say))
        write_report(out)
    if lost:
        raise AliAugError(_without(lost, out / REPORT))
    document: dict[str, Any] = json.loads((out / RESULTS).read_text(encoding="utf-8"))
    return document


def _data_notes(settings: EvaluationSettings) -> list[str]:
    dataset = load_dataset(
        settings.data,
        groups=settings.groups,
        pool=settings.pool,
        seed=settings.seed,
        classes=settings.classes,
    )
    notes = data_notes(dataset)
    groups = settings.groups
    return [n.replace(str(groups), groups.name) for n in notes] if groups else notes


def _left_out(whole: Sequence[Fold], folds: Sequence[Fold]) -> list[str]:
    """Notes on good photos beyond what takes part."""
    return [
        f"fold {fold.number}: {len(taken)} of {len(there)} good photos {use}"
        for before, fold in zip(whole, folds, strict=True)
        for there, taken, use in (
            (before.train_good, fold.train_good, "are learned from"),
            (before.test_good, fold.test_good, "are tried on"),
        )
        if len(taken) < len(there)
    ]


def _check_leaks(settings: EvaluationSettings, folds: Sequence[Fold], say: Say) -> None:
    """Refuse folds of which a test photo can be learned from, under whatever name."""
    for fold in folds:
        say(f"fold {fold.number}: looking for test photos among those to learn from")
        require_no_leak(
            read_photos([*fold.train, *fold.train_good], settings.data),
            read_photos([*fold.test, *fold.test_good], settings.data),
        )


def _check_bundle(
    settings: EvaluationSettings, folds: Sequence[Fold], conditions: Sequence[Condition]
) -> None:
    """Refuse a bundle of the user's that cannot serve, or that knows what it would be tried on."""
    if settings.bundle is None:
        return
    if len(folds) > 1:
        raise AliAugError(
            f"--bundle {settings.bundle} has learned from one side of the data, and there are "
            f"{len(folds)} folds: give --folds 1, or leave --bundle out"
        )
    for carrier in sorted({c.carrier for c in conditions if c.carrier is not None}):
        bundle = given_bundle(settings.bundle, carrier)
        for name in folds[0].classes:
            bundle.class_spec(name)
        test = read_photos([*folds[0].test, *folds[0].test_good], settings.data)
        require_not_trained_on(bundle, test)


def _detector_document(settings: EvaluationSettings) -> dict[str, Any]:
    if settings.detector == "ultralytics":
        from aliaug_edge.evaluation.detector.ultralytics import settings_for

        return dataclasses.asdict(settings_for(settings.detector_steps))
    from aliaug_edge.evaluation.detector.fit import FitSettings

    return dataclasses.asdict(FitSettings(steps=settings.detector_steps))


def _without(lost: Mapping[tuple[int, str], str], report: Path) -> str:
    (fold, name), why = next(iter(lost.items()))
    more = f"; and {len(lost) - 1} more" if len(lost) > 1 else ""
    return (
        f"not every pool could be made: {name} of fold {fold}: {why}{more}; what needs them is "
        f"reported as discarded, the rest is in {report}; mend the cause and start again"
    )


def _amount(
    settings: EvaluationSettings, folds: Sequence[Fold], conditions: Sequence[Condition]
) -> str:
    return (
        f"{len(folds)} fold(s), {len(conditions)} conditions, {settings.seeds} seeds: "
        f"{len(folds) * len(conditions) * settings.seeds} detectors"
    )
