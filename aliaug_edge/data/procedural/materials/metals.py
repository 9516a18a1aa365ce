"""Metals: brushed, ground, turned, and cast."""

from __future__ import annotations

import math

import numpy as np

from aliaug_edge.data.procedural.layers import Layers, lift
from aliaug_edge.data.procedural.noise import (
    Field,
    cells,
    directional,
    fractal,
    grid,
    heavy,
    log_uniform,
    smoothstep,
    uniform,
    value_noise,
    white,
)

STEELS = ((1.0, 1.0, 1.0), (0.97, 1.0, 1.03), (1.02, 1.0, 0.96))
ALLOYS = ((1.12, 0.97, 0.68), (1.18, 0.88, 0.72), (1.06, 1.0, 0.86))  # brass, copper, bronze


def metal(
    rng: np.random.Generator,
    tone: Field,
    relief: Field,
    gloss: float,
    shine: float,
    grain: float,
) -> Layers:
    alloy = bool(rng.random() < 0.15)
    tints = ALLOYS if alloy else STEELS
    tint = tints[int(rng.integers(len(tints)))]
    shape = tone.shape
    mirror = np.full(shape, gloss, np.float32) * (1 + 0.3 * (tone / max(float(tone.mean()), 0.05)))
    return Layers(
        lift(np.clip(tone, 0.02, 1), tint),
        relief.astype(np.float32),
        mirror.astype(np.float32),
        np.ones(shape, np.float32),
        shine,
        grain,
        float(relief.std()),
        alloy,
    )


def brushed_metal(rng: np.random.Generator, height: int, width: int, scale: float) -> Layers:
    angle = uniform(rng, 0, math.pi)
    fine = directional(rng, height, width, angle, uniform(rng, 25, 90) * scale, 0.4 * scale)
    coarse = directional(rng, height, width, angle, uniform(rng, 60, 200) * scale, 2.2 * scale)
    worn = value_noise(rng, height, width, uniform(rng, 40, 90) * scale)
    strength = uniform(rng, 0.4, 1.3)
    tone = uniform(rng, 0.38, 0.68) * (
        1 + strength * (0.07 * fine + 0.05 * coarse) * (1 + 0.2 * worn) + 0.03 * worn
    )
    relief = np.float32(strength) * (0.07 * fine + 0.08 * coarse)
    return metal(rng, tone, relief, uniform(rng, 0.1, 0.35), log_uniform(rng, 10, 60), angle)


def ground_metal(rng: np.random.Generator, height: int, width: int, scale: float) -> Layers:
    """Grinding marks along one axis: dense, heavy-tailed bright and dark lines, a dark ground."""
    upright = bool(rng.random() < 0.5)
    angle = (math.pi / 2 if upright else 0.0) + uniform(rng, -0.04, 0.04)
    lines = directional(rng, height, width, angle, uniform(rng, 30, 160) * scale, 0.3 * scale)
    broad = directional(rng, height, width, angle, uniform(rng, 120, 300) * scale, 3.5 * scale)
    patch = smoothstep(directional(rng, height, width, angle, 60 * scale, 14 * scale), -1.6, 1.4)
    marks = heavy(lines, uniform(rng, 1.1, 1.7))
    strength = uniform(rng, 0.6, 1.5)
    tone = uniform(rng, 0.14, 0.34) * (
        1 + strength * (0.18 * marks * (0.4 + patch) + 0.12 * broad) + 0.05 * patch
    )
    relief = strength * (0.1 * marks * (0.4 + patch) + 0.12 * broad)
    return metal(rng, tone, relief, uniform(rng, 0.03, 0.16), log_uniform(rng, 8, 40), angle)


def turned_metal(rng: np.random.Generator, height: int, width: int, scale: float) -> Layers:
    """Lathe or face-mill marks: rings of one pitch around a centre in or beside the frame."""
    reach = uniform(rng, 0.1, 2.5) * max(height, width)
    bearing = uniform(rng, 0, 2 * math.pi)
    cy, cx = height / 2 + reach * math.sin(bearing), width / 2 + reach * math.cos(bearing)
    y, x = grid(height, width, cy, cx)
    radius: Field = np.sqrt(x * x + y * y)
    pitch = uniform(rng, 2.8, 9) * scale
    start = float(radius.min())
    bins = int(float(radius.max()) - start) * 2 + 4
    uneven = value_noise(rng, 1, bins, 1, 2.5 * scale)[0]
    slow = value_noise(rng, 1, bins, 1, 30 * scale)[0]
    at = ((radius - start) * 2).astype(np.int32)
    feed: Field = np.sin(2 * math.pi * radius / pitch + 1.2 * slow[at]).astype(np.float32)
    patch = 1 + 0.3 * value_noise(rng, height, width, 25 * scale)
    strength = uniform(rng, 0.4, 1.2)
    tone: Field = np.float32(uniform(rng, 0.3, 0.6)) * (
        1
        + strength * patch * (0.07 * feed + 0.07 * uneven[at])
        + 0.04 * slow[at]
        + 0.03 * white(rng, height, width)
    )
    relief = strength * patch * (0.1 * pitch / 4 * feed + 0.12 * uneven[at])
    # The marks run across the line to the centre.
    grain = bearing + math.pi / 2
    return metal(rng, tone, relief, uniform(rng, 0.08, 0.3), log_uniform(rng, 10, 60), grain)


def casting(rng: np.random.Generator, height: int, width: int, scale: float) -> Layers:
    """Sand-cast skin: grains, soft lumps, oxide mottling, hardly any gloss."""
    grain_size = uniform(rng, 2.2, 5.5) * scale
    first, _, value = cells(rng, height, width, grain_size)
    lumps = fractal(rng, height, width, 18 * scale, 4)
    fine = white(rng, height, width)
    depth = uniform(rng, 0.5, 1.3)
    sand = value_noise(rng, height, width, 1.5 * scale)
    relief = depth * (
        0.28 * grain_size * (0.5 - first) * (0.4 + value) + 0.5 * lumps + 0.45 * sand + 0.1 * fine
    )
    mottle = fractal(rng, height, width, 40 * scale, 3)
    tone = uniform(rng, 0.24, 0.5) * (
        1 + 0.1 * mottle + 0.1 * (value - 0.5) + 0.05 * fine - 0.12 * (first - 0.4)
    )
    return metal(rng, tone, relief * 0.6, uniform(rng, 0.02, 0.12), log_uniform(rng, 6, 20), 0.0)
