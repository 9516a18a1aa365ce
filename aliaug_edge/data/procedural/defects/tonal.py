"""Painters that change tone and leave the relief alone: stain, discolouration."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np

from aliaug_edge.data.procedural.filters import blur
from aliaug_edge.data.procedural.layers import Layers, Region
from aliaug_edge.data.procedural.noise import fractal, smoothstep, uniform, value_noise

# How much each channel is absorbed: oil, rust water, ink, soot, coolant.
SOAKS = ((0.6, 0.8, 1.2), (0.5, 1.0, 1.6), (1.2, 1.0, 0.7), (1.0, 1.0, 1.0), (1.1, 0.9, 1.0))

FADES = (
    (0.25, 0.05, -0.7),
    (-0.2, -0.5, -0.8),
    (-0.7, -0.7, -0.7),
    (0.4, 0.42, 0.45),
    (-0.4, -0.25, 0.2),
)


def stain(rng: np.random.Generator, layers: Layers, region: Region, severity: float) -> Layers:
    """A dried liquid: tinted absorption, patchy, with a darker drying ring near the border."""
    height, width = region.alpha.shape
    soft = max(1.0, min(3.0, region.radius * 0.4))
    edge = region.depth + 0.35 * soft * value_noise(rng, height, width, 4)
    film = smoothstep(edge, 0.0, soft)
    ring = film * (1 - smoothstep(edge, soft * 1.1, soft * 2.4 + 0.6))
    patch = np.clip(0.65 + 0.22 * fractal(rng, height, width, max(region.radius, 4), 3), 0.2, 1.2)
    load = film * patch + np.float32(uniform(rng, 0.5, 1.1)) * ring
    soak = np.array(SOAKS[int(rng.integers(len(SOAKS)))], np.float32)
    strength = np.float32(0.15 + 0.75 * severity)
    if rng.random() < 0.22:  # lime or salt: a pale veil instead
        veil = np.clip(load * strength * 0.55, 0, 0.9)[..., None]
        pale = np.float32(min(float(layers.albedo.mean()) * 1.8 + 0.15, 0.95))
        albedo = layers.albedo * (1 - veil) + pale * veil
    else:
        albedo = layers.albedo * np.exp(-(strength * load)[..., None] * soak)
    wet = np.float32(uniform(rng, -0.8, 0.4))
    return replace(layers, albedo=albedo, gloss=layers.gloss * (1 + wet * film * severity))


def discolouration(
    rng: np.random.Generator, layers: Layers, region: Region, severity: float
) -> Layers:
    """A broad shift of tone or hue that fades out towards the border; texture untouched."""
    height, width = region.alpha.shape
    # Blurred, because the ridge of a distance field would show as a line.
    level = blur(region.depth, min(region.radius * 0.22, 5.0)) / np.float32(max(region.radius, 1.0))
    drift = value_noise(rng, height, width, max(region.radius, 6))
    fade = smoothstep(level * region.alpha + 0.06 * drift * region.alpha, 0.0, 0.42)
    if rng.random() < 0.35:  # heat tint: straw, purple, blue
        turns = uniform(rng, 0.6, 1.3)
        phase = 2 * math.pi * (0.55 * turns * level + uniform(rng, 0, 1)) + 1.3 * drift
        bands = np.sin(phase[..., None] + np.array((0.0, 1.3, 2.4), np.float32))
        hues = np.float32(uniform(rng, -0.45, 0.1)) + 0.32 * bands
    else:  # yellowed, browned, burnt, bleached, dulled
        hues = np.array(FADES[int(rng.integers(len(FADES)))], np.float32)
        hues = hues * (1 + 0.12 * drift)[..., None]
    strength = (fade * np.float32(0.15 + 0.5 * severity))[..., None]
    change = hues * strength
    albedo = np.clip(layers.albedo * np.exp(change), 0.005, 1.2)
    return replace(layers, albedo=albedo)
