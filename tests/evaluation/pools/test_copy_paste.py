"""Copy-paste: the defect's contrast on another surface, and nothing else changed."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from aliaug_edge.data.inpaint import dilate
from aliaug_edge.evaluation.pools.copy_paste import paste
from aliaug_edge.evaluation.pools.placements import plan_placements
from aliaug_edge.imaging import is_grey


def test_the_defect_keeps_its_contrast_on_a_brighter_or_darker_part(defects, goods):
    dark = {"hole-a": 40, "hole-b": 80, "crack": 60}
    for placement in plan_placements(defects, goods, 28, 0):
        photo, mask = paste(placement), placement.mask > 0
        before = placement.good.image[mask].mean()
        wanted = min(dark[placement.source.name], before)
        depths = before - photo.image[mask].astype(float)
        assert np.quantile(depths, 0.8) == pytest.approx(wanted, abs=10)


def test_beyond_the_feather_the_good_photo_is_untouched_and_the_label_is_the_mask(defects, goods):
    for placement in plan_placements(defects, goods, 12, 1):
        photo, outside = paste(placement), dilate(placement.mask, 6) == 0
        assert np.array_equal(photo.image[outside], placement.good.image[outside])
        assert np.array_equal(photo.mask, placement.mask)
        assert photo.group == placement.good.group
        assert photo.defect_class == placement.defect_class


def test_beside_the_mask_surface_meets_surface_without_a_halo(defects, goods):
    for placement in plan_placements(defects[:2], goods, 12, 2):
        near = (dilate(placement.mask, 4) > 0) & (dilate(placement.mask, 2) == 0)
        level = placement.good.image.mean()
        assert paste(placement).image[near].mean() == pytest.approx(level, abs=4)


def test_names_count_on_and_equal_plans_paste_equally(defects, goods):
    first, again = ([paste(p) for p in plan_placements(defects, goods, 4, 0)] for _ in range(2))
    assert [p.name for p in first] == [f"copy-paste/{n:06d}" for n in range(4)]
    assert all(np.array_equal(a.image, b.image) for a, b in zip(first, again, strict=True))


def test_a_grey_part_stays_grey_under_a_coloured_defect(defects, goods, colour_goods):
    tinted = [replace(d, image=(d.image * (1.0, 0.6, 0.4)).astype(np.uint8)) for d in defects]
    assert all(is_grey(paste(p).image) for p in plan_placements(tinted, goods, 6, 0))
    coloured = [paste(p).image for p in plan_placements(tinted, colour_goods, 6, 0)]
    assert not any(is_grey(image) for image in coloured)
