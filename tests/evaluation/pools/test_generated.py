"""Our generator's pool, made with the shipped bundle."""

from __future__ import annotations

import dataclasses

import pytest

from aliaug_edge.assets import resolve_bundle
from aliaug_edge.bundle import Bundle, load_bundle
from aliaug_edge.evaluation.photos import Photo
from aliaug_edge.evaluation.pools.generated import generate_pool
from aliaug_edge.evaluation.pools.placements import Placement, plan_placements
from aliaug_edge.quality.limits import Limit

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


def test_a_class_of_which_little_passes_is_filled_up_with_what_broke_the_limits_least(
    bundle: Bundle,
    defects: list[Photo],
    goods: list[Photo],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    names = {"hole": "blowhole", "crack": "crack"}
    named = [dataclasses.replace(p, defect_class=names[p.defect_class]) for p in defects]
    plan = plan_placements(named, goods, 12, seed=0)
    shipped = bundle.quality()
    assert shipped is not None
    strict = dataclasses.replace(shipped, sides={**shipped.sides, "blowhole": NEVER, "crack": {}})
    monkeypatch.setattr(Bundle, "quality", lambda _: strict)
    made = generate_pool(bundle, plan, ("feather", "none"), seed=0, engine="onnxruntime-cpu")
    holes = made.classes["blowhole"]
    assert (holes.asked, holes.kept, holes.filled) == (6, 2, 2)
    assert made.classes["crack"].filled == 0 < made.classes["crack"].kept
    for photos in made.photos.values():
        assert sum(photo.defect_class == "blowhole" for photo in photos) == 2
        assert [photo.name for photo in photos] == sorted(photo.name for photo in photos)
    assert sum("blowhole" in reason for reason in made.rejected.values()) == 6
    said = capsys.readouterr().err
    assert "0 of 6 insertions of blowhole passed its quality limits (first rejected: " in said
    assert "filled up to 2 with what broke them least" in said
    assert "of crack" not in said


def test_under_plain_masks_the_same_places_are_asked_for(
    bundle: Bundle, places: list[Placement]
) -> None:
    ways = {"seed": 0, "engine": "onnxruntime-cpu"}
    plain = generate_pool(bundle, places, ("feather",), bent=False, **ways)
    masks = {p.name.replace("placement", "generated"): p.mask for p in places}
    assert plain.photos["feather"]
    for photo in plain.photos["feather"]:
        assert (photo.mask == masks[photo.name]).all()
