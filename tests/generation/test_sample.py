"""One sample at a time: what the model is shown, how its answer is judged, what is recorded."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from aliaug_edge import crops
from aliaug_edge.components import components
from aliaug_edge.generation import runners
from aliaug_edge.generation.pipeline import Pipeline
from aliaug_edge.generation.placement import PlacementError
from aliaug_edge.generation.plan import checked_plan
from aliaug_edge.generation.request import RunSettings
from aliaug_edge.generation.sample import (
    FAILED,
    KEPT,
    REJECTED,
    finish,
    prepare,
    produce,
    write_sample,
)
from aliaug_edge.quality.planes import LUMA

SETTINGS = RunSettings(count=1, engine="onnxruntime-cpu", classes=("stain",), blend="hard")
ABOUT = {"bundle_sha256": "0" * 64, "engine": "onnxruntime-cpu", "precision": "fp32"}


def diagonal(side: int = 1024) -> np.ndarray:
    mask = np.zeros((side, side), dtype=np.uint8)
    steps = np.arange(900)
    mask[60 + steps, 62 + steps] = 255
    return mask


def twins() -> np.ndarray:
    mask = np.zeros((128, 128), dtype=np.uint8)
    mask[40:60, 30:50] = mask[70:80, 70:80] = 255
    return mask


@pytest.fixture
def planned(bundle, tmp_path):
    """A job and its only request, for a flat grey photo and the given mask."""

    def plan(mask: np.ndarray, settings: RunSettings = SETTINGS):
        for folder, pixels in (("good", np.full_like(mask, 120)), ("masks", mask)):
            (tmp_path / folder).mkdir()
            Image.fromarray(pixels).save(tmp_path / folder / "part.png")
        job, requests = checked_plan(bundle, settings, tmp_path / "good", tmp_path / "masks")
        return job, requests[0]

    return plan


class Answer:
    """Stands for a pipeline whose model adds `change` (h, w, 3) grey levels to what it is shown,
    and whose device, where there is one, has blended it to `blended`."""

    def __init__(self, change: np.ndarray, blended: dict[str, np.ndarray] | None = None) -> None:
        self.change = change
        self.blended = blended or {}

    def insert(self, prepared, *_):
        raw = ((prepared.shown + self.change) / 127.5 - 1).astype(np.float32)
        return runners.Answer(raw, self.blended)


def test_a_hairline_across_a_large_photo_reaches_the_model_whole(planned):
    job, request = planned(diagonal(1400))
    prepared = prepare(job, request)
    assert prepared.shown_mask.shape == (128, 128)
    assert len(components(prepared.shown_mask)) == 1
    assert np.count_nonzero(prepared.shown_mask) >= 900 / 1350 * 128 - 2


def test_a_hairline_gives_a_record_that_json_can_hold(planned, bundle, tmp_path):
    job, request = planned(diagonal())
    with Pipeline(bundle, "onnxruntime-cpu", 1, batch=1) as pipeline:
        result = produce(job, prepare(job, request), pipeline)
    record = write_sample(job, result, tmp_path / "out", ABOUT)
    assert result.status == KEPT
    assert all(np.isfinite(value) for value in record["scores"].values())
    json.dumps(record, allow_nan=False)


def test_a_mask_that_the_model_could_not_see_is_refused_with_its_name(planned, monkeypatch):
    job, request = planned(diagonal())
    monkeypatch.setattr(
        "aliaug_edge.crops.resize_mask", lambda _, size_hw: np.zeros(size_hw, dtype=np.uint8)
    )
    with pytest.raises(PlacementError, match=r"mask file:part\.png of part\.png has no pixel left"):
        prepare(job, request)


def test_scores_that_are_no_numbers_fail_the_sample(planned, tmp_path):
    job, request = planned(twins())
    prepared = prepare(job, request)
    result = produce(job, prepared, Answer(np.full((*prepared.shown.shape,), np.nan)))
    record = write_sample(job, result, tmp_path / "out", ABOUT)
    assert (record["status"], record["scores"]) == (FAILED, None)
    assert "not finite" in record["reason"]


def test_on_a_grey_photo_what_blending_drops_is_not_scored(planned):
    job, request = planned(twins())
    prepared = prepare(job, request)
    hue = np.array([60.0, -60 * LUMA[0] / LUMA[1], 0])
    result = produce(job, prepared, Answer((prepared.shown_mask[..., None] > 0) * hue))
    assert np.array_equal(finish(job, result)[0], prepared.image)
    assert result.status == REJECTED
    assert "empty insertion" in (result.reason or "")


def test_every_labelled_part_must_have_changed(planned):
    job, request = planned(twins())
    prepared = prepare(job, request)
    change = np.where(prepared.shown_mask > 0, 50, 0)[..., None].repeat(3, axis=2)
    assert produce(job, prepared, Answer(change)).status == KEPT
    last = components(prepared.shown_mask)[1]
    change[last.top :, last.left :] = 0
    assert produce(job, prepared, Answer(change)).status == REJECTED
    asked = replace(job, settings=replace(job.settings, min_change=0.0))
    assert produce(asked, prepared, Answer(change)).status == KEPT


def test_what_is_made_beyond_the_border_is_not_judged(planned):
    mask = np.zeros((40, 50), dtype=np.uint8)
    mask[3:15, 3:15] = 255  # the window of 64 x 64 shows it again, reflected
    job, request = planned(mask)
    prepared = prepare(job, request)
    window = prepared.window
    assert (window.top, window.left) == (-12, -7)
    assert len(components(prepared.shown_mask)) > 1
    change = np.zeros((64, 64, 3))
    change[12:52, 7:57] = np.where(mask > 0, 50, 0)[..., None]
    result = produce(job, prepared, Answer(change))
    assert result.status == KEPT
    assert result.judgement is not None
    assert result.judgement.scores.change_inside == pytest.approx(50, abs=0.01)
    change[:12] = 120  # and damage there is cut off
    assert produce(job, prepared, Answer(change)).judgement == result.judgement


def test_what_the_device_blended_is_taken_for_its_own_way_of_blending_alone(planned):
    job, request = planned(twins())
    prepared = prepare(job, request)
    change = np.where(prepared.shown_mask > 0, 50, 0)[..., None].repeat(3, axis=2)
    patch = np.full_like(prepared.shown, 77)
    result = produce(job, prepared, Answer(change, {"hard": patch}))
    image, _ = finish(job, result)
    assert (crops.cut(image, crops.inside(prepared.window, image.shape)) == 77).all()
    feathered = replace(job, settings=replace(job.settings, blend="feather"))
    expected = produce(feathered, prepared, Answer(change))
    assert np.array_equal(finish(feathered, result)[0], finish(feathered, expected)[0])
