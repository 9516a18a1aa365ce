"""Plans: deterministic, balanced, and refused when they make no sense."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest

from aliaug_edge.bundle import load_bundle
from aliaug_edge.cli import generate as command
from aliaug_edge.errors import AliAugError, BundleError
from aliaug_edge.generation.quality import MIN_CHANGE, MIN_PRESERVATION_DB
from aliaug_edge.generation.request import (
    RunSettings,
    attempt_seed,
    plan_requests,
    stable_seed,
)
from tests.support.bundles import make_bundle

NAMES = [f"{i}.png" for i in range(6)]


@pytest.fixture(scope="module")
def bundle(tmp_path_factory):
    return load_bundle(make_bundle(tmp_path_factory.mktemp("b") / "bundle", classes=["a", "b"]))


def test_equal_arguments_give_equal_requests_and_another_seed_others(bundle):
    settings = RunSettings(count=20, seed=7)
    plan = plan_requests(settings, bundle, NAMES)
    assert plan == plan_requests(settings, bundle, NAMES)
    assert plan != plan_requests(replace(settings, seed=8), bundle, NAMES)


def test_a_longer_run_begins_with_the_shorter_one(bundle):
    short = plan_requests(RunSettings(count=5, seed=7), bundle, NAMES)
    assert plan_requests(RunSettings(count=50, seed=7), bundle, NAMES)[:5] == short


def test_a_class_gets_the_number_that_was_asked_for(bundle):
    plan = plan_requests(RunSettings(count=6, classes=("b", "a"), per_class=(4, 2)), bundle, NAMES)
    assert [request.defect_class for request in plan] == ["b", "a", "b", "a", "b", "b"]
    assert [request.index for request in plan] == list(range(6))


def test_classes_take_turns_and_sources_are_used_evenly(bundle):
    plan = plan_requests(RunSettings(count=24), bundle, NAMES)
    assert Counter(r.defect_class for r in plan) == {"a": 12, "b": 12}
    assert set(Counter(r.source_image for r in plan).values()) == {4}
    pairs = {(r.defect_class, r.source_image) for r in plan}
    assert len(pairs) > len(NAMES)  # they do not march in step


def test_every_lap_through_the_sources_has_an_order_of_its_own(bundle):
    plan = plan_requests(RunSettings(count=15, seed=7), bundle, NAMES)
    names = [r.source_image.removesuffix(".png") for r in plan]
    assert "".join(names) == "213504532104310"
    assert sorted(names[:6]) == sorted(names[6:12]) == list("012345")


def test_a_large_plan_over_many_images_takes_no_permutation_per_request(bundle, monkeypatch):
    seen = []
    draw = np.random.default_rng
    monkeypatch.setattr(np.random, "default_rng", lambda seed: seen.append(seed) or draw(seed))
    many = [f"{i}.png" for i in range(100)]
    plan_requests(RunSettings(count=250), bundle, many)
    laps = {stable_seed(0, "sources", lap) for lap in range(3)}
    assert [seed for seed in seen if seed in laps] == [
        stable_seed(0, "sources", i) for i in (0, 1, 2)
    ]


def test_seeds_are_stable_over_machines_and_releases():
    assert stable_seed(7, "request", 0) == 171052915758182
    assert attempt_seed(5, 0) == 5
    assert attempt_seed(5, 1) != attempt_seed(5, 2)


def test_severities_stay_in_their_range(bundle):
    plan = plan_requests(RunSettings(count=50, severity=(0.25, 0.5)), bundle, NAMES)
    assert all(0.25 <= r.severity <= 0.5 for r in plan)


def test_without_images_each_request_draws_its_own_surface(bundle):
    plan = plan_requests(RunSettings(count=5), bundle, [])
    assert len({r.source_image for r in plan}) == 5
    assert all(r.source_image.startswith("procedural:") for r in plan)


def test_a_class_without_training_masks_gets_drawn_shapes(tmp_path):
    bare = load_bundle(make_bundle(tmp_path / "bare", masks_per_class=0))
    assert {r.mask_source for r in plan_requests(RunSettings(count=4), bare, NAMES)} == {"shape"}


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"classes": ("rust",)}, BundleError, "unknown defect class 'rust'.*offers a, b"),
        ({"classes": ("a", "a")}, AliAugError, "--classes names a class twice"),
        ({"classes": ("a", "b"), "per_class": (3,)}, AliAugError, "every class a count"),
        ({"classes": ("a", "b"), "per_class": (3, 0)}, AliAugError, "every class a count"),
        ({"classes": ("a", "b"), "per_class": (3, 2)}, AliAugError, "add up to 5; leave --count"),
        ({"count": 0}, AliAugError, "--count must be at least 1"),
        ({"retries": -1}, AliAugError, "--retries must not be negative"),
        ({"blend": "soft"}, AliAugError, "--blend must be one of none, feather, hard"),
        ({"min_change": float("inf")}, AliAugError, "--min-change expects a finite .*, got inf"),
        ({"min_change": float("nan")}, AliAugError, "--min-change expects a finite .*, got nan"),
        ({"min_change": -1.0}, AliAugError, "--min-change expects .* at least 0, got -1"),
        ({"min_preservation": float("inf")}, AliAugError, "--min-preservation expects a finite"),
        ({"severity": (0.9, 0.1)}, AliAugError, "--severity expects LOW:HIGH"),
        ({"severity": (0.0, 2.0)}, AliAugError, "--severity expects LOW:HIGH"),
        ({"severity": (float("nan"), 1.0)}, AliAugError, "--severity expects LOW:HIGH"),
        ({"area": (0.0, 0.1)}, AliAugError, "--area expects LOW:HIGH"),
        ({"area": (0.1, 1.5)}, AliAugError, "--area expects LOW:HIGH"),
    ],
)
def test_settings_that_make_no_sense_are_refused(bundle, change, error, message):
    with pytest.raises(error, match=message):
        plan_requests(replace(RunSettings(count=3), **change), bundle, NAMES)


def test_the_command_line_has_the_librarys_defaults():
    defaults = command.generate.__defaults__
    assert defaults is not None
    assert MIN_CHANGE in defaults
    assert MIN_PRESERVATION_DB in defaults
