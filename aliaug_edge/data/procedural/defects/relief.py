"""Painters of damage with depth: blowhole, chip, dent, inclusion."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np

from aliaug_edge.data.procedural.filters import blur
from aliaug_edge.data.procedural.layers import Layers, Region, lift
from aliaug_edge.data.procedural.noise import (
    Field,
    cells,
    fractal,
    smoothstep,
    uniform,
    value_noise,
    white,
)


def _bowls(rng: np.random.Generator, region: Region) -> Field:
    """Depth of pores, 0 at their rims to 1 at their bottoms, in local units."""
    radius = max(region.radius, 1.0)
    round_enough = region.mask.sum() < 2.0 * math.pi * (radius + 0.5) ** 2
    if round_enough and radius < 14:
        return region.depth / np.float32(radius)
    height, width = region.alpha.shape
    bowls = np.zeros((height, width), np.float32)
    rows, cols = np.nonzero(region.mask)
    rooms = region.depth[rows, cols]
    for pick in rng.integers(0, rows.size, 40):
        y, x, room = int(rows[pick]), int(cols[pick]), float(rooms[pick])
        size = min(room, uniform(rng, 1.5, 9.0))
        if size < 1.2 or bowls[y, x] > 0:
            continue
        reach = math.ceil(size)
        top, left = max(y - reach, 0), max(x - reach, 0)
        part = bowls[top : y + reach + 1, left : x + reach + 1]
        dy = np.arange(top, top + part.shape[0], dtype=np.float32)[:, None] - y
        dx = np.arange(left, left + part.shape[1], dtype=np.float32)[None, :] - x
        np.maximum(part, 1 - np.sqrt(dy * dy + dx * dx) / np.float32(size), out=part)
    return bowls


def blowhole(rng: np.random.Generator, layers: Layers, region: Region, severity: float) -> Layers:
    """Gas pores: dark round pits whose far wall catches the light, with a soft raised rim."""
    bowl = _bowls(rng, region)
    pit = smoothstep(bowl, 0.05, 0.55)
    rim = smoothstep(bowl, 0.0, 0.12) * (1 - smoothstep(bowl, 0.12, 0.35))
    dark = np.float32(0.35 + 0.55 * severity) * pit
    lighter = np.float32(0.1 + 0.25 * severity) * rim
    albedo = layers.albedo * (1 - dark + lighter)[..., None]
    steep = min(region.radius, 6.0) * (0.3 + 0.7 * severity)
    relief = layers.height * (1 - pit) - np.float32(steep) * np.sin(pit * np.float32(math.pi / 2))
    relief = relief + np.float32(0.4 * severity) * rim
    return replace(layers, albedo=albedo, height=relief, gloss=layers.gloss * (1 - 0.8 * pit))


def chip(rng: np.random.Generator, layers: Layers, region: Region, severity: float) -> Layers:
    """Missing material: a sharp border, then coarse bright and dark break facets."""
    height, width = region.alpha.shape
    size = min(max(region.radius * 0.75, 2.5), 9.0)
    first, second, value = cells(rng, height, width, size, 1.0)
    ridge = smoothstep(second - first, 0.25, 0.0)
    inside = smoothstep(region.depth, 0.2, 1.2)
    tilt = np.cos(value * 40) * first + (value - 0.5)
    rough = fractal(rng, height, width, 4, 3)
    facet = 1 + np.float32(0.75) * tilt + 0.15 * rough + 0.25 * ridge
    # The core is rarely the colour of the skin.
    mean = float(layers.albedo.mean())
    fresh = mean * (uniform(rng, 1.15, 1.5) if rng.random() < 0.6 else uniform(rng, 0.5, 0.8))
    core = lift(np.clip((fresh + 0.06) * facet, 0.01, 1).astype(np.float32), (1.0, 0.99, 0.97))
    weight = (inside * np.float32(0.3 + 0.65 * severity))[..., None]
    albedo = layers.albedo * (1 - weight) + core * weight
    deep = np.float32((0.5 + 1.6 * severity) * min(1.5, 0.6 + region.radius / 12))
    floor = -deep * (1 + 0.6 * tilt + 0.2 * rough)
    relief = layers.height * (1 - inside) + floor * inside
    gloss = layers.gloss * (1 - inside) + 0.08 * inside * (value > 0.7)
    return replace(layers, albedo=albedo, height=relief, gloss=gloss.astype(np.float32))


def dent(rng: np.random.Generator, layers: Layers, region: Region, severity: float) -> Layers:
    """Only the form changes: the skin stays whole and is lit anew."""
    radius = max(region.radius, 1.0)
    level = np.clip(region.depth / np.float32(radius), 0, 1)
    bowl = np.sin(level * np.float32(math.pi / 2)) ** 2
    bowl = blur(bowl, min(radius * 0.22, 5.0)) * smoothstep(region.depth, 0.0, 1.5)
    sign = -1.0 if rng.random() < 0.75 else 1.0
    deep = np.float32(sign * radius * (0.18 + 0.55 * severity))
    worn = layers.gloss * (1 + 0.3 * severity * region.alpha)
    return replace(layers, height=layers.height + deep * bowl, gloss=worn)


def inclusion(rng: np.random.Generator, layers: Layers, region: Region, severity: float) -> Layers:
    """A foreign body: sharp, even, of another colour, proud of the skin, in a faint halo."""
    height, width = region.alpha.shape
    inset = min(1.2 + 0.12 * region.radius, 0.45 * region.radius)
    body = smoothstep(region.depth, inset - 0.3, inset + 0.7)
    halo = region.alpha * (1 - body)
    mean = float(layers.albedo.mean())
    bright = rng.random() < (0.7 if mean < 0.25 else 0.3)
    tone = min(mean * 2.2 + 0.3, 0.95) if bright else mean * uniform(rng, 0.1, 0.3)
    tint = (1.0, 1.0, 1.0)
    if rng.random() < 0.5:
        tint = ((1.3, 0.9, 0.6), (0.75, 0.95, 1.3), (1.2, 1.0, 0.55))[int(rng.integers(3))]
    grain = 1 + 0.08 * value_noise(rng, height, width, 3) + 0.03 * white(rng, height, width)
    weight = (body * np.float32(0.35 + 0.65 * severity))[..., None]
    albedo = layers.albedo * (1 - np.float32(0.1 + 0.2 * severity) * halo)[..., None]
    albedo = albedo * (1 - weight) + lift((tone * grain).astype(np.float32), tint) * weight
    level = np.clip((region.depth - inset) / max(region.radius - inset, 1.0), 0, 1)
    dome = np.sqrt(np.clip(1 - (1 - level) ** 2, 0, 1)) * body
    proud = np.float32(min(region.radius, 5.0) * (0.25 + 0.45 * severity))
    relief = layers.height * (1 - body) + proud * dome
    gloss = layers.gloss * (1 - body) + np.float32(uniform(rng, 0.05, 0.4)) * body
    return replace(layers, albedo=albedo, height=relief, gloss=gloss)
