"""Mask shapes: area, margin, thickness, randomness."""

from __future__ import annotations

import numpy as np
import pytest

from aliaug_edge.data.procedural import DEFECT_CLASSES, defect_shape

NAMES = (*DEFECT_CLASSES, "never heard of it")


@pytest.mark.parametrize("defect_class", NAMES)
@pytest.mark.parametrize("height, width", [(64, 64), (128, 128), (150, 200)])
@pytest.mark.parametrize("fraction", [0.004, 0.02, 0.08])
def test_area_and_margin(defect_class: str, height: int, width: int, fraction: float) -> None:
    for seed in range(8):
        rng = np.random.default_rng([seed, 5])
        mask = defect_shape(rng, height, width, defect_class, fraction)
        assert mask.shape == (height, width)
        assert mask.dtype == np.bool_
        wanted = fraction * height * width
        assert 0.65 * wanted <= mask.sum() <= 1.35 * wanted
        assert not mask[0].any() and not mask[-1].any()
        assert not mask[:, 0].any() and not mask[:, -1].any()


@pytest.mark.parametrize("defect_class", ["scratch", "crack"])
def test_thin_shapes_stay_two_pixels_wide(defect_class: str) -> None:
    for seed in range(30):
        mask = defect_shape(np.random.default_rng([seed, 6]), 128, 128, defect_class, 0.006)
        square = mask[:-1, :-1] & mask[1:, :-1] & mask[:-1, 1:] & mask[1:, 1:]
        covered = np.zeros_like(mask)
        for dy in (0, 1):
            for dx in (0, 1):
                covered[dy : 127 + dy, dx : 127 + dx] |= square
        assert covered[mask].mean() > 0.97


def test_the_same_generator_state_gives_the_same_shape() -> None:
    for name in NAMES:
        first = defect_shape(np.random.default_rng(4), 96, 96, name, 0.02)
        second = defect_shape(np.random.default_rng(4), 96, 96, name, 0.02)
        other = defect_shape(np.random.default_rng(5), 96, 96, name, 0.02)
        assert np.array_equal(first, second)
        assert not np.array_equal(first, other)


def test_places_spread_over_the_frame() -> None:
    centres = []
    for seed in range(60):
        mask = defect_shape(np.random.default_rng([seed, 7]), 128, 128, "stain", 0.01)
        centres.append(np.argwhere(mask).mean(axis=0))
    spread = np.array(centres).std(axis=0)
    assert (spread > 20).all()


@pytest.mark.parametrize("fraction", [0.0, 0.5, 1.0, 2.0])
def test_extreme_areas_still_give_a_mask_inside_the_frame(fraction: float) -> None:
    for name in NAMES:
        mask = defect_shape(np.random.default_rng(1), 64, 48, name, fraction)
        assert mask.any()
        assert not mask[0].any() and not mask[:, 0].any()
