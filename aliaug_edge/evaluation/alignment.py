"""Laying one fingerprint over another: stretch and shift along both axes, found by least squares.

A photo that was cropped and resized differs from its source by x' = a·x + b, y' = c·y + d. Gauss-
Newton steps on the difference of the two (Lucas & Kanade, 1981) find the four numbers, on a coarse
scale first. Because the map is separable, moving an image is two small matrix products.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from aliaug_edge.fingerprints import blur

Float32 = NDArray[np.float32]
COARSE_FACTOR = 3
STRETCH = (0.85, 1.18)
SHIFT = 0.15  # of half a side
LARGEST_STEP = 0.05
DAMPING = 1e-2
STILL = np.array([1.0, 0.0, 1.0, 0.0], np.float32)


def details(codes: Float32, fine: float = 0.8) -> Float32:
    """Texture of even strength everywhere: band-passed and divided by its local strength.

    `codes` (…, n, n); so neither light nor a single strong edge decides how alike two photos are.
    """
    band = blur(codes, fine) - blur(codes, 3.0)
    power = band**2
    local = np.sqrt(np.maximum(blur(power, 6.0), 0))
    overall = np.sqrt(power.mean(axis=(-1, -2), keepdims=True))
    evened: Float32 = band / (local + 0.3 * overall + 1e-3)
    return evened


def coarse(codes: Float32) -> Float32:
    """The details of `codes` (…, n, n) at a third of the scale."""
    small = codes.shape[-1] // COARSE_FACTOR
    shape = (*codes.shape[:-2], small, COARSE_FACTOR, small, COARSE_FACTOR)
    return details(codes.reshape(shape).mean(axis=(-1, -3)), fine=1.0)


def align(fixed: Float32, moving: Float32) -> Float32:
    """The maps (p, 4) that lay `moving` over `fixed`, both codes (p, n, n)."""
    maps = np.tile(STILL, (len(fixed), 1))
    maps = _refine(coarse(fixed), coarse(moving), maps, steps=12)
    return _refine(details(fixed), details(moving), maps, steps=5)


def moved(images: Float32, maps: Float32) -> tuple[Float32, Float32]:
    """`images` (p, n, n) under `maps`, and 1 where they still show something, else 0."""
    rows, rows_inside = _sampling(images.shape[-1], maps[:, 0], maps[:, 1])
    columns, columns_inside = _sampling(images.shape[-1], maps[:, 2], maps[:, 3])
    inside = rows_inside[:, :, None] * columns_inside[:, None, :]
    shown: Float32 = (rows @ images @ columns.transpose(0, 2, 1)).astype(np.float32)
    return shown, inside


def correlation(first: Float32, second: Float32, weights: Float32) -> Float32:
    """Normalised correlation (p,) in [-1, 1] of images (p, n, n) where `weights` is 1."""
    first, second = centred(first, weights), centred(second, weights)
    norms = (first**2).sum(axis=(1, 2)) * (second**2).sum(axis=(1, 2))
    result: Float32 = (first * second).sum(axis=(1, 2)) / np.sqrt(norms + 1e-9)
    return result


def centred(images: Float32, weights: Float32) -> Float32:
    """`images` less their mean where `weights` is 1, and 0 elsewhere."""
    count = np.maximum(weights.sum(axis=(-1, -2), keepdims=True), 1)
    mean = (images * weights).sum(axis=(-1, -2), keepdims=True) / count
    result: Float32 = (images - mean) * weights
    return result


def _refine(fixed: Float32, moving: Float32, maps: Float32, steps: int) -> Float32:
    side = fixed.shape[-1]
    half = (side - 1) / 2
    place = ((np.arange(side) - half) / half).astype(np.float32)
    fixed, moving = _unit(fixed), _unit(moving)
    down, across = (np.gradient(moving, axis=axis) * np.float32(half) for axis in (1, 2))
    damping = np.eye(4, dtype=np.float32) * np.float32(DAMPING * side * side)
    for _ in range(steps):
        seen, inside = moved(moving, maps)
        by_row, by_column = moved(down, maps)[0] * inside, moved(across, maps)[0] * inside
        slopes = np.stack(
            [by_row * place[:, None], by_row, by_column * place[None, :], by_column], axis=1
        ).reshape(len(maps), 4, -1)
        error = ((fixed - seen) * inside).reshape(len(maps), -1, 1)
        step = np.linalg.solve(slopes @ slopes.transpose(0, 2, 1) + damping, slopes @ error)
        maps = maps + np.clip(step[..., 0], -LARGEST_STEP, LARGEST_STEP)
        maps[:, [0, 2]] = np.clip(maps[:, [0, 2]], *STRETCH)
        maps[:, [1, 3]] = np.clip(maps[:, [1, 3]], -SHIFT, SHIFT)
    return maps


def _unit(images: Float32) -> Float32:
    images = images - images.mean(axis=(1, 2), keepdims=True)
    result: Float32 = images / np.sqrt((images**2).mean(axis=(1, 2), keepdims=True) + 1e-9)
    return result


def _sampling(side: int, stretch: Float32, shift: Float32) -> tuple[Float32, Float32]:
    """Matrices (p, side, side) that sample a line at stretch·x + shift, x from -1 to 1, linearly,
    and which samples (p, side) lie on it."""
    half = (side - 1) / 2
    place = (np.arange(side) - half) / half
    wanted = (stretch[:, None] * place + shift[:, None]) * half + half
    inside = ((wanted >= 0) & (wanted <= side - 1)).astype(np.float32)
    wanted = np.clip(wanted, 0, side - 1 - 1e-4)
    left = wanted.astype(int)
    share = (wanted - left).astype(np.float32)
    matrices = np.zeros((len(stretch), side, side), np.float32)
    pair, row = np.arange(len(stretch))[:, None], np.arange(side)[None]
    matrices[pair, row, left] = 1 - share
    matrices[pair, row, left + 1] += share
    return matrices, inside
