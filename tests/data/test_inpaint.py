"""The good counterpart: the defect gone, the rest untouched."""

from __future__ import annotations

import numpy as np
import pytest

from aliaug_edge.data.inpaint import MARGIN, dilate, inpaint


@pytest.fixture
def part() -> np.ndarray:
    """A grey, grained surface that brightens to the right, 80 x 96 pixels."""
    rng = np.random.default_rng(0)
    ramp = np.linspace(90, 150, 96)[None, :, None]
    return (ramp + rng.normal(0, 4, (80, 96, 1))).clip(0, 255).astype(np.uint8).repeat(3, axis=2)


@pytest.fixture
def spot() -> np.ndarray:
    y, x = np.mgrid[:80, :96]
    return np.where((y - 40) ** 2 + (x - 50) ** 2 <= 64, 255, 0).astype(np.uint8)


def spotted(part: np.ndarray, mask: np.ndarray) -> np.ndarray:
    stained = part.copy()
    stained[mask > 0] = 10
    return stained


def test_pixels_beyond_the_margin_are_bit_identical(part: np.ndarray, spot: np.ndarray) -> None:
    photo = spotted(part, spot)
    good = inpaint(photo, spot, np.random.default_rng(1))
    far = dilate(spot, MARGIN) == 0
    assert good.dtype == np.uint8
    assert np.array_equal(good[far], photo[far])


def test_a_dark_spot_is_gone_and_the_grain_remains(part: np.ndarray, spot: np.ndarray) -> None:
    good = inpaint(spotted(part, spot), spot, np.random.default_rng(1))
    inside = spot > 0
    error = good[inside].astype(float) - part[inside]
    assert abs(error.mean()) < 3
    assert np.abs(error).max() < 40
    assert good[inside].std() > 0.6 * part[inside].std()  # not a smooth spot


def test_the_input_is_left_alone(part: np.ndarray, spot: np.ndarray) -> None:
    photo = spotted(part, spot)
    before = photo.copy()
    inpaint(photo, spot, np.random.default_rng(1))
    assert np.array_equal(photo, before)


def test_the_same_seed_fills_the_same_way(part: np.ndarray, spot: np.ndarray) -> None:
    fills = [inpaint(part, spot, np.random.default_rng(seed)) for seed in (4, 4, 5)]
    assert np.array_equal(fills[0], fills[1])
    assert not np.array_equal(fills[0], fills[2])


@pytest.mark.parametrize("where", [np.s_[:12, :12], np.s_[:, :30], np.s_[1:, :], np.s_[40:41, :]])
def test_a_defect_at_the_border_or_across_the_part_works(part: np.ndarray, where: object) -> None:
    mask = np.zeros(part.shape[:2], np.uint8)
    mask[where] = 255
    good = inpaint(spotted(part, mask), mask, np.random.default_rng(1))
    assert good.shape == part.shape
    far = dilate(mask, MARGIN) == 0
    assert np.array_equal(good[far], part[far])


def test_an_empty_mask_changes_nothing(part: np.ndarray) -> None:
    empty = np.zeros(part.shape[:2], np.uint8)
    assert np.array_equal(inpaint(part, empty, np.random.default_rng(1)), part)


def test_dilate_grows_by_the_square_neighbourhood() -> None:
    mask = np.zeros((9, 9), np.uint8)
    mask[4, 4] = 255
    assert np.count_nonzero(dilate(mask, 2)) == 25
    assert dilate(mask, 0) is mask
