"""Limits of drawn defects: made alike each time, and put into a bundle without its weights."""

from __future__ import annotations

import json
import runpy
from pathlib import Path

import pytest

from aliaug_edge import fingerprints
from aliaug_edge.bundle import load_bundle, save_manifest
from aliaug_edge.data.procedural import DEFECT_CLASSES, render_pair
from aliaug_edge.errors import AliAugError
from aliaug_edge.quality.drawn import drawn_limits
from aliaug_edge.quality.limits import document, judge, signature_scores
from tests.support.bundles import make_bundle

SCRIPT = Path(__file__).parents[2] / "scripts" / "calibrate_drawn.py"
calibrate_drawn = runpy.run_path(str(SCRIPT))["calibrate_drawn"]
SIZE = (96, 96)


def test_drawn_defects_pass_and_their_parts_without_them_do_not() -> None:
    limits = drawn_limits(SIZE, per_class=6)
    passed = caught = 0
    for number, name in enumerate(DEFECT_CLASSES):
        pair = render_pair(500 + number, 96, 96, defect_class=name)
        for result, wanted in ((pair.defect, False), (pair.good, True)):
            scores = signature_scores(limits, name, pair.good, result, pair.mask)
            rejected = judge(limits, name, scores) is not None
            caught += wanted and rejected
            passed += not wanted and not rejected
    assert passed >= len(DEFECT_CLASSES) - 2
    assert caught == len(DEFECT_CLASSES)


def test_equal_arguments_give_equal_limits() -> None:
    first, again = (document(drawn_limits(SIZE, per_class=2)) for _ in range(2))
    assert first == again
    assert first["about"]["crops"] == 2 * len(DEFECT_CLASSES)


def test_a_bundle_gets_limits_and_keeps_its_weights(tmp_path: Path) -> None:
    before = load_bundle(make_bundle(tmp_path / "bundle"))
    calibrate_drawn(before.root, per_class=2)
    after = load_bundle(before.root)
    assert before.quality() is None
    limits = after.quality()
    assert limits is not None and set(DEFECT_CLASSES) < set(limits.sides)
    assert {**after.files, "quality.json": None} == {**before.files, "quality.json": None}


def test_a_bundle_that_learned_from_photos_is_refused(tmp_path: Path) -> None:
    root = make_bundle(tmp_path / "bundle")
    (root / fingerprints.FILE).write_bytes(fingerprints.to_bytes(fingerprints.describe([])))
    manifest = json.loads((root / "bundle.json").read_text())
    manifest.pop("files"), manifest.pop("schema_version")
    save_manifest(root, manifest)
    with pytest.raises(AliAugError, match="was trained on photos"):
        calibrate_drawn(root, per_class=2)
