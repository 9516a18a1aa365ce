"""The order in which the detectors of an evaluation are trained."""

from __future__ import annotations

from pathlib import Path

from aliaug_edge.evaluation.conditions import DEFAULT, chosen_conditions
from aliaug_edge.evaluation.detecting import all_pieces
from aliaug_edge.evaluation.folds import Fold
from aliaug_edge.evaluation.protocol import EvaluationSettings

CONDITIONS = chosen_conditions(DEFAULT)
FOLDS = (Fold(0, (), (), (), ()), Fold(1, (), (), (), ()))
PIECES = all_pieces(EvaluationSettings(Path("data"), seeds=3), FOLDS, CONDITIONS, Path("out"))


def test_every_condition_is_trained_once_on_each_fold_with_each_seed():
    made = {(piece.fold.number, piece.condition.name, piece.seed) for piece in PIECES}
    assert len(made) == len(PIECES) == 2 * 3 * len(CONDITIONS)


def test_a_seed_is_finished_before_the_next_one_begins():
    seeds = [piece.seed for piece in PIECES]
    assert seeds == sorted(seeds)


def test_no_process_is_left_with_a_long_detector_at_the_end():
    last = [piece.condition for piece in PIECES[-len(CONDITIONS) :]]
    assert [c.ratio for c in last] == sorted((c.ratio for c in last), reverse=True)
