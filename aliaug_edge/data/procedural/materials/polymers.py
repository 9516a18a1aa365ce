"""Moulded plastic, rubber, and lacquered sheet."""

from __future__ import annotations

import math

import numpy as np

from aliaug_edge.data.procedural.layers import Layers, lift
from aliaug_edge.data.procedural.noise import (
    Field,
    bumps,
    directional,
    grid,
    log_uniform,
    uniform,
    value_noise,
    white,
)

Tint = tuple[float, float, float]


def hue(rng: np.random.Generator, strength: float) -> Tint:
    """A tint of unit mean in a random direction of the colour circle."""
    turn = uniform(rng, 0, 2 * math.pi)
    red, green, blue = (1 + strength * math.cos(turn - shift) for shift in (0.0, 2.094, 4.189))
    return red, green, blue


def body(
    rng: np.random.Generator,
    tone: Field,
    relief: Field,
    tint: Tint,
    gloss: float,
    shine: float,
    grain: float,
) -> Layers:
    level = np.full(tone.shape, gloss, np.float32)
    level = level * (1 + 0.1 * value_noise(rng, tone.shape[0], tone.shape[1], 30))
    return Layers(
        lift(np.clip(tone, 0.01, 1).astype(np.float32), tint),
        relief.astype(np.float32),
        level.astype(np.float32),
        np.ones(tone.shape, np.float32),
        shine,
        grain,
        float(relief.std()),
        max(tint) - min(tint) > 0.15,
    )


def plastic(rng: np.random.Generator, height: int, width: int, scale: float) -> Layers:
    """Injection moulding: one colour, an eroded-tool grain, faint flow lines."""
    size = uniform(rng, 1.4, 4.5) * scale
    # A band of frequencies looks like spark erosion; a low-pass would look like fog.
    erosion = bumps(rng, height, width, size * 1.1) - 0.6 * bumps(rng, height, width, size * 2.6)
    angle = uniform(rng, 0, math.pi)
    flow = directional(rng, height, width, angle, 120 * scale, 7 * scale)
    depth = uniform(rng, 0.03, 0.4)
    tone = log_uniform(rng, 0.1, 0.75) * (
        1 + 0.015 * flow + 0.012 * white(rng, height, width) + np.float32(0.03 * depth) * erosion
    )
    relief = np.float32(depth) * erosion + 0.05 * flow
    tint = hue(rng, uniform(rng, 0.0, 0.35))
    return body(rng, tone, relief, tint, uniform(rng, 0.04, 0.25), log_uniform(rng, 10, 60), angle)


def rubber(rng: np.random.Generator, height: int, width: int, scale: float) -> Layers:
    """Dark, matt, dusty; half of the parts with moulded ribs."""
    dusty = value_noise(rng, height, width, 12 * scale)
    fine = white(rng, height, width)
    grain = bumps(rng, height, width, 1.9 * scale)
    angle = uniform(rng, 0, math.pi)
    relief: Field = 0.18 * grain + 0.1 * dusty
    if rng.random() < 0.45:
        y, x = grid(height, width)
        across = y * math.cos(angle) - x * math.sin(angle)
        pitch = uniform(rng, 9, 26) * scale
        rib = np.tanh(2.5 * np.sin(2 * math.pi * across / pitch)).astype(np.float32)
        relief = relief + uniform(rng, 0.4, 1.1) * pitch / 12 * rib
    tone = log_uniform(rng, 0.05, 0.16) * (1 + 0.1 * dusty + 0.08 * fine + 0.08 * grain)
    return body(
        rng, tone, relief, hue(rng, 0.04), uniform(rng, 0.02, 0.1), log_uniform(rng, 6, 16), angle
    )


def painted(rng: np.random.Generator, height: int, width: int, scale: float) -> Layers:
    """Lacquer: orange peel, a strong hue or none, sometimes metal flakes."""
    peel = bumps(rng, height, width, uniform(rng, 5, 12) * scale)
    slow = value_noise(rng, height, width, 45 * scale)
    flake = np.maximum(white(rng, height, width) - 1.2, 0) * np.float32(uniform(rng, 0.0, 0.25))
    tone: Field = log_uniform(rng, 0.08, 0.7) * (1 + 0.02 * slow + 0.01 * peel) * (1 + flake)
    relief = uniform(rng, 0.08, 0.4) * peel + 0.15 * slow
    tint = hue(rng, uniform(rng, 0.0, 0.6))
    return body(rng, tone, relief, tint, uniform(rng, 0.15, 0.45), log_uniform(rng, 30, 160), 0.0)
