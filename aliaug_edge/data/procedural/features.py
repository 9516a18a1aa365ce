"""Harmless things that good parts have too: edges, holes, steps, dust, faint handling marks."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np

from aliaug_edge.data.procedural.layers import Layers
from aliaug_edge.data.procedural.noise import (
    Field,
    directional,
    grid,
    smoothstep,
    uniform,
    value_noise,
)


def _inside(rng: np.random.Generator, height: int, width: int) -> Field:
    """Signed distance to the part's border in pixels, positive on the part."""
    y, x = grid(height, width)
    # Parts mostly lie square to the camera.
    turn = int(rng.integers(4)) * math.pi / 2 + float(rng.normal(0, 0.08))
    if rng.random() < 0.25:
        turn = uniform(rng, 0, 2 * math.pi)
    cos, sin = math.cos(turn), math.sin(turn)
    reach = (abs(cos) * width + abs(sin) * height) / 2
    keep = reach * uniform(rng, 0.35, 0.8)
    flat = keep - ((x - width / 2) * cos + (y - height / 2) * sin)
    kind = rng.random()
    small = min(height, width)
    if kind < 0.55:
        edge = flat
    elif kind < 0.75:  # an outer corner
        other = reach * uniform(rng, 0.3, 0.8) - ((y - height / 2) * cos - (x - width / 2) * sin)
        edge = np.minimum(flat, other)
    else:  # a hole, or the round rim of a part
        radius = small * uniform(rng, 0.12, 0.3)
        cy, cx = height * uniform(rng, 0.05, 0.95), width * uniform(rng, 0.05, 0.95)
        edge = np.sqrt((y - cy) ** 2 + (x - cx) ** 2) - radius
    edge = np.broadcast_to(edge, (height, width))
    # Machined borders are straight, cast and cut ones are not.
    ragged = uniform(rng, 0.0, 0.12) if rng.random() < 0.7 else uniform(rng, 0.15, 0.5)
    return (edge + np.float32(ragged) * value_noise(rng, height, width, 7)).astype(np.float32)


def cut_border(rng: np.random.Generator, layers: Layers) -> Layers:
    """Let the part end inside the frame, with a chamfer or rounding that catches the light."""
    height, width = layers.height.shape
    inside = _inside(rng, height, width)
    rounding = uniform(rng, 1.5, 7)
    drop = np.clip(1 - inside / rounding, 0, 2)
    relief = layers.height - np.float32(uniform(rng, 0.3, 0.7) * rounding) * drop * drop
    part = np.clip(inside + 0.5, 0, 1)
    return replace(layers, height=relief.astype(np.float32), part=part.astype(np.float32))


def machining_step(rng: np.random.Generator, layers: Layers) -> Layers:
    """A straight line where one pass ends: a small step and a slight change of tone."""
    height, width = layers.height.shape
    turn = layers.grain if rng.random() < 0.7 else int(rng.integers(2)) * math.pi / 2
    y, x = grid(height, width, height * uniform(rng, 0.2, 0.8), width * uniform(rng, 0.2, 0.8))
    across = (y * math.cos(turn) - x * math.sin(turn)).astype(np.float32)
    side = smoothstep(across, -1.2, 1.2)
    tone = 1 + np.float32(uniform(rng, -0.1, 0.1)) * side
    relief = layers.height + np.float32(uniform(rng, -0.8, 0.8)) * side
    return replace(layers, albedo=layers.albedo * tone[..., None], height=relief)


def dust(rng: np.random.Generator, layers: Layers) -> Layers:
    """A few motes of one or two pixels."""
    height, width = layers.height.shape
    count = int(rng.integers(2, 14) * height * width / 16384) + 1
    rows, cols = rng.integers(1, height - 1, count), rng.integers(1, width - 1, count)
    motes = np.zeros((height, width), np.float32)
    motes[rows, cols] = rng.uniform(0.1, 0.5, count)
    motes[rows, np.minimum(cols + rng.integers(0, 2, count), width - 1)] += 0.1
    level = np.float32(uniform(rng, 0.0, 1.0))
    albedo = layers.albedo + motes[..., None] * (level * 0.7 - layers.albedo)
    return replace(layers, albedo=albedo)


def handling(rng: np.random.Generator, layers: Layers) -> Layers:
    """Wear: clouds of slightly different tone and gloss, drawn out along one direction."""
    height, width = layers.height.shape
    angle = uniform(rng, 0, math.pi)
    smear = directional(rng, height, width, angle, uniform(rng, 20, 80), uniform(rng, 8, 30))
    tone = 1 + np.float32(uniform(rng, 0.01, 0.04)) * smear
    gloss = layers.gloss * np.clip(1 + 0.15 * smear, 0.3, 2)
    return replace(layers, albedo=layers.albedo * tone[..., None], gloss=gloss)


def add_features(rng: np.random.Generator, layers: Layers) -> Layers:
    for chance, feature in ((0.5, handling), (0.12, machining_step), (0.35, dust)):
        if rng.random() < chance:
            layers = feature(rng, layers)
    return cut_border(rng, layers) if rng.random() < 0.2 else layers
