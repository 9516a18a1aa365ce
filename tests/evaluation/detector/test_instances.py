"""Mask mAP: what counts as an instance, who takes whom, and the numbers that follow by hand."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from aliaug_edge.evaluation.detector.instances import interpolated_ap, mask_map, matched

Scores = NDArray[np.float32]
Mask = NDArray[np.uint8]


def photo(*boxes: tuple[int, int, int, int, float]) -> Scores:
    """Scores (40, 60), -9 but for boxes of (top, left, bottom, right, score)."""
    scores = np.full((40, 60), -9, np.float32)
    for top, left, bottom, right, score in boxes:
        scores[top:bottom, left:right] = score
    return scores


def truth(*boxes: tuple[int, int, int, int]) -> Mask:
    return np.where(photo(*((*box, 1.0) for box in boxes)) > 0, 255, 0).astype(np.uint8)


def test_what_is_found_to_the_pixel_is_worth_one() -> None:
    scores = [photo((2, 2, 12, 12, 3.0), (20, 20, 30, 50, 1.0)), photo()]
    masks = [truth((2, 2, 12, 12), (20, 20, 30, 50)), truth()]
    assert mask_map(scores, masks, 0.5) == (1.0, 1.0)


def test_without_an_instance_there_is_no_number() -> None:
    assert mask_map([photo((0, 0, 5, 5, 1.0))], [truth()], 0.5) is None
    assert mask_map([], [], 0.5) is None


def test_nothing_found_is_worth_nothing() -> None:
    assert mask_map([photo()], [truth((0, 0, 5, 5))], 0.5) == (0.0, 0.0)


def test_an_overlap_counts_up_to_its_own_iou() -> None:
    """Seven rows of ten: IoU 0.7, right at 0.50 … 0.70, wrong at the five thresholds above."""
    found = [photo((0, 0, 7, 10, 1.0))]
    assert mask_map(found, [truth((0, 0, 10, 10))], 0.5) == (0.5, 1.0)


def test_a_surer_false_find_on_a_good_photo_costs_precision() -> None:
    scores = [photo((0, 0, 10, 10, 1.0)), photo((0, 0, 10, 10, 2.0))]
    assert mask_map(scores, [truth((0, 0, 10, 10)), truth()], 0.5) == (0.5, 0.5)
    less_sure = [scores[0], photo((0, 0, 10, 10, 0.6))]
    assert mask_map(less_sure, [truth((0, 0, 10, 10)), truth()], 0.5) == (1.0, 1.0)


def test_a_missed_instance_costs_recall() -> None:
    """One of two found: precision 1 up to recall 0.5, which are 51 of the 101 recalls."""
    value = mask_map([photo((0, 0, 9, 9, 1.0))], [truth((0, 0, 9, 9), (20, 20, 29, 29))], 0.5)
    assert value == pytest.approx((51 / 101, 51 / 101))


def test_a_true_instance_is_taken_once_and_by_the_surest() -> None:
    ious = np.array([[0.6], [0.9]])
    assert matched(ious)[0].tolist() == [True, False]
    assert matched(ious)[-2].tolist() == [False, True]


def test_a_defect_found_in_two_halves_is_found_once() -> None:
    """The surer half is right at IoU 0.5 alone; the other, behind it, costs no precision."""
    scores = photo((0, 0, 10, 10, 2.0), (0, 11, 10, 20, 1.0))
    assert mask_map([scores], [truth((0, 0, 10, 20))], 0.5) == (0.1, 1.0)


def test_a_prediction_takes_the_free_instance_it_overlaps_most() -> None:
    ious = np.array([[0.6, 0.8], [0.55, 0.7]])
    assert matched(ious)[:, 0].tolist() == [True] * 7 + [False] * 3
    assert matched(ious)[:, 1].tolist() == [True] * 2 + [False] * 8


def test_pixels_below_the_threshold_are_no_part_of_an_instance() -> None:
    scores = photo((0, 0, 10, 20, 0.4), (0, 0, 10, 10, 0.5))
    assert mask_map([scores], [truth((0, 0, 10, 10))], 0.5) == (1.0, 1.0)


def test_interpolation_takes_the_best_precision_at_a_recall_or_beyond() -> None:
    """Right, wrong, right of two: precision 1 up to recall 1/2, then 2/3."""
    hits = np.array([True, False, True])
    assert interpolated_ap(hits, 2) == pytest.approx((51 + 50 * 2 / 3) / 101)


def test_only_the_order_of_the_scores_counts() -> None:
    rng = np.random.default_rng(0)
    masks = [truth((2, 2, 12, 12), (20, 20, 30, 50)) for _ in range(4)]
    scores = [(m / 255 + rng.normal(0, 0.3, m.shape)).astype(np.float32) for m in masks]
    first = mask_map(scores, masks, 0.5)
    assert first == mask_map([8 * s - 2 for s in scores], masks, 2.0)
    assert first is not None and 0 < first[0] < 1


def test_unlike_numbers_or_sizes_are_refused() -> None:
    with pytest.raises(ValueError, match="size"):
        mask_map([photo()], [truth()[:20]], 0.5)
    with pytest.raises(ValueError, match="argument 2 is longer"):
        mask_map([photo()], [truth(), truth()], 0.5)
