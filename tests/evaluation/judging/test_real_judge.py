"""The judge of real data tells defects apart, and good surface from either, by their surface."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from diffusers import AutoencoderKL

from aliaug_edge.errors import AliAugError
from aliaug_edge.evaluation.judging.features import (
    frozen_encoder,
    largest_part,
    middle_of,
    perceptual_distances,
)
from aliaug_edge.evaluation.judging.lessons import (
    enough_seen,
    lent_lessons,
    lent_outline,
    lesson_places,
    pasted_lessons,
    under_outline,
)
from aliaug_edge.evaluation.judging.real_judge import (
    RealJudgeSettings,
    chance_of,
    discriminants,
    features,
    train_real_judges,
    verdicts,
)
from aliaug_edge.evaluation.photos import Photo
from aliaug_edge.evaluation.pools.placements import plan_placements

QUICK = RealJudgeSettings(side=32, views=2, lessons=36)


@pytest.fixture(scope="module")
def vae() -> AutoencoderKL:
    return frozen_encoder()


def photo(number: int, defect_class: str, side: int = 12) -> Photo:
    rng = np.random.default_rng(number)
    surface, mask = rng.normal(128, 5, (64, 64)), np.zeros((64, 64), np.uint8)
    if defect_class != "good":
        top, left = rng.integers(8, 40, 2)
        mask[top : top + side, left : left + side] = 255
        surface[mask > 0] += {"bright": 70, "dark": -70}[defect_class]
    image = np.repeat(surface.clip(0, 255).astype(np.uint8)[..., None], 3, axis=2)
    return Photo(f"{defect_class}/{number}.png", image, mask, defect_class, f"g{number}")


def photos(first: int, count: int) -> list[Photo]:
    return [photo(first + n, ("bright", "dark")[n % 2]) for n in range(count)]


def goods(count: int, first: int = 0) -> list[Photo]:
    return [photo(first + n, "good") for n in range(count)]


def test_it_names_unseen_defects_and_sees_that_good_surface_is_empty(vae: AutoencoderKL) -> None:
    judge = train_real_judges(photos(10, 12), goods(6), vae, QUICK).plain
    unseen = photos(100, 8)
    masks = [p.mask for p in unseen]
    seen = verdicts(judge, [p.image for p in unseen], masks)
    assert sum(s.name == p.defect_class for s, p in zip(seen, unseen, strict=True)) >= 7
    assert sum(s.empty for s in seen) <= 1
    blank = verdicts(judge, [p.image for p in goods(8, 200)], masks)
    assert sum(s.empty for s in blank) >= 7


def test_it_looks_at_the_surface_and_not_at_the_size_of_the_mask(vae: AutoencoderKL) -> None:
    learned = [photo(10 + n, *(("bright", 5), ("dark", 20))[n % 2]) for n in range(12)]
    judge = train_real_judges(learned, goods(6), vae, QUICK).plain
    other = [photo(100 + n, *(("bright", 20), ("dark", 5))[n % 2]) for n in range(8)]
    seen = verdicts(judge, [p.image for p in other], [p.mask for p in other])
    assert sum(s.name == p.defect_class for s, p in zip(seen, other, strict=True)) >= 7


def test_the_judge_of_swaps_names_pixels_seen_through_another_class_s_outline(
    vae: AutoencoderKL,
) -> None:
    learned = [photo(10 + n, *(("bright", 5), ("dark", 20))[n % 2]) for n in range(12)]
    judge = train_real_judges(learned, goods(6), vae, QUICK).swaps
    assert judge is not None
    unseen = [photo(100 + n, *(("bright", 5), ("dark", 20))[n % 2]) for n in range(8)]
    places = plan_placements(unseen, goods(4, 200), 8, 0)
    swapped = [
        lent
        for place, other in zip(places, places[1:] + places[:1], strict=True)
        if (lent := under_outline(place, other.mask)) is not None
    ]
    seen = verdicts(judge, [p.image for p in swapped], [p.mask for p in swapped])
    hits = [v.is_of(p.defect_class) for v, p in zip(seen, swapped, strict=True)]
    assert len(hits) >= 7 and sum(hits) >= len(hits) - 1


def test_equal_arguments_give_an_equal_judge(vae: AutoencoderKL) -> None:
    first, again = (train_real_judges(photos(10, 4), goods(3), vae, QUICK).plain for _ in range(2))
    assert torch.equal(first.weights, again.weights)
    one = photo(50, "dark")
    rows = [features(judge, [one.image], [one.mask]) for judge in (first, again)]
    assert torch.equal(*rows)


def test_one_class_is_told_from_good_surface_and_has_no_judge_of_swaps(vae: AutoencoderKL) -> None:
    learned = [photo(10 + n, "dark", (6, 14)[n % 2]) for n in range(8)]
    judges = train_real_judges(learned, goods(6), vae, QUICK)
    assert judges.plain.answers == ("dark", "good")
    assert judges.swaps is None
    unseen, empty = [photo(100 + n, "dark") for n in range(6)], goods(6, 200)
    masks = [p.mask for p in unseen]
    seen = verdicts(judges.plain, [p.image for p in unseen], masks)
    assert sum(v.is_of("dark") for v in seen) >= 5
    blank = verdicts(judges.plain, [p.image for p in empty], masks)
    assert sum(v.is_of("dark") for v in blank) <= 1


@pytest.mark.parametrize(("classes", "share"), [(1, 0.5), (2, 0.5), (4, 0.25)])
def test_guessing_is_among_the_classes_or_between_one_and_nothing(
    classes: int, share: float
) -> None:
    assert chance_of(classes) == share


@pytest.mark.parametrize(("defects", "good"), [(0, 3), (4, 0)])
def test_too_little_to_learn_from_is_refused(vae: AutoencoderKL, defects: int, good: int) -> None:
    with pytest.raises(AliAugError, match=f"got {defects} defects and {good} good photos"):
        train_real_judges(photos(10, defects), goods(good), vae, QUICK)


def test_discriminants_find_what_tells_classes_apart_among_what_does_not() -> None:
    rng = torch.Generator().manual_seed(0)
    parts = [torch.randn(40, 30, generator=rng, dtype=torch.float64) for _ in range(2)]
    parts[1][:, 3] += 4
    weights, offsets = discriminants(parts, 0.5)
    assert int((weights[:, 1] - weights[:, 0]).abs().argmax()) == 3
    hits = [(part @ weights + offsets).argmax(1) == index for index, part in enumerate(parts)]
    assert torch.cat(hits).double().mean() > 0.9


def test_the_middle_of_a_ring_lies_on_it() -> None:
    ring = np.full((9, 9), 255, np.uint8)
    ring[1:8, 1:8] = 0
    assert ring[middle_of(ring)] == 255


def test_the_largest_part_stands_alone() -> None:
    mask = np.zeros((20, 30), np.uint8)
    mask[3, 4], mask[7, 9:11] = 255, 255
    assert largest_part(mask).sum() == 2 * 255


def test_lessons_are_own_outlines_others_and_good_surface() -> None:
    made = pasted_lessons(lesson_places(photos(10, 4), goods(3), 12, seed=0), seed=0)
    names = [p.defect_class for p in made]
    assert names[:4] == ["bright", "dark", "bright", "dark"]
    assert names[4:6] == ["good", "good"]
    assert all(p.mask.any() for p in made)
    assert not any(np.array_equal(made[0].image, p.image) for p in made[1:])


def test_every_class_is_learned_under_the_outlines_of_every_class() -> None:
    learned = [photo(10 + n, *(("bright", 8), ("dark", 20))[n % 2]) for n in range(4)]
    lessons = lent_lessons(lesson_places(learned, goods(3), 8, seed=0), seed=0)
    small: dict[str, set[bool]] = {"bright": set(), "dark": set(), "good": set()}
    for lesson in lessons:
        small[lesson.defect_class].add(np.count_nonzero(lesson.mask) < 150)
    assert small["bright"] == small["dark"] == small["good"] == {True, False}


def test_a_lent_outline_lies_in_the_defect_s_middle_and_shows_enough_or_not() -> None:
    mask, outline = np.zeros((40, 40), np.uint8), np.zeros((40, 40), np.uint8)
    mask[2:12, 20:31], outline[30:33, 1:10] = 255, 255
    lent = lent_outline(mask, outline)
    assert np.count_nonzero(lent) == 27
    assert middle_of(lent) == middle_of(mask)
    seen = np.minimum(lent, mask)
    assert enough_seen(seen, mask)
    assert not enough_seen(np.where(np.arange(40) < 22, seen, 0).astype(np.uint8), mask)


def test_a_defect_shows_only_through_the_other_outline() -> None:
    place = plan_placements([photo(10, "dark"), photo(11, "bright")], goods(2), 1, 0)[0]
    outline = np.zeros((64, 64), np.uint8)
    outline[2:4, 10:50] = 255
    lent = under_outline(place, outline)
    assert lent is not None
    assert np.count_nonzero(lent.mask) > 40
    changed = np.abs(lent.image.astype(int) - place.good.image).max(axis=2) > 40
    own = np.abs(np.argwhere(changed)[:, 0] - middle_of(place.mask)[0])
    assert 0 < np.count_nonzero(changed) < np.count_nonzero(place.mask)
    assert own.max() <= 3  # the outline's two rows and their feather


def test_the_perceptual_distance_is_zero_for_equal_images_and_grows(vae: AutoencoderKL) -> None:
    image, other = photo(1, "good").image, photo(1, "dark").image
    same, apart = perceptual_distances(vae, [image, image], [image, other])
    assert same == 0
    assert apart > 0
