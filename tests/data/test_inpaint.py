"""The good counterpart: the defect gone, the rest untouched."""

from __future__ import annotations

import tracemalloc

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
    good, _ = inpaint(photo, spot, np.random.default_rng(1))
    far = dilate(spot, MARGIN) == 0
    assert good.dtype == np.uint8
    assert np.array_equal(good[far], photo[far])


def test_a_dark_spot_is_gone_and_the_grain_remains(part: np.ndarray, spot: np.ndarray) -> None:
    good, sound = inpaint(spotted(part, spot), spot, np.random.default_rng(1))
    assert sound
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
    fills = [inpaint(part, spot, np.random.default_rng(seed)).image for seed in (4, 4, 5)]
    assert np.array_equal(fills[0], fills[1])
    assert not np.array_equal(fills[0], fills[2])


@pytest.mark.parametrize("where", [np.s_[:12, :12], np.s_[:, :30], np.s_[1:, :], np.s_[40:41, :]])
def test_a_defect_at_the_border_or_across_the_part_works(part: np.ndarray, where: object) -> None:
    mask = np.zeros(part.shape[:2], np.uint8)
    mask[where] = 255
    good, _ = inpaint(spotted(part, mask), mask, np.random.default_rng(1))
    assert good.shape == part.shape
    far = dilate(mask, MARGIN) == 0
    assert np.array_equal(good[far], part[far])


def test_an_empty_mask_changes_nothing(part: np.ndarray) -> None:
    empty = np.zeros(part.shape[:2], np.uint8)
    filled = inpaint(part, empty, np.random.default_rng(1))
    assert np.array_equal(filled.image, part)
    assert filled.sound


def test_dilate_grows_by_the_square_neighbourhood() -> None:
    mask = np.zeros((9, 9), np.uint8)
    mask[4, 4] = 255
    assert np.count_nonzero(dilate(mask, 2)) == 25
    assert dilate(mask, 0) is mask


def test_dilate_stops_at_the_border_and_at_a_thin_mask() -> None:
    mask = np.zeros((9, 40), np.uint8)
    mask[:, 0] = 255
    assert np.array_equal(np.flatnonzero(dilate(mask, 12).all(axis=0)), np.arange(13))


@pytest.mark.parametrize("where", [np.s_[6:70, 6:90], np.s_[:, 10:90], np.s_[1:, :]])
def test_a_mask_that_leaves_too_little_to_borrow_from_is_not_sound(
    part: np.ndarray, where: object
) -> None:
    mask = np.zeros(part.shape[:2], np.uint8)
    mask[where] = 255
    assert not inpaint(spotted(part, mask), mask, np.random.default_rng(1)).sound


def test_a_fill_that_looks_like_no_neighbour_is_not_sound() -> None:
    """A spot as grey as its flat surroundings, in a photo that is otherwise stripes."""
    photo = np.where(np.arange(96) // 2 % 2, 255, 0).astype(np.uint8)[None, :, None]
    photo = np.broadcast_to(photo, (80, 96, 3)).copy()
    photo[24:56, 30:62] = 128
    mask = np.zeros((80, 96), np.uint8)
    mask[34:46, 40:52] = 255
    assert not inpaint(photo, mask, np.random.default_rng(1)).sound


def test_work_follows_the_hole_and_not_the_photo(part: np.ndarray, spot: np.ndarray) -> None:
    photo = np.tile(spotted(part, spot), (25, 25, 1))  # 4.8 megapixels
    mask = np.zeros(photo.shape[:2], np.uint8)
    mask[:80, :96] = spot
    tracemalloc.start()
    good, sound = inpaint(photo, mask, np.random.default_rng(1))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert sound
    assert np.array_equal(good[80:], photo[80:])
    assert peak < 4 * photo.nbytes  # copies of bytes, no floats of the whole
