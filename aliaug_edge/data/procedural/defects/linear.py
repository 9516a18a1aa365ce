"""Painters of line-like damage: scratch, crack, fray. Each works in a mask of any shape."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
from PIL import Image, ImageDraw

from aliaug_edge.data.procedural.filters import blur
from aliaug_edge.data.procedural.layers import Layers, Region, washed
from aliaug_edge.data.procedural.noise import (
    Field,
    cells,
    directional,
    smoothstep,
    uniform,
    value_noise,
)


def _groove(rng: np.random.Generator, region: Region) -> tuple[Field, Field]:
    """Core and rim of the scratch lines, 0..1: the mask's own line, or a scuff of many lines."""
    height, width = region.alpha.shape
    if region.thin:
        # Smoothed, because depth alternates from pixel to pixel along a slanting line.
        level = blur(region.depth, 0.7)
        core = smoothstep(level / level.max(), 0.35, 0.85)
        return core, region.alpha * (1 - core)
    angle = region.angle + float(rng.normal(0, 0.06))
    lines = directional(rng, height, width, angle, uniform(rng, 40, 120), 0.45)
    lines = lines + 0.5 * directional(rng, height, width, angle + 0.12, 60, 0.45)
    core = smoothstep(lines, 0.9, 1.7) * region.alpha
    # The rim lies on the side away from the tool.
    rim = smoothstep(np.roll(lines, 1, axis=0) + np.roll(lines, 1, axis=1), 1.2, 2.6)
    return core, rim * region.alpha * (1 - core)


def scratch(rng: np.random.Generator, layers: Layers, region: Region, severity: float) -> Layers:
    """Dark core and bright thrown-up rim, or a burnished bright line."""
    core, rim = _groove(rng, region)
    height, width = region.alpha.shape
    pressure = 0.8 + 0.2 * directional(rng, height, width, region.angle, 12, 3)
    core, rim = core * pressure, rim * pressure
    depth = (0.4 + 1.6 * severity) * uniform(rng, 0.7, 1.2)
    relief = layers.height - np.float32(depth) * core + np.float32(0.35 * depth) * rim
    tone = layers.albedo.mean()
    if rng.random() < 0.55:
        dark, bright = 0.35 + 0.5 * severity, 0.25 + 0.5 * severity
    else:  # burnished: fresh bright material
        dark, bright = -0.5 - 0.7 * severity, 0.1
    change = np.float32(bright) * rim - np.float32(dark) * core
    albedo = layers.albedo * (1 + change[..., None])
    albedo += (0.25 * (tone + 0.15) * change)[..., None]
    return replace(layers, albedo=np.clip(albedo, 0.005, 1.3), height=relief)


def crack(rng: np.random.Generator, layers: Layers, region: Region, severity: float) -> Layers:
    """A gap that swallows light: near black, sharp, jagged, of uneven width."""
    height, width = region.alpha.shape
    if region.thin:
        uneven = 0.25 * value_noise(rng, height, width, 5)
        # A wide band is not a wide gap: only its middle opens.
        level = blur(region.depth, 0.5) / np.float32(max(1.0, region.radius / 2.2))
        core = smoothstep(level + uneven, 0.35, 1.1)
    else:
        size = min(max(region.radius * uniform(rng, 0.65, 1.15), 5.5), 26.0)
        first, second, _ = cells(rng, height, width, size, 0.95)
        ragged = 0.05 * value_noise(rng, height, width, 2.5)
        broken = value_noise(rng, height, width, size)
        gap = (second - first + ragged) * np.float32(size)
        core = smoothstep(-gap, -2.0, -0.7) * smoothstep(broken, -1.7, -1.0)
    core = core * region.alpha
    dark = np.float32(0.5 + 0.48 * severity) * core
    albedo = layers.albedo * (1 - dark)[..., None]
    relief = layers.height - np.float32(0.5 + 1.2 * severity) * core
    return replace(layers, albedo=albedo, height=relief, gloss=layers.gloss * (1 - core))


def reduced(sheet: Image.Image) -> Field:
    """A drawing at twice the size as coverage, 0..1."""
    return np.array(sheet.reduce(2), dtype=np.float32) / np.float32(255)


def _hairs(rng: np.random.Generator, region: Region) -> tuple[Field, Field]:
    """Loose fibres as curved strokes, and the same set a pixel further down for their shadows."""
    height, width = region.alpha.shape
    sheet, shadow = (Image.new("L", (width * 2, height * 2), 0) for _ in range(2))
    draw, under = ImageDraw.Draw(sheet), ImageDraw.Draw(shadow)
    rows, cols = np.nonzero(region.mask)
    count = min(max(8, rows.size // 9), 260)
    reach = min(max(region.radius * 2.0, 5.0), 26.0)
    for pick in rng.integers(0, rows.size, count):
        y, x = 2.0 * float(rows[pick]), 2.0 * float(cols[pick])
        turn = region.angle + float(rng.normal(0, 0.65))
        bend, points = float(rng.normal(0, 0.35)), []
        step = reach * uniform(rng, 0.25, 0.6)
        for _ in range(5):
            points.append((x, y))
            x, y = x + step * math.cos(turn) / 2, y + step * math.sin(turn) / 2
            turn += bend
        level = int(rng.integers(90, 256))
        under.line([(a + 2, b + 2) for a, b in points], fill=level, width=2)
        draw.line(points, fill=level, width=1 + int(rng.random() < 0.4))
    return reduced(sheet), reduced(shadow)


def fray(rng: np.random.Generator, layers: Layers, region: Region, severity: float) -> Layers:
    """The skin is torn into loose fibres: bright hairs, dark gaps, the old texture blurred."""
    light, dark = _hairs(rng, region)
    alpha = region.alpha
    loose = (alpha * np.float32(0.4 + 0.5 * severity))[..., None]
    ground = blur(layers.albedo, 2.2) * (1 - np.float32(0.25 + 0.35 * severity) * dark)[..., None]
    albedo = layers.albedo * (1 - loose) + ground * loose
    hair = (alpha * light * np.float32(0.35 + 0.6 * severity))[..., None]
    fresh = min(float(layers.albedo[region.mask].mean()) * 1.7 + 0.12, 0.95)
    albedo = albedo * (1 - hair) + np.array(washed(layers, region, fresh), np.float32) * hair
    relief = layers.height * (1 - loose[..., 0]) + alpha * np.float32(0.5 + severity) * (
        light - 0.8 * dark
    )
    return replace(layers, albedo=albedo, height=relief, gloss=layers.gloss * (1 - 0.7 * alpha))
