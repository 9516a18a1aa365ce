"""Ceramic glaze, concrete, and other hard non-metals."""

from __future__ import annotations

import numpy as np

from aliaug_edge.data.procedural.layers import Layers, lift
from aliaug_edge.data.procedural.noise import (
    Field,
    bumps,
    cells,
    fractal,
    log_uniform,
    smoothstep,
    uniform,
    value_noise,
    white,
)

GLAZES = ((1.0, 1.0, 1.0), (1.0, 0.98, 0.93), (1.05, 0.97, 0.86), (0.86, 0.96, 1.06))


def specks(rng: np.random.Generator, height: int, width: int, size: float, share: float) -> Field:
    """Round dots of varied size covering about this share of cells, 0..1."""
    first, _, value = cells(rng, height, width, size)
    chosen = value < share
    radius = 0.12 + 0.25 * (value / max(share, 1e-3))
    dots: Field = np.where(chosen, smoothstep(radius - first, -0.08, 0.08), 0).astype(np.float32)
    return dots


def ceramic(rng: np.random.Generator, height: int, width: int, scale: float) -> Layers:
    """Glaze: bright, smooth, slightly wavy, with body specks showing through."""
    wave = bumps(rng, height, width, uniform(rng, 14, 40) * scale)
    peel = bumps(rng, height, width, uniform(rng, 4, 8) * scale)
    tone = uniform(rng, 0.55, 0.92) * (
        1 + 0.015 * wave + 0.012 * fractal(rng, height, width, 30 * scale)
    )
    share = uniform(rng, -0.3, 0.3)
    if share > 0:
        dots = specks(rng, height, width, uniform(rng, 5, 12) * scale, share)
        tone = tone * (1 - uniform(rng, 0.1, 0.5) * dots)
    tint = GLAZES[int(rng.integers(len(GLAZES)))]
    relief = 0.25 * wave + uniform(rng, 0.01, 0.1) * peel
    shape = (height, width)
    return Layers(
        lift(tone.astype(np.float32), tint),
        relief.astype(np.float32),
        np.full(shape, uniform(rng, 0.1, 0.35), np.float32),
        np.ones(shape, np.float32),
        log_uniform(rng, 40, 200),
        0.0,
        0.05,
        tint != GLAZES[0],
    )


def concrete(rng: np.random.Generator, height: int, width: int, scale: float) -> Layers:
    """Cement skin: cloudy, sandy, with air pores and a few stones near the surface."""
    clouds = fractal(rng, height, width, 50 * scale, 5, 0.6)
    sand = value_noise(rng, height, width, 1.6 * scale)
    pores = specks(rng, height, width, uniform(rng, 9, 18) * scale, uniform(rng, 0.03, 0.2))
    stones = specks(rng, height, width, uniform(rng, 10, 20) * scale, uniform(rng, 0.1, 0.4))
    tone = uniform(rng, 0.4, 0.62) * (
        1 + 0.09 * clouds + 0.06 * sand + 0.08 * stones * clouds - 0.4 * pores
    )
    relief = 0.25 * clouds + 0.15 * sand - 1.6 * pores + 0.05 * white(rng, height, width)
    tint = (1.02 + uniform(rng, -0.02, 0.04), 1.0, 0.95 + uniform(rng, -0.04, 0.04))
    shape = (height, width)
    return Layers(
        lift(np.clip(tone, 0.03, 1).astype(np.float32), tint),
        relief.astype(np.float32),
        np.full(shape, 0.01, np.float32),
        np.ones(shape, np.float32),
        8.0,
        0.0,
        0.3,
        False,
    )
