"""A detector on photos small enough to be learned in seconds."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from aliaug_edge.errors import AliAugError
from aliaug_edge.evaluation.detector import batches
from aliaug_edge.evaluation.detector.base import DetectorDivergedError, Lesson
from aliaug_edge.evaluation.detector.batches import CropPlan, LessonCrops
from aliaug_edge.evaluation.detector.fit import FitSettings, fit, segmentation_loss, unet_detector
from aliaug_edge.evaluation.detector.network import DefectNet
from aliaug_edge.evaluation.detector.scores import average_precision
from aliaug_edge.evaluation.photos import Photo

PLAN = CropPlan(side=32, real=4, good=2)
SETTINGS = FitSettings(steps=60, crops=PLAN, precision="fp32")


def noisy(seed: int, hw: tuple[int, int] = (48, 56)) -> np.ndarray:
    grain = np.random.default_rng(seed).normal(128, 12, (*hw, 1))
    return np.repeat(grain.clip(0, 255), 3, axis=2).astype(np.uint8)


def spotted(seed: int, name: str = "spot", hw: tuple[int, int] = (48, 56)) -> Photo:
    """A dark square of 8 pixels on noise."""
    image, mask = noisy(seed, hw), np.zeros(hw, np.uint8)
    rng = np.random.default_rng(seed + 1)
    top, left = int(rng.integers(hw[0] - 8)), int(rng.integers(hw[1] - 8))
    image[top : top + 8, left : left + 8] //= 3
    mask[top : top + 8, left : left + 8] = 255
    return Photo(f"{name}/{seed}", image, mask, name, f"g{seed}")


def good(seed: int) -> Photo:
    image = noisy(seed)
    return Photo(f"good/{seed}", image, np.zeros(image.shape[:2], np.uint8), "good", f"g{seed}")


REAL = [spotted(seed) for seed in range(4)]
GOOD = [good(seed) for seed in range(10, 13)]
LESSON = Lesson(REAL, [], GOOD, 0.0, augment=True)


def test_a_detector_learns_to_mark_what_it_was_shown():
    predict = fit(LESSON, 0, SETTINGS)
    unseen = spotted(99)
    scores = predict(unseen.image)
    assert scores.shape == unseen.mask.shape
    assert scores.dtype == np.float32
    assert average_precision(scores, unseen.mask > 0) > 0.8


@pytest.mark.parametrize("steps", range(1, 12))
def test_any_number_of_steps_can_be_asked_for(steps: int):
    predict = fit(LESSON, 0, replace(SETTINGS, steps=steps))
    assert np.isfinite(predict(REAL[0].image)).all()


def test_the_same_lesson_and_seed_give_the_same_scores_and_another_seed_others():
    few = replace(SETTINGS, steps=4)
    image = spotted(7).image
    first, again = fit(LESSON, 1, few)(image), fit(LESSON, 1, few)(image)
    assert np.array_equal(first, again)
    assert not np.array_equal(first, fit(LESSON, 2, few)(image))


def test_training_leaves_the_callers_random_numbers_alone():
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    fit(LESSON, 1, replace(SETTINGS, steps=2))
    assert torch.equal(torch.rand(3), expected)


def test_progress_is_told_every_fifty_steps():
    seen = []
    fit(LESSON, 0, replace(SETTINGS, steps=50), lambda done, of, _note: seen.append((done, of)))
    assert seen == [(50, 50)]


@pytest.mark.parametrize("lesson", [replace(LESSON, real=[]), replace(LESSON, good=[])])
def test_a_lesson_without_defects_or_good_photos_is_one_line(lesson):
    with pytest.raises(AliAugError, match="learns from defects and from good photos"):
        unet_detector(SETTINGS)(lesson, 0)


def test_a_detector_that_diverges_says_so():
    with pytest.raises(DetectorDivergedError):
        predict = fit(LESSON, 0, replace(SETTINGS, learning_rate=1e30, steps=50))
        predict(REAL[0].image)


def test_any_size_of_photo_is_answered_at_its_own_size():
    predict = fit(LESSON, 0, replace(SETTINGS, steps=2))
    for hw in ((16, 16), (33, 47), (5, 100)):
        assert predict(noisy(0, hw)).shape == hw


def test_the_network_has_the_size_that_its_docstring_says():
    assert sum(p.numel() for p in DefectNet().parameters()) == 336_321


def test_the_loss_of_a_perfect_answer_is_nearly_nothing_and_good_crops_alone_have_one():
    masks = torch.zeros(2, 1, 8, 8)
    masks[0, 0, :4] = 1
    assert segmentation_loss(masks * 40 - 20, masks).item() < 1e-6
    assert segmentation_loss(20 - masks * 40, masks).item() > 10
    assert segmentation_loss(torch.zeros(1, 1, 8, 8), torch.zeros(1, 1, 8, 8)).item() > 0.5


def test_synthetic_crops_are_added_and_never_take_a_real_ones_place():
    made = [spotted(50 + seed, "made") for seed in range(3)]
    plain = LessonCrops(LESSON, PLAN, 0).batch(3)
    added = LessonCrops(replace(LESSON, synthetic=made, ratio=1.5), PLAN, 0).batch(3)
    assert len(plain[0]) == 6
    assert len(added[0]) == 6 + 6
    for before, after in zip(plain, added, strict=True):
        assert torch.equal(before, after[:6])


@pytest.mark.parametrize("changes", [{"augment": False}, {"real": [], "ratio": 1.0}])
def test_every_condition_sees_the_same_crops_of_the_photos_that_it_has(monkeypatch, changes):
    seen: list[tuple[object, tuple[float, float]]] = []
    whole = batches._cut

    def noted(held, centre, window):
        seen.append((held.pixels.tobytes(), centre))
        return whole(held, centre, window)

    monkeypatch.setattr(batches, "_cut", noted)
    LessonCrops(LESSON, PLAN, 0).batch(3)
    usual, seen[:] = list(seen), []
    LessonCrops(replace(LESSON, **changes), PLAN, 0).batch(3)
    assert seen == (usual if "real" not in changes else usual[PLAN.real :])


def test_a_synthetic_only_lesson_sees_no_real_defect():
    made = [spotted(50, "made")]
    images, masks = LessonCrops(replace(LESSON, real=[], synthetic=made, ratio=1.0), PLAN, 0).batch(
        0
    )
    assert len(images) == PLAN.good + 4
    assert not masks[: PLAN.good].any()
    assert masks[PLAN.good :].flatten(1).any(1).all()


def test_every_defect_crop_shows_its_defect_when_it_is_not_smaller_than_the_crop():
    _, masks = LessonCrops(LESSON, PLAN, 0).batch(0)
    assert masks[: PLAN.real].flatten(1).any(1).all()


def test_classes_are_drawn_equally_often_however_many_photos_they_have():
    crowded = [spotted(seed, "many") for seed in range(8)] + [spotted(40, "single")]
    crops = LessonCrops(replace(LESSON, real=crowded), replace(PLAN, good=0), 0)
    kept = crops.real
    assert [len(photos) for photos in kept] == [8, 1]


def test_without_augmentation_crops_are_the_photos_own_pixels():
    photo = spotted(3, hw=(32, 32))
    images, masks = LessonCrops(
        Lesson([photo], [], GOOD, 0.0, augment=False), replace(PLAN, real=1, good=0), 0
    ).batch(0)
    expected = torch.from_numpy(photo.image.transpose(2, 0, 1).astype(np.float32)) / 127.5 - 1
    assert torch.allclose(images[0], expected, atol=1e-6)
    assert torch.equal(masks[0, 0] > 0, torch.from_numpy(photo.mask > 0))


def test_coloured_photos_keep_their_colours():
    photo = spotted(3, hw=(32, 32))
    photo.image[..., 0] = 255
    images, _ = LessonCrops(
        Lesson([photo], [], GOOD, 0.0, augment=False), replace(PLAN, real=1, good=0), 0
    ).batch(0)
    assert torch.allclose(images[0, 0], torch.ones(32, 32))
    assert not torch.allclose(images[0, 1], torch.ones(32, 32))


def test_a_photo_smaller_than_the_crop_is_reflected():
    small = spotted(1, hw=(20, 18))
    images, masks = LessonCrops(Lesson([small], [], [small], 0.0, True), PLAN, 0).batch(0)
    assert images.shape[-2:] == (32, 32)
    assert torch.isfinite(images).all()
    assert masks.flatten(1).any(1).all()
