"""Blurs and distances on fields, in plain numpy."""

from __future__ import annotations

import math

import numpy as np

from aliaug_edge.data.procedural.noise import Field, Mask


def _taps(field: Field, kernel: list[float], axis: int) -> Field:
    reach = len(kernel) // 2
    pad = [(0, 0)] * field.ndim
    pad[axis] = (reach, reach)
    padded = np.pad(field, pad, mode="edge")
    count = field.shape[axis]
    total = np.zeros_like(field)
    for offset, weight in enumerate(kernel):
        window = [slice(None)] * field.ndim
        window[axis] = slice(offset, offset + count)
        total += np.float32(weight) * padded[tuple(window)]
    return total


def _box(field: Field, reach: int, axis: int) -> Field:
    pad = [(0, 0)] * field.ndim
    pad[axis] = (reach + 1, reach)
    sums = np.cumsum(np.pad(field, pad, mode="edge"), axis=axis, dtype=np.float32)
    count, span = field.shape[axis], 2 * reach + 1
    high, low = [slice(None)] * field.ndim, [slice(None)] * field.ndim
    high[axis], low[axis] = slice(span, span + count), slice(0, count)
    result: Field = (sums[tuple(high)] - sums[tuple(low)]) / np.float32(span)
    return result


def blur(field: Field, sigma: float, boxes: int = 3) -> Field:
    """Gaussian blur over the first two axes; a large one as a few boxes in a row."""
    if sigma < 0.25:
        return field
    if sigma <= 1.6:
        reach = max(1, math.ceil(2.2 * sigma))
        kernel = [math.exp(-0.5 * (i / sigma) ** 2) for i in range(-reach, reach + 1)]
        kernel = [weight / sum(kernel) for weight in kernel]
        return _taps(_taps(field, kernel, 0), kernel, 1)
    reach = max(1, round((math.sqrt(12 * sigma * sigma / boxes + 1) - 1) / 2))
    for _ in range(boxes):
        field = _box(_box(field, reach, 0), reach, 1)
    return field


def distance(seeds: Mask, reach: int) -> Field:
    """Euclidean distance to the nearest True pixel: exact up to `reach`, `reach + 1` beyond."""
    columns = np.arange(seeds.shape[1], dtype=np.float32)
    far = np.float32(1e6)
    left = np.maximum.accumulate(np.where(seeds, columns, -far), axis=1)
    right = np.minimum.accumulate(np.where(seeds, columns, far)[:, ::-1], axis=1)[:, ::-1]
    row = np.minimum(np.minimum(columns - left, right - columns), np.float32(reach + 1)) ** 2
    best = row.copy()
    for step in range(1, min(reach, seeds.shape[0] - 1) + 1):
        np.minimum(best[step:], row[:-step] + np.float32(step * step), out=best[step:])
        np.minimum(best[:-step], row[step:] + np.float32(step * step), out=best[:-step])
    result: Field = np.sqrt(np.minimum(best, np.float32((reach + 1) ** 2))).astype(np.float32)
    return result


def gradient(height: Field) -> tuple[Field, Field]:
    """Central differences (down, right) with flat borders."""
    down, right = np.zeros_like(height), np.zeros_like(height)
    down[1:-1] = (height[2:] - height[:-2]) * np.float32(0.5)
    right[:, 1:-1] = (height[:, 2:] - height[:, :-2]) * np.float32(0.5)
    down[0], down[-1] = down[1], down[-2]
    right[:, 0], right[:, -1] = right[:, 1], right[:, -2]
    return down, right


def spread_max(field: Field) -> Field:
    """Each pixel takes the largest value among itself and its eight neighbours."""
    tall = field.copy()
    np.maximum(tall[1:], field[:-1], out=tall[1:])
    np.maximum(tall[:-1], field[1:], out=tall[:-1])
    wide = tall.copy()
    np.maximum(wide[:, 1:], tall[:, :-1], out=wide[:, 1:])
    np.maximum(wide[:, :-1], tall[:, 1:], out=wide[:, :-1])
    return wide


def without_specks(mask: Mask) -> Mask:
    """Drop crumbs of a few pixels that lie apart from the rest."""
    kept: Mask = mask & (_box(_box(mask.astype(np.float32), 2, 0), 2, 1) > 0.21)
    return kept


def open2(mask: Mask) -> Mask:
    """Keep only what a 2x2 square fits into."""
    core = mask[:-1, :-1] & mask[1:, :-1] & mask[:-1, 1:] & mask[1:, 1:]
    kept = np.zeros_like(mask)
    kept[:-1, :-1] |= core
    kept[1:, :-1] |= core
    kept[:-1, 1:] |= core
    kept[1:, 1:] |= core
    return kept
