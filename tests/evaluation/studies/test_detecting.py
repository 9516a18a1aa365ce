"""Studies of detectors: which evaluations they ask for, and how its levels become rows."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from aliaug_edge.errors import AliAugError
from aliaug_edge.evaluation.conditions import chosen_conditions
from aliaug_edge.evaluation.protocol import EvaluationSettings
from aliaug_edge.evaluation.studies import detecting
from aliaug_edge.evaluation.studies.detecting import MIXES, PAIR, data_size, real_synthetic
from aliaug_edge.evaluation.studies.study import Parts, StudySettings

NewSettings = Callable[..., StudySettings]
Asked = list[tuple[EvaluationSettings, Path]]


def quiet(line: str) -> None:
    del line


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> Asked:
    """What was asked of `evaluate`, which answers with the levels of its conditions' places."""
    seen: Asked = []

    def answer(settings: EvaluationSettings, out: Path, *, say: object) -> dict[str, Any]:
        del say
        seen.append((settings, out))
        rows = []
        for number, condition in enumerate(chosen_conditions(settings.conditions)):
            level = {"by_seed": {str(s): number / 10 + s / 100 for s in range(settings.seeds)}}
            rows.append({**vars(condition), "ap": level, "iou": level, "f1": level, "auroc": None})
        return {"conditions": rows}

    monkeypatch.setattr(detecting, "evaluate", answer)
    return seen


def test_real_and_synthetic_are_one_evaluation(
    tmp_path: Path, new_settings: NewSettings, asked: Asked
) -> None:
    result = real_synthetic(new_settings(quick=False), Parts(tmp_path), quiet)
    ((settings, out),) = asked
    assert settings.conditions == MIXES and out == tmp_path / "evaluation"
    assert (settings.detector_steps, settings.exchange) == (EvaluationSettings.detector_steps, None)
    assert len(result.rows) == len(MIXES)
    assert result.rows[2].values == {"ap": [0.2], "iou": [0.2], "f1": [0.2], "auroc": []}


def test_every_number_of_defects_is_an_evaluation_of_its_own(
    tmp_path: Path, new_settings: NewSettings, asked: Asked
) -> None:
    result = data_size(new_settings(quick=False), Parts(tmp_path), quiet)
    assert [s.max_defects for s, _ in asked] == [5, 0]  # six train defects: 10, 20, 50 are too many
    assert [out.name for _, out in asked] == ["evaluation-5", "evaluation-all"]
    assert all(s.conditions == PAIR for s, _ in asked)
    assert [row.label for row in result.rows] == [
        "5 defects, classic", "5 defects, nas-text-1x",
        "6 defects, classic", "6 defects, nas-text-1x",
    ]  # fmt: skip


def test_quick_is_one_seed_short_and_marked(
    tmp_path: Path, new_settings: NewSettings, asked: Asked
) -> None:
    real_synthetic(new_settings(), Parts(tmp_path), quiet)
    settings = asked[0][0]
    assert settings.quick and settings.seeds == 1 and settings.exchange is False
    assert settings.detector_steps < 100


def test_too_few_defects_for_any_size_are_refused(
    tmp_path: Path, new_settings: NewSettings, asked: Asked, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(detecting, "QUICK_SIZES", (10, 20))
    with pytest.raises(AliAugError, match="6 train defects of 2 classes are too few"):
        data_size(new_settings(), Parts(tmp_path), quiet)
    assert not asked
