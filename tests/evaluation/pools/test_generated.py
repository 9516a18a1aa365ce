"""Our generator's pool, made with the shipped bundle."""

from __future__ import annotations

import dataclasses

import pytest

from aliaug_edge.assets import resolve_bundle
from aliaug_edge.bundle import Bundle, load_bundle
from aliaug_edge.evaluation.photos import Photo
from aliaug_edge.evaluation.pools.generated import generate_pool
from aliaug_edge.evaluation.pools.placements import Placement, plan_placements
from aliaug_edge.quality.limits import ANY, Limit

COUNT = 4
NEVER = {("covered", True): Limit(1e9, 1.0)}  # no insertion covers so much


@pytest.fixture
def bundle() -> Bundle:
    return load_bundle(resolve_bundle("tiny"))


@pytest.fixture
def places(defects: list[Photo], goods: list[Photo]) -> list[Placement]:
    named = [dataclasses.replace(photo, defect_class="blowhole") for photo in defects]
    return plan_placements(named, goods, COUNT, seed=0)


def test_what_the_limits_let_pass_is_kept_and_the_rest_named(
    bundle: Bundle, places: list[Placement], capsys: pytest.CaptureFixture[str]
) -> None:
    made = generate_pool(bundle, places, ("feather", "none"), seed=0, engine="onnxruntime-cpu")
    assert len(made.photos["feather"]) == len(made.photos["none"]) > 0
    assert len(made.photos["feather"]) + len(made.rejected) == COUNT
    assert "quality limits" not in capsys.readouterr().err


def test_where_the_limits_let_nothing_pass_all_is_kept_and_said(
    bundle: Bundle,
    places: list[Placement],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    shipped = bundle.quality()
    assert shipped is not None
    strict = dataclasses.replace(shipped, sides={ANY: NEVER, "blowhole": NEVER})
    monkeypatch.setattr(Bundle, "quality", lambda _: strict)
    made = generate_pool(bundle, places, ("feather",), seed=0, engine="onnxruntime-cpu")
    assert len(made.photos["feather"]) == len(made.rejected) == COUNT
    said = capsys.readouterr().err
    assert f"none of {COUNT} insertions passed its quality limits (first: " in said
    assert "all are kept: train longer or on more defects" in said
