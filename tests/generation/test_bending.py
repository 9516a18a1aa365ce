"""Bending: another outline of the same kind, whole and in its place."""

from __future__ import annotations

import numpy as np
import pytest

from aliaug_edge.components import components
from aliaug_edge.crops import Window, mask_box
from aliaug_edge.generation.bending import AMPLITUDE, KNOTS, Bend, bent, drawn_bend, reach_px

STILL = Bend(1.0, np.zeros((2, KNOTS, KNOTS), np.float32))


def padded(shape: np.ndarray) -> np.ndarray:
    """`shape` where `bent` would leave it if it did not move."""
    return np.pad(shape, reach_px(*shape.shape))


def box_of(shape: np.ndarray) -> Window:
    return mask_box(padded(shape))


def disc(side: int = 41) -> np.ndarray:
    y, x = np.mgrid[-1 : 1 : side * 1j, -1 : 1 : side * 1j]
    return np.where(np.hypot(y, x) <= 1, 255, 0).astype(np.uint8)


def bends(count: int) -> list[Bend]:
    return [drawn_bend(np.random.default_rng(seed)) for seed in range(count)]


def test_a_bend_that_moves_nothing_rounds_corners_and_changes_nothing_else():
    shape = disc()
    mask = padded(shape)
    changed = np.argwhere(bent(shape, STILL) != mask)
    assert len(changed) < 0.02 * np.count_nonzero(mask)
    for y, x in changed:
        around = mask[y - 1 : y + 2, x - 1 : x + 2]
        assert 0 < np.count_nonzero(around) < 9, "only the outline may move"


def test_the_stairs_of_an_outline_are_not_drawn():
    shape = np.full((30, 40), 255, np.uint8)
    shape[0] = np.where(np.arange(40) % 2, 255, 0)  # a saw along the upper edge
    left = box_of(shape).left
    upper = bent(shape, STILL)[:, left + 2 : left + 38].argmax(axis=0)
    assert len(set(upper.tolist())) == 1


@pytest.mark.parametrize("shape_hw", [(1, 30), (2, 30), (30, 1), (30, 2), (2, 2)])
def test_lines_too_thin_for_a_smooth_outline_stay_as_they_are(shape_hw):
    shape = np.full(shape_hw, 255, np.uint8)
    assert np.array_equal(bent(shape, STILL), padded(shape))


def test_a_thin_line_does_not_come_off_the_blob_that_it_leaves():
    shape = np.zeros((41, 100), np.uint8)
    shape[:, :41] = disc()
    shape[20, 40:] = 255
    for bend in (STILL, *bends(20)):
        assert len(components(bent(shape, bend))) == 1


@pytest.mark.parametrize("borders", ["t", "b", "l", "r", "tl", "br"])
def test_at_a_border_the_outline_is_cut_and_not_rounded(borders):
    shape = np.full((30, 24), 255, np.uint8)
    found, mask = bent(shape, STILL, borders), padded(shape)
    corners = {"t": "tl tr", "b": "bl br", "l": "tl bl", "r": "tr br"}
    rounded = {"tl", "tr", "bl", "br"}.difference(*(corners[b].split() for b in borders))
    assert np.count_nonzero(found != mask) == len(rounded)


@pytest.mark.parametrize("bend", bends(20))
def test_a_blob_stays_one_blob_of_about_its_area_within_reach(bend):
    shape = disc()
    mask = padded(shape)
    moved = bent(shape, bend)
    assert set(np.unique(moved)) == {0, 255}
    assert len(components(moved)) == 1
    assert 0.5 < np.count_nonzero(moved) / np.count_nonzero(mask) < 2
    for edge in (moved[0], moved[-1], moved[:, 0], moved[:, -1]):
        assert not edge.any(), "it grew beyond `reach_px`"


def test_outlines_differ_from_the_original_and_from_each_other():
    shape = disc()
    mask = padded(shape)
    moved = [bent(shape, bend) for bend in bends(8)]
    for index, one in enumerate(moved):
        for other in [mask, *moved[:index]]:
            union = np.count_nonzero((one > 0) | (other > 0))
            assert np.count_nonzero((one > 0) & (other > 0)) / union < 0.97


@pytest.mark.parametrize("bend", bends(20))
def test_a_thin_line_stays_thin_and_in_one_piece(bend):
    shape = np.full((2, 80), 255, np.uint8)
    mask = padded(shape)
    moved = bent(shape, bend)
    assert len(components(moved)) == 1
    assert np.count_nonzero(moved) < 3 * np.count_nonzero(mask)
    assert mask_box(moved).width > 50


@pytest.mark.parametrize("shape_hw", [(1, 1), (1, 9), (3, 1)])
def test_the_smallest_shapes_survive(shape_hw):
    shape = np.full(shape_hw, 255, np.uint8)
    for bend in bends(20):
        assert bent(shape, bend).any()


@pytest.mark.parametrize("borders", ["t", "b", "l", "r", "tl", "br"])
def test_what_a_border_had_cut_stays_at_that_border(borders):
    shape = np.full((30, 24), 255, np.uint8)
    box = box_of(shape)
    ends = {
        "t": lambda b: b.top - box.top,
        "b": lambda b: (b.top + b.height) - (box.top + box.height),
        "l": lambda b: b.left - box.left,
        "r": lambda b: (b.left + b.width) - (box.left + box.width),
    }
    for bend in bends(10):
        found = mask_box(bent(shape, bend, borders))
        assert all(ends[border](found) == 0 for border in borders)


def test_between_two_borders_there_is_no_room_to_stretch():
    shape = np.full((30, 24), 255, np.uint8)
    box = box_of(shape)
    tall = Bend(1.3, STILL.knots)
    found = mask_box(bent(shape, tall, "tb"))
    assert (found.top, found.height) == (box.top, box.height)
    assert mask_box(bent(shape, tall)).height > box.height


def test_a_long_scratch_stays_nearly_straight():
    shape = np.full((2, 100), 255, np.uint8)
    for bend in bends(20):
        moved = bent(shape, bend) > 0
        middle = [np.flatnonzero(column).mean() for column in moved.T if column.any()]
        assert np.ptp(middle) < 0.12 * 100


def test_a_draw_is_bounded_and_depends_on_its_generator_alone():
    for one, other in zip(bends(5), bends(5), strict=True):
        assert one.aspect == other.aspect
        assert np.array_equal(one.knots, other.knots)
        assert np.abs(one.knots).max() <= AMPLITUDE
        assert one.knots.shape == (2, KNOTS, KNOTS)
