"""Laying one fingerprint over another where it was turned, cut on one side or shrunk: six numbers.

A map (2, 3) says where a place p of the fixed picture is seen in the moving one: at A·p + b, both
in (down, across) from -1 to 1 over the side. Gauss-Newton steps on the difference of the two find
it from a start that is a few pixels off (`disguises` gives one), each step taken in the fixed
picture's own places (Baker & Matthews, 2004), so that one sampling serves it.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from aliaug_edge.evaluation.alignment import COARSE_FACTOR, details
from aliaug_edge.fingerprints import blur

Float32 = NDArray[np.float32]
LARGEST_STEP = 0.06
DAMPING = 5e-3
LEAST_OVERLAP = 0.3


def places(side: int) -> Float32:
    """(side · side, 3): (down, across, 1) of every pixel."""
    line = np.linspace(-1, 1, side, dtype=np.float32)
    down, across = np.meshgrid(line, line, indexing="ij")
    return np.stack([down.ravel(), across.ravel(), np.ones(side * side, np.float32)], axis=1)


def bold(codes: Float32) -> Float32:
    """The details of `codes` (…, n, n) at a third of the scale, evened more closely than `coarse`
    does, so that the edge of a border or of a filled corner does not drown what lies beside it."""
    small = codes.shape[-1] // COARSE_FACTOR
    shape = (*codes.shape[:-2], small, COARSE_FACTOR, small, COARSE_FACTOR)
    blocks = codes.reshape(shape).mean(axis=(-1, -3))
    band = blur(blocks, 1.0) - blur(blocks, 3.0)
    local = np.sqrt(np.maximum(blur(band**2, 2.0), 0))
    overall = np.sqrt((band**2).mean(axis=(-1, -2), keepdims=True))
    evened: Float32 = band / (local + 0.15 * overall + 1e-3)
    return evened


def register(fixed: Float32, moving: Float32, maps: Float32, *, fine: bool) -> Float32:
    """`maps` (p, 2, 3) that lay `moving` over `fixed`, both codes (p, n, n), made better on the
    coarse scale, or on the fine one."""
    look, steps = (details, 5) if fine else (bold, 14)
    return _refine(look(fixed), look(moving), maps.astype(np.float32), steps)


def shown(images: Float32, maps: Float32) -> tuple[Float32, Float32]:
    """`images` (p, n, n) as seen through `maps`, sampled linearly, and 1 where they show something,
    else 0."""
    side = images.shape[-1]
    wanted = (places(side) @ maps.transpose(0, 2, 1) + 1) * np.float32((side - 1) / 2)
    inside = ((wanted >= 0) & (wanted <= side - 1)).all(axis=2).astype(np.float32)
    wanted = np.clip(wanted, 0, side - 1 - 1e-3)
    corner = wanted.astype(np.intp)
    down, across = np.moveaxis(wanted - corner, 2, 0).astype(np.float32)
    flat = images.reshape(len(images), -1)
    first = corner[..., 0] * side + corner[..., 1]

    def at(step: int) -> Float32:
        return np.take_along_axis(flat, first + step, axis=1)

    above = at(0) * (1 - across) + at(1) * across
    below = at(side) * (1 - across) + at(side + 1) * across
    seen: Float32 = above * (1 - down) + below * down
    return (seen * inside).reshape(images.shape), inside.reshape(images.shape)


def repetition(picture: Float32) -> float:
    """The highest correlation of a picture (n, n) with itself, a twelfth of its side or more away:
    a weave or a brushed ground can be laid over another in many ways, and shows no own place."""
    side = picture.shape[-1]
    zero_mean = picture - picture.mean()
    padded = (2 * side, 2 * side)
    spectrum = np.fft.rfft2(zero_mean, padded)
    products = np.fft.irfft2(np.abs(spectrum) ** 2, padded)[:side]
    lag = np.minimum(np.arange(2 * side), 2 * side - np.arange(2 * side))
    overlap = np.outer(side - lag[:side], np.maximum(side - lag, 0))
    distance = np.hypot(lag[:side, None], lag[None])
    far = (distance >= side / 12) & (overlap >= LEAST_OVERLAP * side**2)
    each = np.maximum(overlap, 1) * max(float((zero_mean**2).mean()), 1e-9)
    return float((products / each)[far].max())


def _refine(fixed: Float32, moving: Float32, maps: Float32, steps: int) -> Float32:
    side = fixed.shape[-1]
    place = places(side).T.reshape(1, 3, side, side)
    damping = np.eye(6, dtype=np.float32) * np.float32(DAMPING * side * side)
    for _ in range(steps):
        seen, inside = shown(moving, maps)
        first, second = _unit(fixed, inside), _unit(seen, inside)
        down, across = np.gradient(second, axis=(1, 2))
        slopes = np.stack([down, across], axis=1) * np.float32((side - 1) / 2) * inside[:, None]
        rows = (slopes[:, :, None] * place[:, None]).reshape(len(maps), 6, -1)
        error = (first - second).reshape(len(maps), -1, 1)
        step = np.linalg.solve(rows @ rows.transpose(0, 2, 1) + damping, rows @ error)
        step = np.clip(step.reshape(-1, 2, 3), -LARGEST_STEP, LARGEST_STEP)
        turn = maps[:, :, :2]
        maps = maps + (turn @ step).astype(np.float32)
    return maps


def _unit(images: Float32, inside: Float32) -> Float32:
    count = np.maximum(inside.sum(axis=(1, 2), keepdims=True), 1)
    images = (images - (images * inside).sum(axis=(1, 2), keepdims=True) / count) * inside
    result: Float32 = images / np.sqrt((images**2).sum(axis=(1, 2), keepdims=True) / count + 1e-9)
    return result
