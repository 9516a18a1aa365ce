"""Seeded noise fields and small filters: the raw matter of every surface and defect."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
from PIL import Image

Field = npt.NDArray[np.float32]
Mask = npt.NDArray[np.bool_]
Image8 = npt.NDArray[np.uint8]


def grid(height: int, width: int, cy: float = 0.0, cx: float = 0.0) -> tuple[Field, Field]:
    """Row and column coordinates counted from a centre, ready to broadcast."""
    y = np.arange(height, dtype=np.float32) - np.float32(cy)
    x = np.arange(width, dtype=np.float32) - np.float32(cx)
    return y[:, None], x[None, :]


def uniform(rng: np.random.Generator, low: float, high: float) -> float:
    return float(rng.uniform(low, high))


def log_uniform(rng: np.random.Generator, low: float, high: float) -> float:
    return math.exp(uniform(rng, math.log(low), math.log(high)))


def white(rng: np.random.Generator, height: int, width: int) -> Field:
    return rng.standard_normal((height, width), dtype=np.float32)


def resize(field: Field, height: int, width: int) -> Field:
    image = Image.fromarray(np.ascontiguousarray(field, dtype=np.float32))
    return np.array(image.resize((width, height), Image.Resampling.BICUBIC), dtype=np.float32)


def value_noise(
    rng: np.random.Generator, height: int, width: int, cell_y: float, cell_x: float | None = None
) -> Field:
    """Smooth noise of about unit spread; features are as large as the cell, in pixels."""
    cell_x = cell_y if cell_x is None else cell_x
    cell_y, cell_x = max(cell_y, 1.0), max(cell_x, 1.0)
    rows, cols = math.ceil(height / cell_y) + 4, math.ceil(width / cell_x) + 4
    # A random phase, so that the grid never lines up with the frame.
    top, left = 1.0 + uniform(rng, 0, 1), 1.0 + uniform(rng, 0, 1)
    box = (left, top, left + width / cell_x, top + height / cell_y)
    lattice = Image.fromarray(white(rng, rows, cols))
    smooth = lattice.resize((width, height), Image.Resampling.BICUBIC, box=box)
    return np.array(smooth, dtype=np.float32) / np.float32(0.75)


def fractal(
    rng: np.random.Generator,
    height: int,
    width: int,
    cell: float,
    octaves: int = 4,
    gain: float = 0.55,
) -> Field:
    """Value noise summed over octaves from `cell` downwards; about unit spread."""
    total = np.zeros((height, width), np.float32)
    weight, power = 1.0, 0.0
    for octave in range(octaves):
        size = cell / 2**octave
        if size < 1.0:
            break
        total += np.float32(weight) * value_noise(rng, height, width, size)
        power += weight * weight
        weight *= gain
    return total / np.float32(math.sqrt(max(power, 1e-6)))


def directional(
    rng: np.random.Generator, height: int, width: int, angle: float, length: float, breadth: float
) -> Field:
    """Noise drawn out along `angle` (radians): streaks of this length and breadth, unit spread."""
    spectrum = np.fft.rfft2(white(rng, height, width))
    fy = np.fft.fftfreq(height).astype(np.float32)[:, None]
    fx = np.fft.rfftfreq(width).astype(np.float32)[None, :]
    along = (fx * math.cos(angle) + fy * math.sin(angle)) * length
    across = (fy * math.cos(angle) - fx * math.sin(angle)) * breadth
    shaped = spectrum * np.exp(-4.0 * (along**2 + across**2))
    shaped[0, 0] = 0
    streaks: Field = np.fft.irfft2(shaped, s=(height, width)).astype(np.float32)
    return streaks / np.float32(max(float(streaks.std()), 1e-6))


def bumps(rng: np.random.Generator, height: int, width: int, size: float) -> Field:
    """Isotropic smooth noise. Unlike value noise it shows no lattice, at the price of an FFT."""
    return directional(rng, height, width, 0.0, 0.5 * size, 0.5 * size)


def heavy(field: Field, power: float) -> Field:
    """Push a unit-spread field towards few strong and many weak values."""
    shaped: Field = np.sign(field) * np.abs(field) ** np.float32(power)
    return shaped


def cells(
    rng: np.random.Generator, height: int, width: int, size: float, jitter: float = 0.9
) -> tuple[Field, Field, Field]:
    """Cellular noise: distance to the nearest and second nearest seed (in cells), and a value
    in 0..1 that is constant over each cell."""
    rows, cols = math.ceil(height / size) + 3, math.ceil(width / size) + 3
    seeds = (0.5 + jitter * (rng.random((2, rows, cols), dtype=np.float32) - 0.5)).astype(
        np.float32
    )
    labels = rng.random((rows, cols), dtype=np.float32)
    shift = rng.random(2)
    # Absolute seed places, looked up by flat index: the grid has a spare cell on every side.
    seed_y = (seeds[0] + np.arange(rows, dtype=np.float32)[:, None]).ravel()
    seed_x = (seeds[1] + np.arange(cols, dtype=np.float32)[None, :]).ravel()
    y = ((np.arange(height) / size + shift[0]).astype(np.float32) + 1)[:, None]
    x = ((np.arange(width) / size + shift[1]).astype(np.float32) + 1)[None, :]
    home = y.astype(np.int32) * cols + x.astype(np.int32)
    first = np.full((height, width), 9.0, np.float32)
    second, nearest = first.copy(), home
    for dy in (-1, 0, 1):
        for dx in (-1, 0, 1):
            at = home + (dy * cols + dx)
            down, right = seed_y.take(at) - y, seed_x.take(at) - x
            away = down * down + right * right
            nearest = np.where(away < first, at, nearest)
            np.minimum(second, np.maximum(first, away), out=second)
            np.minimum(first, away, out=first)
    return np.sqrt(first), np.sqrt(second), labels.ravel().take(nearest)


def smoothstep(field: Field, low: float, high: float) -> Field:
    t: Field = np.clip((field - np.float32(low)) / np.float32(high - low), 0, 1)
    result: Field = t * t * (3 - 2 * t)
    return result
