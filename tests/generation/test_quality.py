"""Scores and verdicts on cases whose answer is known."""

from __future__ import annotations

import numpy as np
import pytest

from aliaug_edge.generation.quality import BEST_PSNR_DB, Scores, psnr_db, score, verdict


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
    assert verdict(Scores(5, 0, 30, 1), 6, 20) is not None
    assert verdict(Scores(5, 0, 30, 1), 4, 31) is not None
    assert verdict(Scores(5, 0, 30, 1), 4, 20) is None


def test_a_mask_that_fills_the_crop_has_no_outside():
    shown, mask, raw = case(40, 40)
    mask[...] = 255
    scores = score(shown, mask, raw)
    assert scores.change_outside == 0
    assert scores.preservation_db == BEST_PSNR_DB
