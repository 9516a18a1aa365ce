"""The part estimate: believed on a plain background, the whole image otherwise."""

from __future__ import annotations

import numpy as np
import pytest

from aliaug_edge.generation.backdrop import connected
from aliaug_edge.generation.part import part_mask


def disc_on(background: int, part: int, noise: float = 3.0) -> tuple[np.ndarray, np.ndarray]:
    y, x = np.mgrid[:200, :300]
    disc = (y - 100) ** 2 + (x - 150) ** 2 < 70**2
    rng = np.random.default_rng(0)
    grey = np.where(disc, part, background) + rng.normal(0, noise, disc.shape)
    image = np.repeat(np.clip(grey, 0, 255).astype(np.uint8)[..., None], 3, axis=2)
    return image, disc


@pytest.mark.parametrize(("background", "part"), [(10, 150), (245, 120)])
def test_a_part_on_a_plain_background_is_found(background, part):
    image, disc = disc_on(background, part)
    assert (part_mask(image) == disc).mean() > 0.98


def test_a_hole_of_background_colour_inside_the_part_is_part():
    image, _ = disc_on(10, 150)
    image[90:110, 140:160] = 10
    assert part_mask(image)[100, 150]


def test_a_part_that_touches_one_edge_is_still_found():
    image = np.full((120, 120, 3), 240, dtype=np.uint8)
    image[60:, 30:90] = 100
    found = part_mask(image)
    assert found[100, 60]
    assert not found[10, 10]


@pytest.mark.parametrize("side", range(4))
def test_a_background_on_one_side_only_is_found(side):
    rng = np.random.default_rng(side)
    image = rng.integers(90, 160, (120, 140, 3), dtype=np.uint8)
    image[:, :30] = rng.integers(2, 8, (120, 30, 3), dtype=np.uint8)
    expected = np.zeros((120, 140), dtype=bool)
    expected[:, 30:] = True
    found = part_mask(np.rot90(image, side).copy())
    assert (found == np.rot90(expected, side)).mean() > 0.97


@pytest.mark.parametrize("kind", ["texture", "gradient", "plain", "faint"])
def test_when_unsure_the_whole_image_is_the_part(kind):
    rng = np.random.default_rng(1)
    image = {
        "texture": rng.integers(0, 256, (90, 110, 3), dtype=np.uint8),
        "gradient": np.repeat(
            np.linspace(0, 255, 110).astype(np.uint8)[None, :, None], 90, axis=0
        ).repeat(3, axis=2),
        "plain": np.full((90, 110, 3), 77, dtype=np.uint8),
        "faint": disc_on(100, 122, 1.0)[0],
    }[kind]
    assert part_mask(image).all()


def test_connected_follows_a_spiral():
    free = np.array(
        [
            [1, 1, 1, 1, 1],
            [0, 0, 0, 0, 1],
            [1, 1, 1, 0, 1],
            [1, 0, 0, 0, 1],
            [1, 1, 1, 1, 1],
        ],
        dtype=bool,
    )
    seeds = np.zeros_like(free)
    seeds[0, 0] = True
    assert np.array_equal(connected(free, seeds), free)
    free[1, 4] = False
    assert connected(free, seeds).sum() == 5


def test_a_one_pixel_image_is_its_own_part():
    assert part_mask(np.zeros((1, 1, 3), dtype=np.uint8)).all()
