"""Painters of damage with depth: blowhole, chip, dent, inclusion."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np

from aliaug_edge.data.procedural.filters import blur, spread_max
from aliaug_edge.data.procedural.layers import Layers, Region, lift, washed
from aliaug_edge.data.procedural.noise import (
    Field,
    fractal,
    smoothstep,
    uniform,
    value_noise,
    white,
)


def _bowls(rng: np.random.Generator, region: Region) -> Field:
    """Depth of pores, 0 at their rims to 1 at their bottoms, in local units."""
    peak = region.depth
    for _ in range(math.ceil(region.radius)):
        peak = np.where(region.mask, spread_max(peak), 0)
    level = region.depth / np.maximum(peak, 1)
    # A quarter of a disc lies deeper than half its radius, but half of a band.
    if region.radius < 13 and float((level[region.mask] > 0.5).mean()) < 0.42:
        return level.astype(np.float32)
    height, width = region.alpha.shape
    bowls = np.zeros((height, width), np.float32)
    rows, cols = np.nonzero(region.mask)
    rooms = region.depth[rows, cols]
    for pick in rng.integers(0, rows.size, 40):
        y, x, room = int(rows[pick]), int(cols[pick]), float(rooms[pick])
        size = min(room + 0.5, uniform(rng, 1.4, 9.0))
        if bowls[y, x] > 0:
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
    pit = smoothstep(bowl, 0.08, 0.7)
    rim = smoothstep(bowl, 0.0, 0.12) * (1 - smoothstep(bowl, 0.15, 0.4))
    dark = np.float32(0.4 + 0.42 * severity) * pit
    lighter = np.float32(0.2 + 0.35 * severity) * rim
    albedo = layers.albedo * (1 - dark + lighter)[..., None]
    steep = min(region.radius, 6.0) * (0.3 + 0.7 * severity)
    relief = layers.height * (1 - pit) - np.float32(steep) * np.sin(pit * np.float32(math.pi / 2))
    relief = relief + np.float32(0.3 + 0.6 * severity) * rim
    return replace(layers, albedo=albedo, height=relief, gloss=layers.gloss * (1 - 0.8 * pit))


def _facets(rng: np.random.Generator, region: Region) -> tuple[Field, Field]:
    """A break surface of flat pieces: its height (about -1..1) and a tone for each piece.

    The upper hull of random planes: each piece is flat, and they meet in sharp creases.
    """
    height, width = region.alpha.shape
    size = np.float32(max(min(region.radius, 14.0), 2.0))
    rows, cols = np.nonzero(region.mask)
    y = (np.arange(height, dtype=np.float32) - rows.mean())[:, None] / size
    x = (np.arange(width, dtype=np.float32) - cols.mean())[None, :] / size
    # Wrap far-reaching masks, so that every part of them shows several pieces.
    y, x = np.abs(np.mod(y + 1.5, 6) - 3) - 1.5, np.abs(np.mod(x + 1.5, 6) - 3) - 1.5
    level = np.full((height, width), -9.0, np.float32)
    tone = np.zeros((height, width), np.float32)
    for _ in range(int(rng.integers(5, 10))):
        turn, steep = uniform(rng, 0, 2 * math.pi), uniform(rng, 0.4, 1.3)
        plane = steep * (math.cos(turn) * x + math.sin(turn) * y) - uniform(rng, 0.0, 0.7)
        own = np.float32(uniform(rng, -0.4, 0.4))
        tone = np.where(plane > level, own, tone)
        level = np.maximum(level, plane).astype(np.float32)
    return np.clip(level, -1.5, 1.5), tone


def chip(rng: np.random.Generator, layers: Layers, region: Region, severity: float) -> Layers:
    """Missing material: a sharp border, then coarse bright and dark break facets."""
    height, width = region.alpha.shape
    inside = smoothstep(region.depth, 0.2, 1.2)
    broken, tone = _facets(rng, region)
    rough = fractal(rng, height, width, 4, 3)
    facet = 1 + tone + np.float32(uniform(rng, 0.06, 0.2)) * rough
    mean = float(layers.albedo[region.mask].mean())
    lighter = uniform(rng, 1.15, 1.5) if rng.random() < 0.6 else uniform(rng, 0.5, 0.8)
    tint = washed(layers, region, mean * lighter + 0.05)
    core = np.clip(lift(facet.astype(np.float32), tint), 0.01, 1)
    weight = (inside * np.float32(0.3 + 0.65 * severity))[..., None]
    albedo = layers.albedo * (1 - weight) + core * weight
    deep = np.float32((0.5 + 1.4 * severity) * min(2.5, 0.5 + region.radius / 7))
    floor = -deep * (1 + broken + 0.25 * rough)
    relief = layers.height * (1 - inside) + floor * inside
    gloss = layers.gloss * (1 - inside) + 0.1 * inside * (tone > 0.15)
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
