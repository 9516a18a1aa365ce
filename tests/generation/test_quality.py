"""Scores and verdicts on cases whose answer is known."""

from __future__ import annotations

import numpy as np
import pytest

from aliaug_edge.generation.quality import (
    BEST_PSNR_DB,
    JUDGED_PX,
    Scores,
    psnr_db,
    score,
    verdict,
)
from aliaug_edge.quality.planes import LUMA


def case(inside: float, outside: float):
    rng = np.random.default_rng(0)
    shown = rng.integers(100, 120, (32, 32, 3), dtype=np.uint8)
    mask = np.zeros((32, 32), dtype=np.uint8)
    mask[10:20, 10:20] = 255
    change = np.where(mask > 0, inside, outside)[..., None]
    raw = ((shown + change) / 127.5 - 1).astype(np.float32)
    return shown, mask, raw


def test_a_perfect_copy_with_a_defect():
    scores = score(*case(40, 0))
    assert scores.change_inside == pytest.approx(40, abs=0.01)
    assert scores.change_outside == pytest.approx(0, abs=0.01)
    assert scores.preservation_db == BEST_PSNR_DB
    assert scores.contrast_to_texture > 5
    assert verdict(scores, 3, 20) is None


def test_psnr_outside_is_that_of_the_formula():
    scores = score(*case(40, 5))
    assert scores.preservation_db == pytest.approx(20 * np.log10(255 / 5), abs=0.01)
    assert psnr_db(0) == BEST_PSNR_DB


def test_an_empty_insertion_is_rejected_with_its_value():
    reason = verdict(score(*case(1, 0)), 3, 20)
    assert reason is not None
    assert reason.startswith("empty insertion: change inside the mask 1.0 grey levels")


def test_a_change_that_does_not_stand_out_from_the_models_error_is_an_empty_insertion():
    scores = score(*case(8, 7))
    assert "empty insertion" in (verdict(scores, 3, 20) or "")
    assert "at least 10.5 wanted" in (verdict(scores, 3, 20) or "")
    assert verdict(scores, 0, 20) is None
    assert verdict(score(*case(12, 7)), 3, 20) is None


def test_damage_outside_is_rejected_with_its_value():
    reason = verdict(score(*case(100, 40)), 3, 20)
    assert reason is not None
    assert reason.startswith("damage outside the mask: 16.1 dB")


def test_thresholds_are_the_callers():
    scores = Scores(5, 5, 0, 30, 1)
    assert verdict(scores, 6, 20) is not None
    assert verdict(scores, 4, 31) is not None
    assert verdict(scores, 4, 20) is None


def test_a_mask_that_fills_the_crop_has_no_outside():
    shown, mask, raw = case(40, 40)
    mask[...] = 255
    scores = score(shown, mask, raw)
    assert scores.change_outside == 0
    assert scores.preservation_db == BEST_PSNR_DB


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
@pytest.mark.parametrize("key", Scores.__dataclass_fields__)
def test_scores_that_are_no_numbers_are_refused_whatever_is_asked(key, value):
    scores = Scores(**{**Scores(50, 50, 0, 99, 5).document(), key: value})
    assert not scores.are_finite()
    assert "not finite" in (verdict(scores, 0, 0) or "")


def parts(*boxes: tuple[int, int, int, int], changed: int):
    """A mask of boxes (top, left, height, width); the first `changed` are changed by 40."""
    mask = np.zeros((64, 64), dtype=np.uint8)
    change = np.zeros((64, 64))
    for number, (top, left, height, width) in enumerate(boxes):
        mask[top : top + height, left : left + width] = 255
        change[top : top + height, left : left + width] = 40 if number < changed else 0
    shown = np.full((64, 64, 3), 100, dtype=np.uint8)
    return shown, mask, ((shown + change[..., None]) / 127.5 - 1).astype(np.float32)


def test_a_part_of_the_mask_where_nothing_changed_is_an_empty_insertion():
    scores = score(*parts((2, 2, 20, 20), (40, 40, 5, 5), changed=1))
    assert scores.change_inside > 30
    assert scores.change_least == pytest.approx(0, abs=0.01)
    assert "change inside a part of the mask 0.0 grey levels" in (verdict(scores, 3, 20) or "")
    assert verdict(scores, 0, 20) is None
    both = score(*parts((2, 2, 20, 20), (40, 40, 5, 5), changed=2))
    assert both.change_least == both.change_inside
    assert verdict(both, 3, 20) is None


def test_a_speck_is_not_judged_alone_but_many_are_together():
    specks = [(40, left, 2, 2) for left in range(0, 64, 4)]
    assert verdict(score(*parts((2, 2, 20, 20), *specks[:3], changed=1)), 3, 20) is None
    assert verdict(score(*parts((2, 2, 20, 20), *specks, changed=1)), 3, 20) is not None
    one_left_out = score(*parts((2, 2, 20, 20), *specks[:3], changed=1))
    assert one_left_out.change_least == one_left_out.change_inside < 40


def test_a_mask_of_one_speck_is_judged_all_the_same():
    assert JUDGED_PX > 4
    assert verdict(score(*parts((9, 9, 2, 2), changed=0)), 3, 20) is not None
    assert verdict(score(*parts((9, 9, 2, 2), changed=1)), 3, 20) is None


def test_on_a_grey_image_a_change_of_hue_alone_is_no_change():
    shown, mask, _ = case(0, 0)
    hue = np.array([40.0, -40 * LUMA[0] / LUMA[1], 0])  # of no luma
    raw = ((shown + np.where(mask[..., None] > 0, hue, 0)) / 127.5 - 1).astype(np.float32)
    assert verdict(score(shown, mask, raw), 3, 20) is None
    assert score(shown, mask, raw, grey=True).change_inside == pytest.approx(0, abs=0.01)


def test_on_a_grey_image_a_change_of_grey_counts_as_elsewhere():
    assert score(*case(40, 5), grey=True) == score(*case(40, 5))
