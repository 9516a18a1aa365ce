"""What lies outside the mask is measured there and nowhere else; sharpness is against real ones."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from aliaug_edge import crops
from aliaug_edge.evaluation.judging.features import frozen_encoder
from aliaug_edge.evaluation.judging.insertions import Insertion
from aliaug_edge.evaluation.judging.preservation import preservation, sharpness_inside
from aliaug_edge.evaluation.photos import Photo
from aliaug_edge.evaluation.pools.placements import Placement
from aliaug_edge.generation.quality import BEST_PSNR_DB
from aliaug_edge.generation.request import Request
from aliaug_edge.generation.sample import Prepared

MASK = np.zeros((64, 64), np.uint8)
MASK[24:40, 24:40] = 255
GOOD = np.random.default_rng(0).integers(100, 156, (64, 64, 3)).astype(np.uint8)


def insertion(after: np.ndarray) -> Insertion:
    """`after` (64, 64, 3) in grey levels as both the raw and the blended output."""
    good = Photo("good/0.png", GOOD, np.zeros_like(MASK), "good", "g")
    source = Photo("dark/0.png", GOOD, MASK, "dark", "s")
    level = np.zeros(3, np.float32)
    place = Placement("placement/0", good, source, "dark", MASK, MASK, GOOD, level, 0.5)
    window = crops.Window(0, 0, 64, 64)
    request = Request(0, "good/0.png", "dark", 1, 0.5, "bank:dark/0.png")
    prepared = Prepared(request, 0, GOOD, MASK, "bank", window, GOOD, MASK, grey=False)
    raw = (after / np.float32(127.5) - 1).astype(np.float32)
    return Insertion(place, "dark", prepared, raw, after.astype(np.uint8))


def test_a_change_inside_the_mask_alone_leaves_the_outside_perfect() -> None:
    after = GOOD.copy()
    after[MASK > 0] = 20
    found = preservation([insertion(after)], frozen_encoder())
    for key in ("raw", "blended"):
        assert found[key]["psnr_db"] == {"median": BEST_PSNR_DB, "p5": BEST_PSNR_DB}
        assert found[key]["perceptual"]["median"] == 0
        assert found[key]["sharpness"]["median"] == 1


def test_an_error_of_ten_levels_outside_is_28_db() -> None:
    after = GOOD.copy()
    after[MASK == 0] += 10
    found = preservation([insertion(after)], frozen_encoder())["raw"]
    assert found["psnr_db"]["median"] == pytest.approx(28.13, abs=0.01)
    assert found["sharpness"]["median"] == pytest.approx(1, abs=0.01)


def test_a_smooth_surface_is_less_sharp_and_perceptually_apart() -> None:
    after = np.where(MASK[..., None] > 0, GOOD, 128).astype(np.uint8)
    found = preservation([insertion(after)], frozen_encoder())["blended"]
    assert found["sharpness"]["median"] < 0.05
    assert found["perceptual"]["median"] > 0


def test_a_mask_that_covers_everything_leaves_nothing_to_compare() -> None:
    full = insertion(GOOD)
    prepared = replace(
        full.prepared, mask=np.full_like(MASK, 255), shown_mask=np.full_like(MASK, 255)
    )
    found = preservation([replace(full, prepared=prepared)], frozen_encoder())
    assert found == {"raw": {"count": 0}, "blended": {"count": 0}}


def test_what_is_as_rough_as_real_has_ratio_one_and_what_is_flat_none() -> None:
    real = [Photo("dark/1.png", GOOD, MASK, "dark", "g")]
    flat = np.full_like(GOOD, 90)
    assert sharpness_inside([(GOOD, MASK, "dark")], real) == {"dark": 1.0}
    assert sharpness_inside([(flat, MASK, "dark"), (GOOD, MASK, "odd")], real) == {"dark": 0.0}
