"""A study's judge learns from scenes, sees that nothing is there, and does not go by outlines."""

from __future__ import annotations

import numpy as np

from aliaug_edge.data.samples import GOOD
from aliaug_edge.evaluation.studies.scene_judge import scene_lessons, train_scene_judge
from aliaug_edge.evaluation.studies.scenes import Scene

TONES = {"bright": 70, "dark": -70}


def scene(number: int, defect_class: str, side: int) -> Scene:
    """A square of `side` pixels on noise."""
    rng = np.random.default_rng(number)
    good, mask = rng.normal(128, 5, (48, 48)), np.zeros((48, 48), np.uint8)
    top, left = rng.integers(6, 18, 2)
    mask[top : top + side, left : left + side] = 255
    truth = good + np.where(mask > 0, TONES[defect_class], 0)
    grey, bad = (
        np.repeat(plane.clip(0, 255).astype(np.uint8)[..., None], 3, axis=2)
        for plane in (good, truth)
    )
    return Scene(f"{defect_class}/{number}", defect_class, grey, mask, bad, 0.5)


def scenes(first: int, *kinds: tuple[str, int]) -> list[Scene]:
    return [scene(first + n, *kinds[n % len(kinds)]) for n in range(12)]


def test_it_goes_by_the_surface_where_masks_have_another_class_s_size() -> None:
    judge = train_scene_judge(scenes(0, ("bright", 5), ("dark", 22)), 48, views=2, seed=0)
    other = scenes(100, ("bright", 22), ("dark", 5))
    seen = judge([s.truth for s in other], [s.mask for s in other])
    assert sum(v.is_of(s.defect_class) for v, s in zip(seen, other, strict=True)) >= 11
    blank = judge([s.good for s in other], [s.mask for s in other])
    assert sum(v.empty for v in blank) >= 11


def test_lessons_show_a_defect_through_another_outline_and_nothing_under_it() -> None:
    learned = scenes(0, ("bright", 5), ("dark", 22))
    lessons = scene_lessons(learned, 2, seed=0)
    assert len(lessons) == 3 * 2 * len(learned)
    by_name = {s.name: s for s in learned}
    for own, good, lent in zip(lessons[::3], lessons[1::3], lessons[2::3], strict=True):
        source = by_name[own.name]
        assert (own.defect_class, good.defect_class) == (source.defect_class, GOOD)
        assert np.array_equal(good.image, source.good)
        changed = (lent.image != source.good).any(axis=2)
        assert changed.any() and not changed[(lent.mask == 0) | (source.mask == 0)].any()
        assert np.array_equal(good.mask, lent.mask)


def test_equal_scenes_give_equal_lessons() -> None:
    learned = scenes(0, ("bright", 5), ("dark", 22))
    first, again = (scene_lessons(learned, 1, seed=3) for _ in range(2))
    pairs = zip(first, again, strict=True)
    assert all(np.array_equal(a.image, b.image) and a.name == b.name for a, b in pairs)


def test_one_class_is_told_from_good_surface() -> None:
    judge = train_scene_judge(scenes(0, ("dark", 9), ("dark", 20)), 48, views=1, seed=0)
    other = scenes(100, ("dark", 14))
    masks = [s.mask for s in other]
    assert sum(v.is_of("dark") for v in judge([s.truth for s in other], masks)) >= 11
    assert sum(v.empty for v in judge([s.good for s in other], masks)) >= 11
