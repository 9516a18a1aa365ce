"""Photos of one small product: textured grey parts with real-looking defects drawn on them."""

from __future__ import annotations

import numpy as np
import pytest

from aliaug_edge.evaluation.photos import Photo


def surface(seed: int, hw: tuple[int, int] = (96, 120), level: int = 120) -> np.ndarray:
    grain = np.random.default_rng(seed).normal(level, 4, hw)
    return np.repeat(np.clip(grain, 0, 255).astype(np.uint8)[..., None], 3, axis=2)


def defective(name: str, defect_class: str, spots: list[tuple[slice, slice]], dark: int) -> Photo:
    image, mask = surface(sum(map(ord, name))), np.zeros((96, 120), np.uint8)
    for spot in spots:
        mask[spot] = 255
        image[spot] = np.clip(image[spot].astype(int) - dark, 0, 255)
    return Photo(name, image, mask, defect_class, f"g-{name}")


@pytest.fixture
def goods() -> list[Photo]:
    """Seven good photos of different brightness."""
    return [
        Photo(
            f"good/{n}.png",
            surface(n, level=80 + 15 * n),
            np.zeros((96, 120), np.uint8),
            "good",
            f"p{n}",
        )
        for n in range(7)
    ]


@pytest.fixture
def defects() -> list[Photo]:
    """Holes: three in two photos, one of them with a speck; and one crack, cut by the top."""
    return [
        defective("hole-a", "hole", [np.s_[20:30, 30:44], np.s_[60:66, 70:82]], 40),
        defective("hole-b", "hole", [np.s_[40:56, 20:40], np.s_[80:81, 100:101]], 80),
        defective("crack", "crack", [np.s_[0:40, 60:63]], 60),
    ]


@pytest.fixture
def colour_goods(goods: list[Photo]) -> list[Photo]:
    """The good photos, reddish."""
    tint = np.array([1.0, 0.7, 0.6])
    return [
        Photo(p.name, (p.image * tint).astype(np.uint8), p.mask, p.defect_class, p.group)
        for p in goods
    ]


@pytest.fixture
def plate() -> Photo:
    """A part of 60 x 60 px on a black ground: defects may not leave it."""
    image = np.zeros((96, 120, 3), np.uint8)
    image[18:78, 30:90] = surface(5, (60, 60), 160)
    return Photo("good/plate.png", image, np.zeros((96, 120), np.uint8), "good", "plate")
