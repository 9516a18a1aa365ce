"""Light and camera: from surface layers to the numbers a sensor would give."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from aliaug_edge.data.procedural.filters import blur, gradient
from aliaug_edge.data.procedural.layers import Layers
from aliaug_edge.data.procedural.noise import (
    Field,
    Image8,
    grid,
    log_uniform,
    smoothstep,
    uniform,
    value_noise,
)

LUMA = np.array((0.3, 0.59, 0.11), np.float32)


@dataclass(frozen=True)
class Light:
    side_x: Field  # direction to the lamp; varies over the frame when the lamp is near
    side_y: Field
    up: float
    ambient: float
    falloff: Field  # lamp gradient and vignetting
    backdrop: Field  # what shows beside the part
    room: Field  # what glossy parts mirror besides the lamp: the edge of a soft box


@dataclass(frozen=True)
class Camera:
    exposure: float
    grey: bool
    cast: tuple[float, float, float]
    blur: float
    noise: Field  # (H, W, 1 or 3), in units of full scale
    shot: float


def _soft_box(rng: np.random.Generator, y: Field, x: Field) -> Field:
    """A broad, straight, blurred reflection across part of the frame; often none."""
    turn, middle = uniform(rng, 0, math.pi), uniform(rng, -0.6, 0.6)
    half, soft = uniform(rng, 0.1, 0.4), uniform(rng, 0.03, 0.3)
    strength = max(uniform(rng, -0.5, 0.7), 0.0)
    across = y * np.float32(math.cos(turn)) - x * np.float32(math.sin(turn)) - np.float32(middle)
    band = smoothstep(np.float32(half) - np.abs(across), -soft, soft)
    return band * np.float32(strength)


def draw_light(rng: np.random.Generator, height: int, width: int) -> Light:
    azimuth, elevation = uniform(rng, 0, 2 * math.pi), uniform(rng, 0.45, 1.25)
    near = uniform(rng, 0.0, 0.55)
    y, x = grid(height, width, height / 2, width / 2)
    y, x = y / np.float32(height), x / np.float32(width)
    side_x = np.float32(math.cos(azimuth) * math.cos(elevation)) - np.float32(near) * x
    side_y = np.float32(math.sin(azimuth) * math.cos(elevation)) - np.float32(near) * y
    slope = uniform(rng, 0.0, 0.5)
    vignette = uniform(rng, 0.0, 0.7)
    lamp = 1 + np.float32(slope) * (x * math.cos(azimuth) + y * math.sin(azimuth))
    lamp = lamp * (1 - np.float32(vignette) * (x * x + y * y))
    lamp = lamp * (1 + 0.04 * value_noise(rng, height, width, max(height, width) / 2))
    dark = uniform(rng, 0.01, 0.12)
    backdrop = dark * (1 + 0.25 * value_noise(rng, height, width, max(height, width) / 4))
    shape = (height, width)
    return Light(
        np.broadcast_to(side_x, shape).astype(np.float32),
        np.broadcast_to(side_y, shape).astype(np.float32),
        math.sin(elevation),
        uniform(rng, 0.25, 0.6),
        lamp.astype(np.float32),
        backdrop.astype(np.float32),
        _soft_box(rng, y, x),
    )


def shade(layers: Layers, light: Light) -> Field:
    """Linear RGB. A flat, level surface gives its albedo wherever the lamp's falloff is 1."""
    down, right = gradient(layers.height)
    steep = 1 / np.sqrt(1 + down * down + right * right)
    lx, ly, lz = light.side_x, light.side_y, np.float32(light.up)
    diffuse = np.clip((lz - right * lx - down * ly) * steep / lz, 0, 2.5)
    # Half vector between lamp and a camera straight above.
    norm = 1 / np.sqrt(lx * lx + ly * ly + (lz + 1) ** 2)
    facing = np.clip((lz + 1 - right * lx - down * ly) * steep * norm, 1e-3, 1)
    mirror = np.exp(np.float32(layers.shine) * np.log(facing))
    # Hollows see less of the sky.
    hollow = np.clip((blur(layers.height, 2.5, boxes=1) - layers.height) * 0.35, -0.15, 0.6)
    ambient = np.float32(light.ambient) * (1 - hollow)
    lit = (ambient + np.float32(1 - light.ambient) * diffuse) * light.falloff
    rgb = layers.albedo * lit[..., None]
    rgb += (layers.gloss * (mirror * light.falloff + light.room))[..., None]
    part = layers.part[..., None]
    result: Field = rgb * part + light.backdrop[..., None] * (1 - part)
    return result


def draw_camera(rng: np.random.Generator, linear: Field, coloured: bool) -> Camera:
    height, width = linear.shape[:2]
    # Nearly all grey materials, and a quarter of the coloured, are seen by monochrome cameras.
    grey = bool(rng.random() < (0.3 if coloured else 0.7))
    mean = float((linear @ LUMA).mean())
    # Dark materials stay darker than light ones, as with a fixed shutter time.
    target = uniform(rng, 0.26, 0.72) * (mean / 0.4) ** 0.35
    exposure = min(max(target, 0.1), 0.72) / max(mean, 0.02)
    warm = 0.0 if grey else uniform(rng, -0.05, 0.05)
    level = log_uniform(rng, 0.6, 4.5) / 255
    noise = rng.standard_normal((height, width, 1 if grey else 3), dtype=np.float32)
    return Camera(
        exposure,
        grey,
        (1 + warm, 1.0, 1 - warm),
        uniform(rng, 0.3, 0.85),
        noise * np.float32(level),
        uniform(rng, 0.3, 1.0),
    )


def expose(linear: Field, camera: Camera) -> Field:
    """Sensor values in 0..1 before noise, (H, W, 1 or 3): exposure, tint, shoulder, lens."""
    seen = linear * (np.array(camera.cast, np.float32) * np.float32(camera.exposure))
    if camera.grey:
        seen = (seen @ LUMA)[..., None]
    seen = blur(np.maximum(seen, 0), camera.blur)
    # A soft shoulder instead of hard clipping.
    fourth = seen * seen
    fourth = fourth * fourth
    result: Field = seen / np.sqrt(np.sqrt(1 + fourth))
    return result


def develop(values: Field, camera: Camera) -> Image8:
    """Add sensor noise (more in bright places) and quantise to RGB bytes."""
    grainy = values + camera.noise * (0.4 + np.float32(camera.shot) * np.sqrt(values))
    pixels = (np.clip(grainy, 0, 1) * 255 + 0.5).astype(np.uint8)
    return np.repeat(pixels, 3, axis=2) if camera.grey else pixels
