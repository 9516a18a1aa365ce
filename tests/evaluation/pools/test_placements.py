"""Placements: even, on the part, at borders again, and equal for equal seeds."""

from __future__ import annotations

from collections import Counter
from dataclasses import fields, replace

import numpy as np
import pytest

from aliaug_edge.components import components
from aliaug_edge.crops import Window
from aliaug_edge.data.inpaint import dilate
from aliaug_edge.errors import DataError
from aliaug_edge.evaluation.pools.placements import plan_placements
from aliaug_edge.evaluation.pools.warp import Pose, carried, carried_borders, carried_defect
from aliaug_edge.generation.placement import TURN_THRESHOLD, PlacementError


def same(a, b) -> bool:
    return all(
        np.array_equal(getattr(a, f.name), getattr(b, f.name))
        if isinstance(getattr(a, f.name), np.ndarray)
        else getattr(a, f.name) is getattr(b, f.name) or getattr(a, f.name) == getattr(b, f.name)
        for f in fields(a)
    )


def test_classes_defects_and_goods_are_used_evenly(defects, goods):
    plan = plan_placements(defects, goods, 42, 0)
    assert Counter(p.defect_class for p in plan) == {"hole": 21, "crack": 21}
    severities = Counter(p.severity for p in plan if p.defect_class == "hole")
    assert severities == {1 / 6: 7, 0.5: 7, 5 / 6: 7}  # three holes; the speck is none
    assert set(Counter(p.good.name for p in plan).values()) == {6}
    assert len({p.good.name for p in plan[:7]}) == 7
    assert len({p.name for p in plan}) == 42


def test_the_strongest_defect_has_the_highest_severity(defects, goods):
    plan = plan_placements(defects, goods, 12, 0)
    strongest = max((p for p in plan if p.defect_class == "hole"), key=lambda p: p.severity)
    assert strongest.source.name == "hole-b"


def test_equal_seeds_give_equal_plans_and_a_longer_plan_begins_with_the_shorter(defects, goods):
    plan = plan_placements(defects, goods, 12, 3)
    longer, other = plan_placements(defects, goods, 16, 3), plan_placements(defects, goods, 12, 4)
    assert all(same(a, b) for a, b in zip(plan, longer[:12], strict=True))
    assert not any(same(a, b) for a, b in zip(plan, other, strict=True))


def test_one_component_is_placed_at_a_time_whole_and_of_a_plausible_size(defects, goods):
    for placement in plan_placements(defects, goods, 30, 1):
        assert placement.mask.shape == placement.good.image.shape[:2]
        assert set(np.unique(placement.mask)) == {0, 255}
        assert len(components(placement.mask)) == 1
        areas = [part.area for part in components(placement.source.mask) if part.area > 1]
        assert min(areas) * 0.35 <= np.count_nonzero(placement.mask) <= max(areas) * 2.6


def test_the_patch_shows_the_defect_under_the_mask_and_surface_beside_it(defects, goods):
    dark = {"hole-a": 40, "hole-b": 80, "crack": 60}
    for placement in plan_placements(defects, goods, 30, 2):
        level, mask = placement.level.mean(), placement.mask
        depths = level - placement.patch[mask > 0].astype(float)
        assert np.quantile(depths, 0.8) == pytest.approx(dark[placement.source.name], abs=9)
        beside = (dilate(mask, 4) > 0) & (dilate(mask, 2) == 0)
        assert placement.patch[beside].mean() == pytest.approx(level, abs=4)
        assert level == pytest.approx(120, abs=3)


def test_what_the_border_had_cut_meets_the_border_again_unturned(defects, goods):
    cracks = [p for p in plan_placements(defects, goods, 40, 5) if p.defect_class == "crack"]
    tops = [bool(p.mask[0].any()) for p in cracks]
    assert all(top != bool(p.mask[-1].any()) for top, p in zip(tops, cracks, strict=True))
    assert {True, False} == set(tops)
    assert all(np.ptp(np.flatnonzero(p.mask.any(axis=0))) < 6 for p in cracks)


def test_a_bent_mask_has_another_outline_at_the_same_place_of_the_part(defects, goods, plate):
    plan = plan_placements(defects, goods, 30, 2)
    for placement in plan:
        mask, moved = placement.mask > 0, placement.bent_mask > 0
        assert set(np.unique(placement.bent_mask)) == {0, 255}
        assert (mask & moved).any()
        assert 0.4 < moved.sum() / mask.sum() < 2.5
    assert np.mean([np.array_equal(p.mask, p.bent_mask) for p in plan]) < 0.2
    part = plate.image.any(axis=2)
    for placement in plan_placements(defects[:2], [plate], 20, 0):
        assert part[placement.bent_mask > 0].mean() >= 0.95


