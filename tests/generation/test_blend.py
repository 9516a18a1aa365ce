"""Blending: what is mixed, and what must not be touched."""

from __future__ import annotations

import numpy as np
import pytest

from aliaug_edge.generation.blend import (
    BLEND_BAND_PX,
    HARD_MARGIN_PX,
    alpha,
    band_px,
    blend,
)


def random_case(seed: int, height: int = 64, width: int = 80):
    """A noisy crop, a mask of random boxes, and an unrelated noisy answer."""
    rng = np.random.default_rng(seed)
    crop = rng.integers(0, 256, (height, width, 3), dtype=np.uint8)
    mask = np.zeros((height, width), dtype=np.uint8)
    for _ in range(rng.integers(1, 4)):
        top, left = rng.integers(0, height - 4), rng.integers(0, width - 4)
        mask[top : top + rng.integers(1, 30), left : left + rng.integers(1, 30)] = 255
    raw = rng.uniform(-1, 1, (height, width, 3)).astype(np.float32)
    return crop, mask, raw


def chebyshev_grown(mask: np.ndarray, radius: int) -> np.ndarray:
    """Grown by brute force, independent of the code under test."""
    grown = np.zeros(mask.shape, dtype=bool)
    for y, x in np.argwhere(mask > 0):
        grown[max(y - radius, 0) : y + radius + 1, max(x - radius, 0) : x + radius + 1] = True
    return grown


@pytest.mark.parametrize("seed", range(8))
def test_feather_leaves_pixels_beyond_the_band_bit_identical(seed):
    crop, mask, raw = random_case(seed)
    result = blend(crop, mask, crop, raw, mode="feather")
    beyond = ~chebyshev_grown(mask, band_px(mask))
    assert beyond.any()
    assert np.array_equal(result[beyond], crop[beyond])
    assert not np.array_equal(result[mask > 0], crop[mask > 0])


@pytest.mark.parametrize("seed", range(8))
def test_hard_takes_the_mask_and_its_margin_and_nothing_else(seed):
    crop, mask, raw = random_case(seed)
    result = blend(crop, mask, crop, raw, mode="hard")
    taken = chebyshev_grown(mask, HARD_MARGIN_PX)
    assert np.array_equal(result[~taken], crop[~taken])
    generated = np.rint((raw + 1) * 127.5)
    assert np.abs(result[taken] - generated[taken]).max() <= 1


def test_none_is_the_whole_crop_of_the_generator():
    crop, mask, raw = random_case(1)
    result = blend(crop, mask, crop, raw, mode="none")
    assert np.abs(result.astype(float) - (raw + 1) * 127.5).max() <= 0.51


@pytest.mark.parametrize("seed", range(4))
def test_feather_is_full_on_the_mask_and_falls_monotonously(seed):
    _, mask, _ = random_case(seed)
    weight = alpha(mask, "feather")
    assert (weight[mask > 0] == 1).all()
    assert weight.min() >= 0
    single = np.zeros((41, 41), dtype=np.uint8)
    single[15:26, 15:26] = 255
    ramp = alpha(single, "feather")[20, 25:]
    assert (np.diff(ramp) <= 0).all()
    assert 0 < ramp[2] < 1


def test_the_band_is_narrower_around_a_small_mask():
    small, large = np.zeros((2, 100, 100), dtype=np.uint8)
    small[50:53, 50:53] = 255
    large[10:80, 10:80] = 255
    assert band_px(small) < band_px(large) == BLEND_BAND_PX
    assert band_px(large, scale=2.0) == 2 * BLEND_BAND_PX


def test_a_scaled_window_keeps_the_texture_of_the_part():
    """The model answers exactly what it was shown: the full-resolution crop must come back."""
    rng = np.random.default_rng(0)
    crop = rng.integers(0, 256, (128, 128, 3), dtype=np.uint8)
    shown = crop[::2, ::2]
    raw = shown.astype(np.float32) / 127.5 - 1
    mask = np.zeros((128, 128), dtype=np.uint8)
    mask[40:90, 40:90] = 255
    for mode in ("none", "feather", "hard"):
        assert np.array_equal(blend(crop, mask, shown, raw, mode=mode), crop)


def test_a_scaled_window_still_leaves_pixels_beyond_the_band_identical():
    rng = np.random.default_rng(1)
    crop = rng.integers(0, 256, (128, 128, 3), dtype=np.uint8)
    mask = np.zeros((128, 128), dtype=np.uint8)
    mask[50:80, 50:70] = 255
    raw = rng.uniform(-1, 1, (64, 64, 3)).astype(np.float32)
    result = blend(crop, mask, crop[::2, ::2], raw, mode="feather")
    beyond = ~chebyshev_grown(mask, band_px(mask, 2.0))
    assert np.array_equal(result[beyond], crop[beyond])


@pytest.mark.parametrize("mode", ["none", "feather", "hard"])
def test_a_grey_image_stays_grey(mode):
    crop, mask, raw = random_case(3)
    crop[...] = crop[..., :1]
    result = blend(crop, mask, crop, raw, mode=mode, grey=True)
    assert (result[..., 0] == result[..., 1]).all()
    assert (result[..., 0] == result[..., 2]).all()


def test_values_out_of_range_are_clipped_not_wrapped():
    crop = np.full((16, 16, 3), 250, dtype=np.uint8)
    mask = np.full((16, 16), 255, dtype=np.uint8)
    raw = np.full((16, 16, 3), 7.0, dtype=np.float32)
    assert (blend(crop, mask, crop, raw, mode="hard") == 255).all()
