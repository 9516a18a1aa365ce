"""Painters that change tone and leave the relief alone: stain, discolouration."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np

from aliaug_edge.data.procedural.layers import Layers, Region
from aliaug_edge.data.procedural.noise import fractal, smoothstep, uniform, value_noise

# How much each channel is absorbed: oil, rust water, ink, soot, coolant.
SOAKS = ((0.6, 0.8, 1.2), (0.5, 1.0, 1.6), (1.2, 1.0, 0.7), (1.0, 1.0, 1.0), (1.1, 0.9, 1.0))


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
    """Heat tint: broad bands of hue that fade out towards the border; texture untouched."""
    height, width = region.alpha.shape
    level = region.depth / np.float32(max(region.radius, 1.0))
    fade = smoothstep(level, 0.0, 0.85)
    drift = 0.12 * value_noise(rng, height, width, max(region.radius, 6))
    turns = uniform(rng, 0.6, 1.5)
    phase = 2 * math.pi * (turns * level + drift + uniform(rng, 0, 1))
    shift = np.array((0.0, 1.3, 2.4), np.float32)
    bands = np.sin(phase[..., None] + shift)
    base = uniform(rng, -0.7, 0.5)
    change = (np.float32(base) + 0.5 * bands) * (fade * np.float32(0.12 + 0.5 * severity))[..., None]
    albedo = np.clip(layers.albedo * np.exp(change), 0.005, 1.2)
    return replace(layers, albedo=albedo)