def test_masks_stay_on_the_part(defects, plate):
    part = plate.image.any(axis=2)
    for placement in plan_placements(defects[:2], [plate], 20, 0):
        assert part[placement.mask > 0].mean() >= 0.95


def test_a_defect_larger_than_the_part_shrinks(defects, goods):
    small = replace(
        goods[0], image=goods[0].image[:20, :20].copy(), mask=goods[0].mask[:20, :20].copy()
    )
    for placement in plan_placements(defects, [small], 8, 0):
        assert placement.mask.shape == (20, 20)
        assert placement.mask.any()


def test_a_defect_cut_by_the_border_lies_anywhere_on_parts_that_reach_none(defects, plate):
    part = plate.image.any(axis=2)
    plan = plan_placements(defects[2:], [plate], 12, 0)
    for placement in plan:
        assert part[placement.mask > 0].mean() >= 0.95
        assert np.count_nonzero(placement.mask) >= 40  # of 120 pixels, at most shrunk once or twice
    widths = [np.ptp(np.flatnonzero(p.mask.any(axis=0))) for p in plan]
    assert max(widths) > 12  # of 3 pixels, had it not been turned


def test_what_finds_no_place_is_passed_over_and_counted_while_its_class_has_another(defects, goods):
    tiny = replace(goods[0], image=goods[0].image[:8, :8], mask=goods[0].mask[:8, :8])
    masks = np.zeros((2, 96, 120), np.uint8)
    masks[0, 0:94, 60:63], masks[1, 30:36, 20:23] = 255, 255
    long = replace(defects[2], name="long", mask=masks[0])
    short = replace(defects[2], name="short", mask=masks[1])
    said: list[str] = []
    plan = plan_placements([long, short], [tiny], 9, 0, said.append)
    assert {p.source.name for p in plan} == {"short"}
    (line,) = said
    assert line.startswith("1 of 2 defects find no place on the good photos")
    assert line.endswith("the first at 60, 0 of long")
    with pytest.raises(PlacementError, match=r"crack: none of 1 .* of long, finds"):
        plan_placements([long], [tiny], 1, 0)


def test_no_good_photos_and_no_defects_are_one_line_each(defects, goods):
    with pytest.raises(DataError, match="at least one good photo"):
        plan_placements(defects, [], 1, 0)
    with pytest.raises(DataError, match="photos with a defect mask"):
        plan_placements(goods, goods, 1, 0)


@pytest.mark.parametrize("scale", [0.7, 1.0, 1.37])
@pytest.mark.parametrize("degrees", [0.0, 33.0, 90.0, 250.0])
@pytest.mark.parametrize("flips", [(False, False), (True, False), (False, True)])
def test_mask_and_pixels_are_carried_alike(scale, degrees, flips):
    mask = np.zeros((40, 50), np.uint8)
    mask[8:30, 10:24], mask[22:30, 24:38] = 255, 255
    pose = Pose(*flips, scale, degrees)
    moved = carried(mask, pose) > 0
    pixels = carried(np.repeat(mask[..., None], 3, axis=2), pose)[..., 0] >= TURN_THRESHOLD
    assert moved.shape == pixels.shape
    assert (moved & pixels).sum() / (moved | pixels).sum() > 0.9
    centres = [np.argwhere(shown).mean(axis=0) for shown in (moved, pixels)]
    assert np.abs(centres[0] - centres[1]).max() < 0.7  # edges are rounded, each by its own rule
    assert moved.sum() == pytest.approx((mask > 0).sum() * scale**2, rel=0.15)


def test_a_thin_line_survives_every_pose_in_one_piece(defects):
    crack = defects[2]
    part = components(crack.mask)[0]
    line = np.full((part.pixels.shape[0], 1), 255, np.uint8)
    box = Window(part.top, part.left, len(line), 1)
    for degrees in range(0, 360, 17):
        mask, _ = carried_defect(crack.image, line, box, Pose(False, False, 0.7, float(degrees)))
        assert len(components(mask)) == 1
        assert np.count_nonzero(mask) >= 0.7 * 40 * 0.8


@pytest.mark.parametrize(
    ("flips", "moved"), [((False, False), "tl"), ((True, False), "bl"), ((False, True), "tr")]
)
def test_borders_follow_the_mirroring(flips, moved):
    assert carried_borders("tl", Pose(*flips, 1.0, 0.0)) == moved
