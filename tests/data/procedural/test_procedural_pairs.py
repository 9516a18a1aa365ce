"""Pairs and surfaces: seeded, consistent, and complete over materials, classes and sizes."""

from __future__ import annotations

import numpy as np
import pytest

from aliaug_edge.data.procedural import (
    DEFECT_CLASSES,
    MATERIALS,
    Pair,
    render_pair,
    render_surface,
)
from aliaug_edge.errors import AliAugError

SIZES = ((64, 64), (128, 128), (200, 150))


def change(pair: Pair) -> np.ndarray:
    return np.abs(pair.good.astype(np.int16) - pair.defect.astype(np.int16)).max(axis=2)


def check(pair: Pair, height: int, width: int) -> None:
    assert pair.good.shape == pair.defect.shape == (height, width, 3)
    assert pair.good.dtype == pair.defect.dtype == pair.mask.dtype == np.uint8
    assert pair.mask.shape == (height, width)
    assert set(np.unique(pair.mask)) == {0, 255}
    difference = change(pair)
    assert difference[pair.mask == 0].max() == 0
    assert difference[pair.mask > 0].max() >= 2
    assert 0 <= pair.severity <= 1


def test_the_class_order_is_part_of_the_interface() -> None:
    assert DEFECT_CLASSES[:9] == (
        "scratch",
        "crack",
        "blowhole",
        "stain",
        "chip",
        "dent",
        "fray",
        "inclusion",
        "discolouration",
    )
    assert len(MATERIALS) >= 9


@pytest.mark.parametrize("material", MATERIALS)
def test_every_defect_renders_on_every_material_at_every_size(material: str) -> None:
    for index, defect_class in enumerate(DEFECT_CLASSES):
        height, width = SIZES[index % 3]
        for seed in (index, 100 + index):
            pair = render_pair(seed, height, width, material, defect_class)
            check(pair, height, width)
            assert (pair.material, pair.defect_class) == (material, defect_class)


@pytest.mark.parametrize("height, width", SIZES)
def test_every_class_renders_at_every_size(height: int, width: int) -> None:
    for defect_class in DEFECT_CLASSES:
        check(render_pair(3, height, width, None, defect_class), height, width)


def test_drawn_pairs_hold_the_contract() -> None:
    seen = set()
    for seed in range(150):
        pair = render_pair(seed, 96, 96)
        check(pair, 96, 96)
        seen.add(pair.material)
        seen.add(pair.defect_class)
    assert seen == set(MATERIALS) | set(DEFECT_CLASSES)


def test_the_same_seed_gives_the_same_bytes() -> None:
    for seed in range(6):
        first, second = render_pair(seed, 80, 72), render_pair(seed, 80, 72)
        assert first.good.tobytes() == second.good.tobytes()
        assert first.defect.tobytes() == second.defect.tobytes()
        assert first.mask.tobytes() == second.mask.tobytes()
        assert (first.material, first.defect_class) == (second.material, second.defect_class)


def test_different_seeds_differ() -> None:
    frames = {render_surface(seed, 64, 64, "casting").tobytes() for seed in range(20)}
    assert len(frames) == 20


def test_the_good_half_of_a_pair_is_the_surface_of_that_seed() -> None:
    for seed in range(5):
        assert np.array_equal(render_pair(seed, 64, 80).good, render_surface(seed, 64, 80))


def test_a_seed_may_be_negative_or_large() -> None:
    check(render_pair(-7, 64, 64), 64, 64)
    check(render_pair(2**40, 64, 64), 64, 64)


def test_severity_raises_the_change() -> None:
    for defect_class in DEFECT_CLASSES:
        means = []
        for severity in (0.15, 0.5, 1.0):
            pairs = [render_pair(s, 96, 96, None, defect_class, severity) for s in range(8)]
            assert all(pair.severity == severity for pair in pairs)
            means.append(np.mean([change(p)[p.mask > 0].mean() for p in pairs]))
        assert means[0] < means[1] < means[2], (defect_class, means)
        assert means[0] > 3, (defect_class, means)


def test_surfaces_vary_in_brightness_and_about_half_are_monochrome() -> None:
    frames = [render_surface(seed, 64, 64) for seed in range(160)]
    means = np.array([frame.mean() for frame in frames])
    assert means.min() < 60
    assert means.max() > 150
    grey = np.mean([np.ptp(frame.astype(np.int16), axis=2).max() == 0 for frame in frames])
    assert 0.4 < grey < 0.75
    assert all(frame.std() > 1 for frame in frames)


@pytest.mark.parametrize(
    "material, defect_class, named",
    [("cheese", None, "material"), (None, "rust", "defect class")],
)
def test_unknown_names_are_refused(
    material: str | None, defect_class: str | None, named: str
) -> None:
    with pytest.raises(AliAugError, match=f"procedural {named}: expected one of"):
        render_pair(0, 64, 64, material, defect_class)


def test_an_unknown_material_is_refused_for_a_surface() -> None:
    with pytest.raises(AliAugError, match="got 'cheese'"):
        render_surface(0, 64, 64, "cheese")


def test_a_frame_that_is_too_small_is_refused() -> None:
    with pytest.raises(AliAugError, match="at least 16 x 16"):
        render_surface(0, 8, 64)
