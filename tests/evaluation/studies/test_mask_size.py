"""Where a change lies: measured on maps whose answer is known, then on a real run."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from aliaug_edge.evaluation.studies.mask_size import (
    SHARES,
    change_map,
    mask_size,
    placement,
    with_share,
)
from aliaug_edge.evaluation.studies.scenes import Scene
from aliaug_edge.evaluation.studies.study import StudySettings, claim

NewSettings = Callable[..., StudySettings]


def square(top: int, left: int, side: int = 8) -> np.ndarray:
    plane = np.zeros((32, 32), dtype=bool)
    plane[top : top + side, left : left + side] = True
    return plane


def scene_with(mask: np.ndarray) -> Scene:
    good = np.full((32, 32, 3), 100, np.uint8)
    return Scene("s", "crack", good, (mask * 255).astype(np.uint8), good, 0.5)


def test_a_change_that_fills_the_mask_is_perfect() -> None:
    mask = square(8, 8)
    found = placement(mask * 20.0, mask)
    assert found == {"area": 64, "iou": 1, "strength": 20, "inside": 1, "centroid": 0}


def test_a_change_beside_the_mask_is_seen_and_measured() -> None:
    found = placement(square(8, 11) * 20.0, square(8, 8))
    assert found["iou"] == pytest.approx(40 / 88)
    assert found["inside"] == pytest.approx(40 / 64)
    assert found["centroid"] == pytest.approx(3)


def test_energy_counts_strong_change_more_than_weak() -> None:
    mask = square(0, 0)
    change = mask * 20.0 + square(16, 16) * 10.0
    assert placement(change, mask)["inside"] == pytest.approx(400 / 500)


@pytest.mark.parametrize("level", [0.0, 2.9])
def test_no_change_overlaps_nothing_and_has_no_place(level: float) -> None:
    found = placement(np.full((32, 32), level), square(8, 8))
    assert found["iou"] == 0
    assert "inside" not in found and "centroid" not in found


def test_the_change_is_in_grey_levels() -> None:
    scene = scene_with(square(8, 8))
    raw = np.full((32, 32, 3), (110 / 127.5) - 1, np.float32)
    assert change_map(scene, raw) == pytest.approx(10, abs=1e-3)


@pytest.mark.parametrize("share", [0.01, 0.05, 0.2])
def test_a_mask_is_scaled_to_its_share_and_centred(share: float) -> None:
    scaled = with_share(scene_with(square(0, 20)), share)
    assert scaled is not None
    rows, columns = np.nonzero(scaled.mask)
    assert len(rows) / 1024 == pytest.approx(share, rel=0.35)
    assert abs(rows.mean() - 15.5) <= 1 and abs(columns.mean() - 15.5) <= 1


def test_a_line_that_would_not_fit_is_left_out() -> None:
    line = np.zeros((32, 32), dtype=bool)
    line[16, 2:30] = True
    assert with_share(scene_with(line), 0.2) is None


def test_the_study_has_a_row_per_size(tmp_path: Path, new_settings: NewSettings) -> None:
    settings = new_settings()
    said: list[str] = []
    first = mask_size(settings, claim(tmp_path / "a", "mask-size", settings), said.append)
    assert 2 <= len(first.rows) <= len(SHARES)
    areas = [float(np.mean(row.values["area"])) for row in first.rows]
    assert areas == sorted(areas)
    assert any(line.startswith("training plain") for line in said)


def test_a_finished_run_is_looked_at_instead_of_a_new_one(
    tmp_path: Path, new_settings: NewSettings
) -> None:
    settings = new_settings()
    parts = claim(tmp_path / "a", "mask-size", settings)
    first = mask_size(settings, parts, lambda _: None)
    given = new_settings(run=str(parts.run_dir("plain")))
    again = mask_size(given, claim(tmp_path / "b", "mask-size", given), lambda _: None)
    assert again.rows == first.rows
    assert not (tmp_path / "b" / "runs").exists()
