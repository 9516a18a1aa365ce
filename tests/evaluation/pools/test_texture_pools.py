"""Perlin and CutPaste: what changed is what is labelled, of sensible size, on the part."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from aliaug_edge.errors import DataError
from aliaug_edge.evaluation.pools.cutpaste import PATCH_AREA, cutpaste
from aliaug_edge.evaluation.pools.perlin import AREA, LEAST_CHANGE, perlin, perlin_noise
from aliaug_edge.imaging import is_grey

both = pytest.mark.parametrize("make", [perlin, cutpaste])


def share(photo) -> float:
    return np.count_nonzero(photo.mask) / photo.mask.size


@both
def test_only_what_is_labelled_has_changed(make, goods):
    by_group = {good.group: good for good in goods}
    for photo in make(goods, 14, 0):
        good, outside = by_group[photo.group], photo.mask == 0
        assert np.array_equal(photo.image[outside], good.image[outside])
        assert not np.array_equal(photo.image, good.image)
        assert set(np.unique(photo.mask)) == {0, 255}
        assert photo.defect_class == "anomaly"


@both
def test_good_photos_are_used_up_before_any_repeats(make, goods):
    photos = make(goods, 14, 0)
    assert set(Counter(p.group for p in photos).values()) == {2}
    assert len({p.group for p in photos[:7]}) == 7
    kind = make.__name__
    assert [p.name for p in photos] == [f"{kind}/{n:06d}" for n in range(14)]


@both
def test_equal_seeds_give_equal_bytes_and_a_larger_pool_begins_with_the_smaller(make, goods):
    pool, larger, other = make(goods, 6, 1), make(goods, 9, 1), make(goods, 6, 2)
    for a, b, c in zip(pool, larger[:6], other, strict=True):
        assert np.array_equal(a.image, b.image)
        assert np.array_equal(a.mask, b.mask)
        assert not (a.group == c.group and np.array_equal(a.mask, c.mask))


@both
def test_grey_stays_grey_and_colour_stays_colour(make, goods, colour_goods):
    assert all(is_grey(p.image) for p in make(goods, 8, 0))
    assert not any(is_grey(p.image) for p in make(colour_goods, 8, 0))


@both
def test_no_good_photos_is_one_line(make):
    with pytest.raises(DataError, match="at least one good photo"):
        make([], 1, 0)


@both
def test_defects_lie_on_the_part(make, plate):
    part = plate.image.any(axis=2)
    on_part = [part[p.mask > 0].mean() for p in make([plate], 12, 0)]
    assert min(on_part) >= (0.9 if make is perlin else 0.5)


@both
def test_photos_of_a_few_pixels_are_served(make, goods):
    good = goods[0]
    tiny = type(good)("t", good.image[:9, :5].copy(), good.mask[:9, :5].copy(), "good", "t")
    assert all(0 < np.count_nonzero(p.mask) < p.mask.size for p in make([tiny], 10, 0))


def test_perlin_masks_keep_their_bounds_and_can_be_seen(goods):
    by_group = {good.group: good for good in goods}
    photos = perlin(goods, 40, 0)
    pixel = 1 / photos[0].mask.size
    assert all(AREA[0] - pixel <= share(p) <= AREA[1] + pixel for p in photos)
    assert np.ptp([share(p) for p in photos]) > 0.05
    changes = []
    for photo in photos:
        hit = photo.mask > 0
        before = by_group[photo.group].image[hit].astype(float)
        changes.append(np.abs(photo.image[hit] - before).mean())
    assert np.mean(np.array(changes) >= LEAST_CHANGE - 1) >= 0.9


def test_perlin_noise_is_smooth_bounded_and_as_fine_as_asked():
    def crossings(cells: tuple[int, int]) -> int:
        noise = perlin_noise(np.random.default_rng(0), (128, 160), cells, 0.0)
        assert noise.shape == (128, 160)
        assert np.abs(noise).max() <= 1
        assert np.abs(np.diff(noise, axis=1)).max() < 4 * cells[1] / 160
        return int(np.count_nonzero(np.diff(noise[:, 80] > 0)))

    assert crossings((2, 2)) < crossings((8, 2)) < crossings((32, 2))


def test_cutpaste_alternates_between_the_papers_patches_and_scars(goods):
    photos = cutpaste(goods, 40, 0)
    patches, scars = photos[::2], photos[1::2]
    assert all(PATCH_AREA[0] * 0.9 <= share(p) <= PATCH_AREA[1] * 1.1 for p in patches)
    assert all(share(p) <= 16 * 25 / 256**2 * 1.6 for p in scars)
    for photo in patches:
        rows, columns = (np.count_nonzero(photo.mask.any(axis=axis)) for axis in (1, 0))
        assert rows * columns == np.count_nonzero(photo.mask)  # upright rectangles
        assert 1 / 3.6 <= rows / columns <= 3.6
