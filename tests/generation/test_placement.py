"""Placement: on the part, of the wanted size, never empty, or a reason."""

from __future__ import annotations

import numpy as np
import pytest

from aliaug_edge.crops import CONTEXT, mask_box
from aliaug_edge.errors import DataError
from aliaug_edge.generation.placement import (
    INSIDE_PART,
    PlacementError,
    check_mask,
    from_bank,
    from_shape,
)
from aliaug_edge.mask_bank import MaskShape

LINE = np.full((2, 30), 255, dtype=np.uint8)
BLOB = np.where(np.hypot(*np.mgrid[-1:1:15j, -1:1:21j]) <= 1, 255, 0).astype(np.uint8)
BANK = [MaskShape(LINE), MaskShape(BLOB)]
WHOLE = np.ones((120, 160), dtype=bool)


def disc() -> np.ndarray:
    y, x = np.mgrid[:120, :160]
    return (y - 60) ** 2 + (x - 80) ** 2 < 45**2


@pytest.mark.parametrize("seed", range(12))
@pytest.mark.parametrize("part", [WHOLE, disc()], ids=["whole", "disc"])
def test_a_bank_mask_lands_on_the_part(seed, part):
    placed = from_bank(BANK, "crack", part, None, np.random.default_rng(seed))
    assert placed.mask.shape == part.shape
    assert set(np.unique(placed.mask)) == {0, 255}
    assert part[placed.mask > 0].mean() >= INSIDE_PART
    assert placed.mask_source in ("bank:crack/0", "bank:crack/1")


@pytest.mark.parametrize("seed", range(12))
@pytest.mark.parametrize("maker", ["bank", "shape"])
def test_the_area_asked_for_is_obeyed(seed, maker):
    rng, area = np.random.default_rng(seed), (0.01, 0.03)
    if maker == "bank":
        placed = from_bank(BANK, "crack", WHOLE, area, rng)
    else:
        placed = from_shape("stain", WHOLE, area, rng)
    fraction = np.count_nonzero(placed.mask) / placed.mask.size
    assert 0.01 * 0.85 <= fraction <= 0.03 * 1.15


@pytest.mark.parametrize("name", ["scratch", "crack", "a class nobody knows"])
def test_a_shape_is_drawn_for_any_class_and_lands_on_the_part(name):
    for seed in range(5):
        placed = from_shape(name, disc(), None, np.random.default_rng(seed))
        assert placed.mask.any()
        assert disc()[placed.mask > 0].mean() >= INSIDE_PART


def test_a_drawn_shape_fits_the_models_window_unless_an_area_is_asked_for():
    part = np.ones((400, 400), dtype=bool)
    for seed in range(5):
        mask = from_shape("scratch", part, None, np.random.default_rng(seed), (64, 96)).mask
        box = mask_box(mask)
        assert box.height * CONTEXT <= 64 + 2
        assert box.width * CONTEXT <= 96 + 2
    area = (0.02, 0.03)
    mask = from_shape("scratch", part, area, np.random.default_rng(0), (64, 96)).mask
    assert mask_box(mask).height > 64 or mask_box(mask).width > 96


def test_equal_seeds_give_equal_masks_and_others_differ():
    masks = [
        from_bank(BANK[1:], "c", WHOLE, None, np.random.default_rng(seed)).mask
        for seed in (1, 1, 2)
    ]
    assert np.array_equal(masks[0], masks[1])
    assert not np.array_equal(masks[0], masks[2])


def test_a_mask_larger_than_the_image_is_shrunk_to_fit():
    big = np.full((300, 300), 255, dtype=np.uint8)
    placed = from_bank([MaskShape(big)], "c", WHOLE, None, np.random.default_rng(0))
    assert placed.mask.any()
    assert not placed.mask.all()


def test_a_part_without_room_is_a_reason_not_a_wrong_mask():
    part = np.zeros((120, 160), dtype=bool)
    part[60, 80] = True
    with pytest.raises(PlacementError, match="no place on the part"):
        from_bank(BANK[1:], "c", part, (0.01, 0.02), np.random.default_rng(0))


@pytest.mark.parametrize("area", [None, (0.005, 0.02)])
@pytest.mark.parametrize("borders", ["t", "r", "bl"])
def test_a_shape_that_a_border_had_cut_meets_one_again(borders, area):
    """It may be mirrored: top becomes bottom, left becomes right, never the one the other."""
    met = set()
    for seed in range(12):
        bank = [MaskShape(BLOB[:8], borders)]
        mask = from_bank(bank, "fray", WHOLE, area, np.random.default_rng(seed)).mask > 0
        ends = {"t": mask[0], "b": mask[-1], "l": mask[:, 0], "r": mask[:, -1]}
        touched = {name for name, line in ends.items() if line.any()}
        for pair in ({"t", "b"}, {"l", "r"}):
            if set(borders) & pair:
                assert touched & pair
        met.add(frozenset(touched))
    assert len(met) > 1


def test_a_single_pixel_mask_survives_turning_and_scaling():
    dot = np.full((1, 1), 255, dtype=np.uint8)
    for seed in range(10):
        assert from_bank([MaskShape(dot)], "c", WHOLE, None, np.random.default_rng(seed)).mask.any()


@pytest.mark.parametrize(
    ("mask", "message"),
    [
        (np.zeros((5, 6), np.uint8), "is empty"),
        (np.full((5, 6), 255, np.uint8), "is full"),
        (np.full((6, 5), 255, np.uint8), "is 5 x 6 px, its image is 6 x 5 px"),
    ],
)
def test_an_unusable_mask_file_is_refused(mask, message):
    with pytest.raises(DataError, match=message):
        check_mask("m.png", mask, (5, 6))
