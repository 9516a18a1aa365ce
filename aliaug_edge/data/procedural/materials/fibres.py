"""Woven, grown and tanned: fabric, carbon weave, wood, leather."""

from __future__ import annotations

import math

import numpy as np

from aliaug_edge.data.procedural.layers import Layers
from aliaug_edge.data.procedural.materials.polymers import body, hue
from aliaug_edge.data.procedural.noise import (
    Field,
    cells,
    directional,
    fractal,
    grid,
    log_uniform,
    smoothstep,
    uniform,
    value_noise,
    white,
)


def turned_axes(height: int, width: int, angle: float) -> tuple[Field, Field]:
    """Coordinates along and across `angle`, in pixels."""
    y, x = grid(height, width)
    cos, sin = np.float32(math.cos(angle)), np.float32(math.sin(angle))
    along: Field = x * cos + y * sin
    across: Field = y * cos - x * sin
    return along, across


def weave(along: Field, across: Field, twill: bool) -> tuple[Field, Field, Field]:
    """For unit threads: which system lies on top (1 = along), and each one's round profile."""
    i, j = np.floor(across), np.floor(along)
    over = np.mod(i + j, 4) < 2 if twill else np.mod(i + j, 2) < 1
    warp: Field = np.sin(math.pi * (across - i))
    weft: Field = np.sin(math.pi * (along - j))
    return over.astype(np.float32), warp.astype(np.float32), weft.astype(np.float32)


def fabric(rng: np.random.Generator, height: int, width: int, scale: float) -> Layers:
    angle = uniform(rng, -0.12, 0.12) + (math.pi / 4 if rng.random() < 0.15 else 0.0)
    along, across = turned_axes(height, width, angle)
    pitch = uniform(rng, 3.2, 7.5) * scale
    # Threads wander: shift the grid by slow noise.
    drift = 0.14 * value_noise(rng, height, width, 22 * scale)
    sway = 0.14 * value_noise(rng, height, width, 22 * scale)
    over, warp, weft = weave(along / pitch + drift, across / pitch + sway, bool(rng.random() < 0.4))
    top = over * warp * (0.6 + 0.4 * weft) + (1 - over) * weft * (0.6 + 0.4 * warp)
    fuzz = directional(rng, height, width, angle, 6 * scale, 0.6 * scale)
    fuzz = fuzz * over + (1 - over) * directional(
        rng, height, width, angle + math.pi / 2, 6 * scale, 0.6 * scale
    )
    thread = directional(rng, height, width, angle, 90 * scale, pitch / 2)
    two_tone = uniform(rng, -0.25, 0.25)
    tone = log_uniform(rng, 0.16, 0.65) * (
        0.5 + 0.5 * top + two_tone * (over - 0.5) + 0.08 * fuzz + 0.06 * thread
    )
    relief = 0.22 * pitch * top + 0.12 * fuzz
    tint = hue(rng, uniform(rng, 0.0, 0.4))
    return body(rng, tone, relief, tint, 0.02, 6.0, angle)


def carbon(rng: np.random.Generator, height: int, width: int, scale: float) -> Layers:
    """Twill of dark tows under clear resin; each tow mirrors light in its own direction."""
    angle = uniform(rng, -0.2, 0.2) + (math.pi / 4 if rng.random() < 0.4 else 0.0)
    along, across = turned_axes(height, width, angle)
    pitch = uniform(rng, 8, 18) * scale
    over, warp, weft = weave(along / pitch, across / pitch, True)
    strands = over * directional(rng, height, width, angle, 40 * scale, 0.5 * scale)
    strands += (1 - over) * directional(
        rng, height, width, angle + math.pi / 2, 40 * scale, 0.5 * scale
    )
    top = over * np.sqrt(np.abs(warp)) + (1 - over) * np.sqrt(np.abs(weft))
    bright = uniform(rng, 0.3, 1.0)
    tone = uniform(rng, 0.1, 0.22) * (0.35 + 0.5 * top + bright * over * top + 0.12 * strands * top)
    relief = 0.15 * value_noise(rng, height, width, 30 * scale)
    return body(
        rng, tone, relief, hue(rng, 0.03), uniform(rng, 0.1, 0.3), log_uniform(rng, 40, 160), angle
    )


def wood(rng: np.random.Generator, height: int, width: int, scale: float) -> Layers:
    angle = uniform(rng, 0, math.pi)
    along, across = turned_axes(height, width, angle)
    bend = directional(rng, height, width, angle, 120 * scale, 26 * scale)
    ring = (across + 7 * scale * bend + 0.02 * along) / (uniform(rng, 6, 16) * scale)
    phase = ring - np.floor(ring)
    # Early wood rises slowly into a sharp dark late-wood line.
    late = phase * phase * smoothstep(1 - phase, 0.0, 0.12)
    fibres = directional(rng, height, width, angle, 30 * scale, 0.5 * scale)
    pores = smoothstep(directional(rng, height, width, angle, 9 * scale, 0.7 * scale), 1.3, 2.2)
    tone = uniform(rng, 0.34, 0.6) * (1 - 0.32 * late + 0.05 * fibres - 0.22 * pores + 0.04 * bend)
    tint = (1.22 + uniform(rng, -0.06, 0.1), 0.96, 0.72 + uniform(rng, -0.12, 0.12))
    relief = 0.08 * fibres - 0.35 * pores + 0.12 * late
    return body(rng, tone, relief, tint, uniform(rng, 0.01, 0.12), log_uniform(rng, 8, 30), angle)


def leather(rng: np.random.Generator, height: int, width: int, scale: float) -> Layers:
    """Pebbled grain: rounded cells parted by creases."""
    first, second, value = cells(rng, height, width, uniform(rng, 4.5, 9) * scale)
    crease = smoothstep(second - first, 0.0, 0.4)
    soft = fractal(rng, height, width, 20 * scale, 3)
    tone = log_uniform(rng, 0.12, 0.5) * (
        0.8 + 0.2 * crease + 0.06 * (value - 0.5) + 0.04 * soft + 0.03 * white(rng, height, width)
    )
    relief = 0.9 * crease * (1 - 0.5 * first) + 0.3 * soft
    brown = (1.2, 0.95, 0.75)
    tint = brown if rng.random() < 0.4 else hue(rng, uniform(rng, 0.0, 0.3))
    return body(rng, tone, relief, tint, uniform(rng, 0.05, 0.2), log_uniform(rng, 10, 40), 0.0)
