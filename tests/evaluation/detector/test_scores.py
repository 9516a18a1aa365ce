"""The figures of score maps against values that a person can work out."""

from __future__ import annotations

import numpy as np
import pytest

from aliaug_edge.evaluation.detector.scores import (
    area_under_roc,
    average_precision,
    histogram,
    score_photo,
    train_threshold,
)
from aliaug_edge.evaluation.photos import Photo
from aliaug_edge.evaluation.results import ImageScore


def photo(mask: np.ndarray, defect_class: str = "crack") -> Photo:
    marked = np.where(mask, 255, 0).astype(np.uint8)
    return Photo("p", np.zeros((*mask.shape, 3), np.uint8), marked, defect_class, "g")


def row(score: float, ap: float | None) -> ImageScore:
    return ImageScore("p", "g", "crack" if ap is not None else "good", 0, ap, ap, ap, score)


def test_average_precision_of_a_ranking_by_hand():
    scores = np.array([0.9, 0.8, 0.7, 0.6], np.float32)
    truth = np.array([True, False, True, False])
    assert average_precision(scores, truth) == pytest.approx(0.5 * 1 + 0.5 * 2 / 3)


def test_average_precision_takes_equal_scores_together():
    scores = np.array([0.5, 0.5, 0.5, 0.5], np.float32)
    truth = np.array([True, False, False, False])
    assert average_precision(scores, truth) == pytest.approx(0.25)
    assert average_precision(scores, truth[::-1]) == pytest.approx(0.25)  # order decides nothing


def test_perfect_and_inverted_rankings():
    truth = np.zeros((20, 20), bool)
    truth[3:8, 4:9] = True
    assert average_precision(truth.astype(np.float32), truth) == 1.0
    inverted = average_precision(-truth.astype(np.float32), truth)
    assert inverted == pytest.approx(25 / 400)


def test_average_precision_without_positives_is_refused():
    with pytest.raises(ValueError, match="positive"):
        average_precision(np.zeros(4, np.float32), np.zeros(4, bool))


def test_pooled_average_precision_agrees_with_the_exact_one():
    rng = np.random.default_rng(0)
    truth = rng.random((60, 80)) < 0.1
    scores = (rng.standard_normal((60, 80)) + 2 * truth).astype(np.float32)
    pooled = histogram([(scores[:30], truth[:30]), (scores[30:], truth[30:])])
    assert pooled.average_precision() == pytest.approx(average_precision(scores, truth), abs=2e-3)


def test_pooled_average_precision_without_a_defect_is_none():
    nothing = histogram([(np.zeros((4, 4), np.float32), np.zeros((4, 4), bool))])
    assert nothing.average_precision() is None


def test_the_best_threshold_parts_defects_from_the_rest():
    truth = np.zeros((10, 10), bool)
    truth[:, :3] = True
    scores = np.where(truth, 2.0, -3.0).astype(np.float32)
    threshold = histogram([(scores, truth)]).best_threshold()
    assert -3.0 < threshold <= 2.0
    assert threshold == pytest.approx(2.0, abs=0.01)  # the highest of equals: fewest false alarms


def test_the_threshold_is_that_of_the_photos_given():
    truth = np.zeros((8, 8), bool)
    truth[2:4, 2:4] = True
    threshold = train_threshold(
        lambda _image: np.where(truth, 5.0, 1.0).astype(np.float32), [photo(truth)]
    )
    assert 1.0 < threshold <= 5.0


def test_a_photos_scores_at_a_threshold():
    truth = np.zeros((10, 10), bool)
    truth[0, :4] = True
    scores = np.full((10, 10), -1.0, np.float32)
    scores[0, 2:8] = 1.0  # six marked, two of them right
    found = score_photo(photo(truth), scores, 0.0)
    assert found.iou == pytest.approx(2 / 8)
    assert found.f1 == pytest.approx(2 * 2 / (4 + 6))
    assert found.positives == 4
    assert found.ap is not None
    assert 0 < found.ap < 1


def test_a_good_photo_has_a_score_and_no_more():
    truth = np.zeros((10, 10), bool)
    scores = np.zeros((10, 10), np.float32)
    scores[0] = 2.0
    scores[1] = 1.0
    found = score_photo(photo(truth, "good"), scores, 0.0)
    assert (found.ap, found.iou, found.f1) == (None, None, None)
    assert found.score == pytest.approx(1.5)  # mean of the twenty highest


def test_a_photo_of_fewer_pixels_than_are_averaged():
    found = score_photo(photo(np.ones((2, 2), bool)), np.ones((2, 2), np.float32), 0.0)
    assert found.score == 1.0


def test_auroc_counts_pairs_and_ties_as_half():
    rows = [row(3.0, 0.5), row(1.0, 0.5), row(1.0, None), row(0.0, None)]
    assert area_under_roc(rows) == pytest.approx((1 + 1 + 0.5 + 1) / 4)
    assert area_under_roc(rows[:2]) is None
