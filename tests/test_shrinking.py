"""Shrunk masks keep every component, whole, and swell nothing."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from aliaug_edge.components import components
from aliaug_edge.crops import resize_mask
from aliaug_edge.data.procedural import DEFECT_CLASSES, defect_shape
from aliaug_edge.shrinking import shrunk

UInt8 = NDArray[np.uint8]
SIZE = (128, 128)


def line(*points: tuple[float, float], side: int = 1350) -> UInt8:
    canvas = Image.new("L", (side, side))
    ImageDraw.Draw(canvas).line(points, fill=255, width=1)
    return np.array(canvas)


def touched(mask: UInt8) -> NDArray[np.bool_]:
    """(128, 128), of a mask whose sides are multiples of 128."""
    factor = mask.shape[0] // SIZE[0]
    return mask.reshape(SIZE[0], factor, SIZE[1], factor).any(axis=(1, 3))


def test_a_hairline_at_any_angle_stays_one_line_of_its_length() -> None:
    for degrees in range(0, 180, 7):
        way = np.array([np.cos(np.radians(degrees)), np.sin(np.radians(degrees))]) * 450
        mask = line(tuple(675 - way), tuple(675 + way))
        small = shrunk(mask, SIZE)
        extent = 900 * max(abs(np.cos(np.radians(degrees))), abs(np.sin(np.radians(degrees))))
        expected = extent * 128 / 1350
        assert len(components(small)) == 1
        assert expected - 2 <= np.count_nonzero(small) <= 1.5 * expected + 2


def test_a_single_pixel_survives_however_far_it_shrinks() -> None:
    mask = np.zeros((3000, 4000), dtype=np.uint8)
    mask[1234, 2345] = 255
    assert np.argwhere(shrunk(mask, (30, 40))).tolist() == [[12, 23]]


def test_a_scratch_keeps_its_thin_tail_and_a_ring_stays_closed() -> None:
    mask = line((300, 300), (300, 1300), (1300, 1300))
    mask[200:400, 200:400] = 255
    small = shrunk(mask, SIZE)
    assert len(components(small)) == 1
    assert small[120:].any()
    canvas = Image.new("L", (1350, 1350))
    ImageDraw.Draw(canvas).ellipse((100, 100, 1200, 1200), outline=255)
    ring = shrunk(np.asarray(canvas), SIZE)
    assert len(components(ring)) == 1
    ImageDraw.floodfill(room := Image.fromarray(ring), (0, 0), 255)
    assert np.asarray(room)[61, 61] == 0  # the flood from outside does not get in


@pytest.mark.parametrize("name", DEFECT_CLASSES)
def test_drawn_defects_keep_their_parts_within_what_they_touch(name: str) -> None:
    for seed in range(3):
        drawn = defect_shape(np.random.default_rng(seed), 896, 896, name, 0.004)
        mask = np.where(drawn, 255, 0).astype(np.uint8)
        small = shrunk(mask, SIZE) > 0
        everywhere = touched(mask)
        assert not (small & ~everywhere).any()
        assert len(components(small.astype(np.uint8))) == len(
            components(everywhere.astype(np.uint8))
        )


def test_a_solid_shape_is_where_a_quarter_of_a_pixel_is_covered() -> None:
    y, x = np.mgrid[:896, :896]
    mask = np.where(np.hypot(y - 440, x - 450) < 200, 255, 0).astype(np.uint8)
    coverage = (mask > 0).reshape(128, 7, 128, 7).mean(axis=(1, 3))
    np.testing.assert_array_equal(shrunk(mask, SIZE) > 0, coverage >= 0.25)


def test_sizes_that_do_not_divide_lose_nothing() -> None:
    rng = np.random.default_rng(0)
    for _ in range(50):
        height, width = (int(n) for n in rng.integers(2, 400, 2))
        small_hw = (int(rng.integers(1, height + 1)), int(rng.integers(1, width + 1)))
        mask = np.zeros((height, width), dtype=np.uint8)
        mask[int(rng.integers(height)), int(rng.integers(width))] = 255
        small = resize_mask(mask, small_hw)
        assert small.shape == small_hw
        assert np.count_nonzero(small) == 1


def test_nothing_becomes_nothing() -> None:
    assert not shrunk(np.zeros((90, 90), dtype=np.uint8), (30, 30)).any()
