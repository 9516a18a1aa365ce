"""Conditions differ in what they say, and are chosen by name."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from aliaug_edge.data.samples import Sample
from aliaug_edge.errors import AliAugError
from aliaug_edge.evaluation.conditions import (
    BASELINE,
    DEFAULT,
    QUICK,
    all_conditions,
    chosen_conditions,
)
from aliaug_edge.evaluation.folds import Fold
from aliaug_edge.evaluation.protocol import EvaluationSettings, pool_size, protocol_document
from aliaug_edge.imaging import encode_png


def test_names_are_unique_and_fit_folders():
    names = [condition.name for condition in all_conditions()]
    assert len(set(names)) == len(names)
    assert all(set(name) <= set("abcdefghijklmnopqrstuvwxyz0123456789.-") for name in names)


def test_the_default_has_all_kinds_and_no_more_than_ten():
    chosen = chosen_conditions(DEFAULT)
    assert 8 <= len(chosen) <= 10
    assert {c.pool for c in chosen} == {"none", "copy-paste", "perlin", "cutpaste", "generated"}
    assert [c.real for c in chosen].count(False) == 1
    assert [c.augment for c in chosen].count(False) == 1


def test_every_ratio_carrier_and_blend_can_be_asked_for():
    generated = [c for c in all_conditions() if c.pool == "generated"]
    assert {c.ratio for c in generated if c.real} == {0.5, 1.0, 2.0, 5.0}
    assert {c.carrier for c in generated} == {"text", "colour"}
    assert {c.blend for c in generated} == {"feather", "hard", "none"}


def test_quick_is_a_part_of_the_default():
    assert set(QUICK) <= set(DEFAULT)


def test_conditions_come_in_report_order_whatever_the_order_asked_for():
    chosen = chosen_conditions(("nas-text-1x", BASELINE))
    assert [c.name for c in chosen] == [BASELINE, "nas-text-1x"]
    assert chosen_conditions(("all",)) == all_conditions()


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (("classic", "magic"), "unknown magic; known are none, classic"),
        (("classic", "classic"), "names one twice"),
        (("nas-text-1x",), "classic is what all others are compared with"),
    ],
)
def test_wrong_choices_are_one_line(names, message):
    with pytest.raises(AliAugError, match=message):
        chosen_conditions(names)


def declared(*names: str) -> dict:
    settings = EvaluationSettings(data=Path("parts"))
    return protocol_document(settings, (), chosen_conditions(names), {}, {})


def test_the_default_asks_first_whether_two_generated_per_real_one_help():
    found = declared(*DEFAULT)
    assert found["primary"]["contrast"] == ["nas-text-2x", BASELINE]
    assert found["secondary"][0] == ["nas-text-2x", "copy-paste-2x"]
    against_classic = {a for a, b in found["secondary"] if b == BASELINE}
    assert against_classic == set(DEFAULT) - {BASELINE, "nas-text-2x"}


def test_without_ours_another_augmentation_decides_and_not_the_lack_of_one():
    found = declared("none", BASELINE, "copy-paste-2x", "perlin-1x")
    assert found["primary"]["contrast"] == ["copy-paste-2x", BASELINE]
    assert declared("none", BASELINE)["primary"]["contrast"] == ["none", BASELINE]


def test_ours_is_compared_with_as_many_pasted_defects_where_both_are_tried():
    assert declared(*QUICK)["secondary"][0] == ["nas-text-1x", "copy-paste-1x"]
    assert declared(BASELINE, "copy-paste-1x", "nas-text-2x")["secondary"] == [
        ["copy-paste-1x", BASELINE]
    ]
    assert declared(BASELINE, "copy-paste-1x")["secondary"] == []


def test_what_bending_does_is_told_from_what_the_generator_does():
    found = declared(BASELINE, "copy-paste-2x", "nas-text-2x", "nas-text-2x-unbent")["secondary"]
    assert ["nas-text-2x", "nas-text-2x-unbent"] in found
    assert ["nas-text-2x-unbent", "copy-paste-2x"] in found


@pytest.mark.parametrize(
    ("photos", "side", "count"),
    [(2, 64, 100), (5, 64, 200), (30, 64, 800), (30, 900, 331), (30, 2500, 42), (2, 6000, 12)],
)
def test_a_pool_grows_with_the_real_defects_and_ends_at_a_gibibyte(tmp_path, photos, side, count):
    path = tmp_path / "photo.png"
    path.write_bytes(encode_png(np.zeros((side, side, 3), np.uint8)))
    sample = Sample(path, None, "crack", "part", "train")
    fold = Fold(0, (sample,) * photos, (), (), ())
    assert pool_size(fold, quick=False) == count
    assert pool_size(fold, quick=True) == min(count, 100)
