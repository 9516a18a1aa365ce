"""The yardstick: its ends are where they belong, and what is worse scores worse."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from aliaug_edge.evaluation.judging.real_judge import Verdict
from aliaug_edge.evaluation.studies.marks import (
    Yardstick,
    fidelity_note,
    grey_levels,
    marks,
    marks_of,
    new_yardstick,
    references,
)
from aliaug_edge.evaluation.studies.study import StudySettings

NewSettings = Callable[..., StudySettings]


@pytest.fixture(scope="module")
def yardstick(new_settings: NewSettings) -> Yardstick:
    return new_yardstick(new_settings(), lambda _: None)


def test_the_real_photo_has_no_distance_and_nothing_inserted_has(yardstick: Yardstick) -> None:
    ends = references(yardstick)
    assert ends["the real photo"]["l1"] == [0] and ends["the real photo"]["features"] == [0]
    assert ends["nothing inserted"]["l1"][0] > 1
    assert ends["nothing inserted"]["features"][0] > 0.01
    assert ends["nothing inserted"]["outside"] == [0]


def test_half_of_the_defect_is_half_the_distance(yardstick: Yardstick) -> None:
    scenes = yardstick.scenes
    mean = [((s.good.astype(float) + s.truth) / 2).round().astype(np.uint8) for s in scenes]
    half, whole = marks_of(yardstick, scenes, mean), references(yardstick)["nothing inserted"]
    assert half["l1"][0] == pytest.approx(whole["l1"][0] / 2, rel=0.05)
    assert 0 < half["features"][0] < whole["features"][0]


def test_every_class_weighs_the_same(yardstick: Yardstick) -> None:
    crack = [s for s in yardstick.scenes if s.defect_class == "crack"]
    stain = [s for s in yardstick.scenes if s.defect_class == "stain"]
    alone = [marks_of(yardstick, part, [s.good for s in part])["l1"][0] for part in (crack, stain)]
    uneven = [*crack, *stain, *stain, *stain]
    together = marks_of(yardstick, uneven, [s.good for s in uneven])["l1"][0]
    assert together == pytest.approx(sum(alone) / 2)


def test_blending_keeps_what_is_outside(yardstick: Yardstick) -> None:
    scenes = yardstick.scenes
    black = np.full((len(scenes), 32, 32, 3), -1, np.float32)
    outside = {m: marks(yardstick, scenes, black, m)["outside"][0] for m in ("hard", "none")}
    assert outside["none"] > 5 * outside["hard"]


def test_fidelity_is_the_judge_s_word(yardstick: Yardstick) -> None:
    made = [s.truth for s in yardstick.scenes]
    for empty, fidelity in ((False, 0.5), (True, 0.0)):
        says = Verdict("crack", empty)
        always = replace(yardstick, judge=lambda images, _, says=says: [says] * len(images))
        assert marks_of(always, always.scenes, made)["fidelity"] == [fidelity]


def test_fidelity_stands_beside_its_ceiling_and_chance(yardstick: Yardstick) -> None:
    ends = references(yardstick)
    assert ends["guessing the class"] == {"fidelity": [0.5]}
    for end in ("nothing inserted", "the real photo"):
        assert 0 <= ends[end]["fidelity"][0] <= 1


def test_fidelity_to_a_single_class_is_against_good_surface(new_settings: NewSettings) -> None:
    alone = new_yardstick(new_settings(classes=("crack",)), lambda _: None)
    ends = references(alone)
    assert ends["guessing the class or nothing"] == {"fidelity": [0.5]}
    for says, fidelity in ((Verdict("crack", empty=False), 1.0), (Verdict("crack", empty=True), 0)):
        always = replace(alone, judge=lambda images, _, says=says: [says] * len(images))
        made = [s.truth for s in alone.scenes]
        assert marks_of(always, alone.scenes, made)["fidelity"] == [fidelity]
    assert "likelier than good surface" in fidelity_note(alone.classes)
    assert "likelier than good surface" not in fidelity_note(("crack", "stain"))


def test_grey_levels_are_of_the_pixels_asked_for() -> None:
    a, b = np.zeros((4, 4, 3), np.uint8), np.zeros((4, 4, 3), np.uint8)
    b[0, 0] = 200
    where = np.zeros((4, 4), bool)
    assert grey_levels(a, b, where) == 0
    where[0, :2] = True
    assert grey_levels(a, b, where) == 100
