"""The judge of real data tells defects apart, and good surface from either, without outlines."""

from __future__ import annotations

import numpy as np
import pytest

from aliaug_edge.errors import AliAugError
from aliaug_edge.evaluation.judging.features import (
    frozen_encoder,
    largest_part,
    perceptual_distances,
)
from aliaug_edge.evaluation.judging.real_judge import (
    RealJudgeSettings,
    boxed,
    moved_box,
    names_of,
    train_real_judge,
)
from aliaug_edge.evaluation.photos import Photo

QUICK = RealJudgeSettings(side=32, views=3, steps=80, batch_size=24, seeds=1)


def photo(number: int, defect_class: str) -> Photo:
    rng = np.random.default_rng(number)
    surface, mask = rng.normal(128, 5, (64, 64)), np.zeros((64, 64), np.uint8)
    if defect_class != "good":
        top, left = rng.integers(8, 40, 2)
        mask[top : top + 12, left : left + 12] = 255
        surface[mask > 0] += {"bright": 70, "dark": -70}[defect_class]
    image = np.repeat(surface.clip(0, 255).astype(np.uint8)[..., None], 3, axis=2)
    return Photo(f"{defect_class}/{number}.png", image, mask, defect_class, f"g{number}")


def test_it_names_unseen_defects_and_good_surface() -> None:
    goods = [photo(n, "good") for n in range(6)]
    defects = [photo(10 + n, ("bright", "dark")[n % 2]) for n in range(12)]
    judge = train_real_judge(defects, goods, frozen_encoder(), QUICK)
    unseen = [photo(100 + n, ("bright", "dark")[n % 2]) for n in range(8)]
    seen = names_of(judge, [p.image for p in unseen], [p.mask for p in unseen])
    assert sum(s == p.defect_class for s, p in zip(seen, unseen, strict=True)) >= 7
    empty = names_of(
        judge, [photo(200 + n, "good").image for n in range(8)], [p.mask for p in unseen]
    )
    assert empty.count("good") >= 7


def test_nothing_to_learn_from_is_refused() -> None:
    with pytest.raises(AliAugError, match="defects and good photos, got 0 and 0"):
        train_real_judge([], [], frozen_encoder(), QUICK)


def test_boxes_hide_the_outline_and_stay_in_the_image() -> None:
    mask = np.zeros((20, 30), np.uint8)
    mask[3, 4], mask[7, 9] = 255, 255
    mask[7, 10] = 255
    assert largest_part(mask).sum() == 2 * 255
    assert (boxed(mask)[3:8, 4:11] == 255).all()
    assert boxed(mask).sum() == 35 * 255
    assert moved_box(mask, (4, 40), np.random.default_rng(0)).sum() == 3 * 7 * 255


def test_the_perceptual_distance_is_zero_for_equal_images_and_grows() -> None:
    image = photo(1, "good").image
    other = photo(1, "dark").image
    same, apart = perceptual_distances(frozen_encoder(), [image, image], [image, other])
    assert same == 0
    assert apart > 0
