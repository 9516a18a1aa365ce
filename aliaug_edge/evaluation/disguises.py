"""Which train photos may show a test photo turned by some degrees, cut, shrunk, or as a negative.

Every test photo's small signature is held against every train photo's, in all 8 ways, through some
hundred windows: each axis cut by up to 0.4 of itself, or both turned by up to 10 degrees. All of it
is matrix products. What is usual for a window among the train photos is taken off first, so parts
of one design, which all lie alike, do not hide the one that lies otherwise. The likeliest are then
registered on the coarse scale, and those that agree there are worth a closer look.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from aliaug_edge.evaluation.alignment import correlation
from aliaug_edge.evaluation.registration import bold, register, shown

CUTS = (0.0, 0.1, 0.2, 0.3)
MOST_CUT = 0.4
TURNS = (-9.0, -6.0, -3.0, 3.0, 6.0, 9.0)  # degrees
ZOOMS = (1.0, 0.86, 0.74)  # of the side that a turned window shows
GRID = 16
NEAR = 0.22  # above what is usual for the window
COARSELY_ALIKE = 0.45
LEAST_SHOWN = 0.3
CANDIDATES = 6
WAYS = 8
INVERSE_WAY = (0, 1, 6, 3, 4, 5, 2, 7)

Float32 = NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Suspects:
    """Train photos that may show one test photo: their places in the train set (k,), the way to
    turn each, its sign (-1 for a negative), and the map (k, 2, 3) that lays it over."""

    trains: NDArray[np.intp]
    ways: NDArray[np.intp]
    signs: Float32
    maps: Float32


def turned(images: Float32, way: int) -> Float32:
    """`images` (…, n, n) by way // 2 quarter turns, mirrored where `way` is odd."""
    by_quarters = np.rot90(images, way // 2, axes=(-2, -1))
    return by_quarters[..., ::-1] if way % 2 else by_quarters


def suspects(trains: NDArray[np.int8], tests: NDArray[np.int8]) -> Iterator[Suspects]:
    """For each of the codes `tests` (m, n, n) the suspects among `trains` (k, n, n)."""
    train_looks, test_looks = (bold(c.astype(np.float32)) for c in (trains, tests))
    cut = _search(test_looks, train_looks)
    grown = [part.T for part in _search(train_looks, test_looks)]
    for test, code in enumerate(tests):
        best = np.maximum(cut[0][test], grown[0][test])
        order = np.argsort(-best, kind="stable")[:CANDIDATES]
        order = order[best[order] >= NEAR]
        starts = [
            _start_of_cut(test_looks[test], train_looks[i], int(cut[1][test, i]))
            if cut[0][test, i] >= grown[0][test, i]
            else _start_of_grown(test_looks[test], train_looks[i], int(grown[1][test, i]))
            for i in order
        ]
        yield _registered(code, trains, order, starts)


def _registered(
    code: NDArray[np.int8],
    trains: NDArray[np.int8],
    order: NDArray[np.intp],
    starts: list[tuple[int, float, Float32]],
) -> Suspects:
    ways = np.array([way for way, _, _ in starts], np.intp)
    signs = np.array([sign for _, sign, _ in starts], np.float32)
    maps = np.array([start for _, _, start in starts], np.float32).reshape(-1, 2, 3)
    if not len(order):
        return Suspects(order, ways, signs, maps)
    moving = np.stack(
        [
            turned(trains[i].astype(np.float32), w) * s
            for i, w, s in zip(order, ways, signs, strict=True)
        ]
    )
    fixed = np.broadcast_to(code.astype(np.float32), moving.shape)
    maps = register(fixed, moving, maps, fine=False)
    seen, inside = shown(bold(moving), maps)
    alike = correlation(bold(fixed), seen, inside)
    kept = (alike >= COARSELY_ALIKE) & (inside.mean(axis=(1, 2)) >= LEAST_SHOWN)
    return Suspects(order[kept], ways[kept], signs[kept], maps[kept])


def _search(windowed: Float32, whole: Float32) -> tuple[Float32, NDArray[np.intp]]:
    """How far above the usual the likest window of each of `windowed` (m, n, n) is to each of
    `whole` (k, n, n) in any way: (m, k), and which window."""
    side = windowed.shape[-1]
    sources = windowed.reshape(len(windowed), -1)
    still = _sampler(side, np.eye(2, 3, dtype=np.float32))
    known = np.concatenate(
        [_unit(turned(whole, way).reshape(len(whole), -1) @ still) for way in range(WAYS)]
    )
    best = np.full((len(windowed), len(whole)), -1, np.float32)
    which = np.zeros(best.shape, np.intp)
    for number, window in enumerate(windows()):
        alike = np.abs(_unit(sources @ _sampler(side, window)) @ known.T)
        alike = alike.reshape(len(windowed), WAYS, -1).max(axis=1)
        alike -= np.median(alike, axis=1, keepdims=True)
        better = alike > best
        best[better] = alike[better]
        which[better] = number
    return best, which


@functools.lru_cache(maxsize=1)
def windows() -> tuple[Float32, ...]:
    """Maps (2, 3) from the whole of a window to where it lies in the picture."""
    axis = [(low, high) for low in CUTS for high in CUTS if low + high <= MOST_CUT + 1e-6]
    cut = [
        np.array([[1 - a - b, 0, a - b], [0, 1 - c - d, c - d]], np.float32)
        for a, b in axis
        for c, d in axis
    ]
    turns = []
    for degrees in TURNS:
        cos, sin = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
        for zoom in ZOOMS:
            turns.append(
                np.array([[cos * zoom, -sin * zoom, 0], [sin * zoom, cos * zoom, 0]], np.float32)
            )
    return (*cut, *turns)


def _start_of_cut(test: Float32, train: Float32, number: int) -> tuple[int, float, Float32]:
    """Way, sign and map that lay a train photo over a test photo of which it shows a window."""
    window = windows()[number]
    way, sign = _way(test, train, window)
    return way, sign, _inverse(window)


def _start_of_grown(test: Float32, train: Float32, number: int) -> tuple[int, float, Float32]:
    """The same where the test photo shows a window of the train photo."""
    window = windows()[number]
    way, sign = _way(train, test, window)
    turn = _turn_of(way)
    return INVERSE_WAY[way], sign, turn @ np.concatenate([window[:, :2] @ turn.T, window[:, 2:]], 1)


def _way(windowed: Float32, whole: Float32, window: Float32) -> tuple[int, float]:
    side = windowed.shape[-1]
    seen = _unit(windowed.reshape(1, -1) @ _sampler(side, window))[0]
    still = _sampler(side, np.eye(2, 3, dtype=np.float32))
    alike = [
        float(_unit(turned(whole, way).reshape(1, -1) @ still)[0] @ seen) for way in range(WAYS)
    ]
    way = int(np.argmax(np.abs(alike)))
    return way, 1.0 if alike[way] >= 0 else -1.0


def _turn_of(way: int) -> Float32:
    """(2, 2): where a place of the turned picture lies in the picture."""
    line = np.arange(-1, 2, dtype=np.float32)
    down, across = (turned(axis, way) for axis in np.meshgrid(line, line, indexing="ij"))
    return np.array([[down[2, 1], down[1, 2]], [across[2, 1], across[1, 2]]], np.float32)


def _inverse(window: Float32) -> Float32:
    back = np.linalg.inv(window[:, :2])
    return np.concatenate([back, -back @ window[:, 2:]], axis=1).astype(np.float32)


def _unit(rows: Float32) -> Float32:
    rows = rows - rows.mean(axis=1, keepdims=True)
    result: Float32 = rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-6)
    return result


def _sampler(side: int, window: Float32) -> Float32:
    """(side · side, GRID · GRID): samples a picture through `window`, linearly, 0 beside it."""
    return _cached_sampler(side, window.tobytes())


@functools.lru_cache(maxsize=512)
def _cached_sampler(side: int, window: bytes) -> Float32:
    line = (np.arange(GRID, dtype=np.float32) + 0.5) * 2 / GRID - 1
    down, across = np.meshgrid(line, line, indexing="ij")
    wanted = (
        np.stack([down.ravel(), across.ravel(), np.ones(GRID * GRID)], axis=1)
        @ np.frombuffer(window, np.float32).reshape(2, 3).T
    )
    wanted = (wanted + 1) * (side - 1) / 2
    near = [
        np.maximum(1 - np.abs(np.arange(side)[:, None] - wanted[:, axis]), 0) for axis in (0, 1)
    ]
    sampler: Float32 = (
        (near[0][:, None] * near[1][None]).reshape(side * side, -1).astype(np.float32)
    )
    return sampler
