"""Every pool of a line keeps to its parts, by the rule that its real defects bear out."""

from __future__ import annotations

import numpy as np
import pytest

from aliaug_edge.evaluation.judging.insertions import held_out_placements
from aliaug_edge.evaluation.photos import Photo, on_their_backdrop
from aliaug_edge.evaluation.pools.copy_paste import paste
from aliaug_edge.evaluation.pools.perlin import perlin
from aliaug_edge.evaluation.pools.placements import plan_placements

HW = (120, 160)
Y, X = np.mgrid[: HW[0], : HW[1]]
PART = (abs(Y - 60) < 35) & (abs(X - 85) < 45)


def photo(seed: int, defect: tuple[int, int] | None = None) -> Photo:
    """A rough part on a backdrop that is darker on one side, with a dark spot at `defect`."""
    rng = np.random.default_rng(seed)
    grain = np.kron(rng.normal(90, 25, (30, 40)), np.ones((4, 4)))
    values = np.where(PART, grain, 220 - 0.5 * X) + rng.normal(0, 2, HW)
    mask = np.zeros(HW, np.uint8)
    if defect is not None:
        mask[np.hypot(Y - defect[0], X - defect[1]) < 5] = 255
        values[mask > 0] = 20
    image = np.repeat(np.clip(values, 0, 255).astype(np.uint8)[..., None], 3, axis=2)
    return Photo(f"{seed}.png", image, mask, "good" if defect is None else "pit", f"g{seed}")


@pytest.fixture
def defects() -> list[Photo]:
    return [photo(seed, (50, 60 + 8 * seed)) for seed in range(6)]


@pytest.fixture
def goods() -> list[Photo]:
    return [photo(seed + 100) for seed in range(4)]


def beside(masks: list[np.ndarray]) -> float:
    """The largest share of a mask that lies beside the part."""
    return max(float((~PART)[mask > 0].mean()) for mask in masks)


def test_the_uneven_backdrop_of_a_line_is_borne_out_by_its_defects(defects, goods):
    on, there = on_their_backdrop(defects, goods)
    assert {p.backdrop for p in [*on, *there]} == {"uneven"}
    assert all((p.part == PART).mean() > 0.97 for p in there)
    assert all(p.part.all() for p in goods)  # the plain rule sees no background


def test_placements_and_textures_keep_to_the_part(defects, goods):
    on, there = on_their_backdrop(defects, goods)
    placements = plan_placements(on, there, 24, 0)
    assert beside([p.mask for p in placements]) < 0.1
    assert beside([p.bent_mask for p in placements]) < 0.3  # a bent outline may bulge
    assert beside([paste(p).mask for p in placements]) < 0.1
    assert beside([p.mask for p in perlin(there, 8, 0)]) < 0.1
    assert beside([p.mask for p in plan_placements(defects, goods, 24, 0)]) > 0.9


def test_what_a_judge_looks_at_lies_on_the_part_too(defects, goods):
    assert beside([p.mask for p in held_out_placements(defects, goods, 24, 0)]) < 0.1
