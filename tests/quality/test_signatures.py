"""Real parts, real failures: each signature is found where it is, and only there."""

from __future__ import annotations

import json
import time

import numpy as np
import pytest

from aliaug_edge.data.procedural import DEFECT_CLASSES, render_pair
from aliaug_edge.quality.broken import SHOWS, broken
from aliaug_edge.quality.calibration import (
    ANY,
    FALSE_REJECTS,
    Real,
    calibrate,
    tolerance_factor,
)
from aliaug_edge.quality.limits import (
    document,
    from_document,
    judge,
    signature_scores,
)
from aliaug_edge.quality.signatures import SIDES

CLASSES = ("crack", "stain", "blowhole")


def drawn(seeds: range, side: int = 96) -> list[Real]:
    """Drawn defects of `CLASSES`, in turn."""
    found = []
    for seed in seeds:
        name = CLASSES[seed % len(CLASSES)]
        pair = render_pair(seed, side, side, defect_class=name)
        found.append(Real(name, str(seed), pair.good, pair.defect, pair.mask))
    return found


@pytest.fixture(scope="module")
def limits():
    return calibrate(drawn(range(90)))


@pytest.fixture(scope="module")
def unseen() -> list[Real]:
    return drawn(range(1000, 1060))


def signature(limits, real: Real, result) -> str | None:
    scores = signature_scores(limits, real.defect_class, real.good, result, real.mask)
    found = judge(limits, real.defect_class, scores)
    return found.signature if found else None


def rate(values) -> float:
    return float(np.mean(list(values)))


def test_real_defects_that_were_not_seen_pass(limits, unseen):
    assert limits.about["false_rejects"] <= FALSE_REJECTS
    assert rate(signature(limits, r, r.photo) is not None for r in unseen) <= 0.15


@pytest.mark.parametrize(("way", "least"), [("empty", 0.9), ("shifted", 0.8)])
def test_a_broken_insertion_is_rejected_for_what_is_wrong(limits, unseen, way, least):
    found = [signature(limits, r, broken(r, None)[way]) for r in unseen]
    assert rate(s == SHOWS[way] for s in found) >= least, found


@pytest.mark.parametrize("way", ["blurred", "checkerboard", "hard seam", "other class"])
def test_broken_pixels_are_rejected_more_often_than_a_real_one(limits, unseen, way):
    pairs = [(r, broken(r, unseen[(i + 1) % len(unseen)])[way]) for i, r in enumerate(unseen)]
    real = rate(signature(limits, r, r.photo) is not None for r, _ in pairs)
    assert rate(signature(limits, r, image) is not None for r, image in pairs) > real + 0.1


def test_the_same_defects_give_the_same_limits_whatever_their_order(limits):
    again = calibrate(drawn(range(90)))
    assert document(again) == document(limits)
    assert "other class" not in broken(drawn(range(1))[0], None)


def test_limits_survive_their_document(limits, unseen):
    read = from_document(json.loads(json.dumps(document(limits))))
    for real in unseen[:10]:
        assert signature(read, real, real.photo) == signature(limits, real, real.photo)


@pytest.mark.parametrize(
    "change",
    [
        {"schema": 99},
        {"looks": {"crack": {"mean": [0.0], "covariance": [[1.0, 0.0]]}}},
        {"classes": {"crack": {"low": {"evidence": [float("nan"), 1.0]}, "high": {}}}},
        {"classes": []},
    ],
)
def test_a_document_that_is_none_is_refused(limits, change):
    with pytest.raises((ValueError, LookupError, TypeError, AttributeError)):
        from_document({**document(limits), **change})


@pytest.mark.parametrize("count", [1, 2, 3])
def test_so_few_photos_still_give_limits_that_an_empty_insertion_breaks(count):
    reals = drawn(range(count))
    limits = calibrate(reals)
    for real in reals:
        assert signature(limits, real, real.good) is not None
        assert signature(limits, real, real.photo) is None


def test_fewer_photos_give_wider_limits():
    factors = [tolerance_factor(n, 0.99, 0.75, n + 4) for n in (1, 2, 5, 20, 100)]
    assert factors == sorted(factors, reverse=True)


@pytest.mark.parametrize("count", [10, 20])
def test_a_tolerance_limit_holds_its_content_as_often_as_it_promises(count):
    draws = np.random.default_rng(0).standard_normal((20000, count))
    factor = tolerance_factor(count, 0.99, 0.75, count - 1)
    above = draws.mean(axis=1) + factor * draws.std(axis=1, ddof=1)
    assert rate(above >= 2.3263) == pytest.approx(0.75, abs=0.05)  # the normal's 99 % quantile


def test_a_class_without_a_trusted_pair_is_judged_by_the_limits_of_all(limits):
    real = drawn(range(1))[0]
    scores = signature_scores(limits, "unknown", real.good, real.good, real.mask)
    assert "mismatch" not in scores
    assert judge(limits, "unknown", scores) is not None
    assert set(limits.sides) == {*CLASSES, ANY}


def test_a_mask_of_one_pixel_and_one_of_all_are_scored(limits):
    real = drawn(range(1))[0]
    for mask in (np.zeros_like(real.mask), np.full_like(real.mask, 255)):
        mask[5, 5] = 255
        scores = signature_scores(limits, "crack", real.good, real.photo, mask)
        assert set(scores) == {side.score for side in SIDES}
        assert all(np.isfinite(list(scores.values())))


def test_scoring_takes_milliseconds(limits):
    real = drawn(range(3), side=256)[2]
    times = []
    for _ in range(15):
        started = time.perf_counter()
        signature(limits, real, real.photo)
        times.append(time.perf_counter() - started)
    assert min(times) < 0.02  # 1 to 2 ms on a free core


def test_the_classes_asked_for_exist():
    assert set(CLASSES) <= set(DEFECT_CLASSES)
