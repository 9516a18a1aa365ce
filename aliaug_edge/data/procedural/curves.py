"""Centre lines for thin defects, and the distance field that gives them body."""

from __future__ import annotations

import math

import numpy as np
from PIL import Image, ImageDraw

from aliaug_edge.data.procedural.filters import distance
from aliaug_edge.data.procedural.noise import Field, log_uniform, uniform, value_noise

Points = list[tuple[float, float]]  # (x, y), as Pillow draws


def _fit(
    rng: np.random.Generator,
    height: int,
    width: int,
    curves: list[Points],
    centre: tuple[float, float] | None,
) -> tuple[Points, ...]:
    """Move the curves to a random place inside the frame; shrink them when they are too large."""
    every = np.array([point for points in curves for point in points])
    low, high = every.min(axis=0), every.max(axis=0)
    room = np.array((width - 6.0, height - 6.0))
    shrink = float(min(1.0, *(room / np.maximum(high - low, 1e-3))))
    free = np.maximum(room - (high - low) * shrink, 0)
    offset = 3 + rng.random(2) * free
    if centre is not None:
        wanted = np.array((centre[1], centre[0])) - (high - low) * shrink / 2
        offset = np.clip(wanted, 3, 3 + free)
    return tuple(
        [(float(x), float(y)) for x, y in (np.array(points) - low) * shrink + offset]
        for points in curves
    )


def smooth_arc(
    rng: np.random.Generator,
    height: int,
    width: int,
    length: float,
    centre: tuple[float, float] | None,
) -> Points:
    """A nearly straight stroke with a slight bow and a slight wobble."""
    length = min(max(length, 5.0), 0.9 * math.hypot(height, width))
    angle, bow = uniform(rng, 0, 2 * math.pi), float(rng.normal(0, 0.12))
    steps = np.linspace(-0.5, 0.5, 14)
    wobble = bow * (steps**2) * 4 + uniform(rng, 0, 0.02) * np.sin(steps * uniform(rng, 4, 14))
    x = length * (steps * math.cos(angle) - wobble * math.sin(angle))
    y = length * (steps * math.sin(angle) + wobble * math.cos(angle))
    return _fit(rng, height, width, [list(zip(x.tolist(), y.tolist(), strict=True))], centre)[0]


def _walk(
    rng: np.random.Generator, start: tuple[float, float], angle: float, length: float
) -> Points:
    """A jagged path: short straight pieces, sharp turns, one overall direction."""
    points, heading, gone = [start], angle, 0.0
    while gone < length:
        step = min(uniform(rng, 3.0, 9.0), length - gone + 0.5)
        heading = angle + 0.5 * (heading - angle) + float(rng.normal(0, 0.42))
        x, y = points[-1]
        points.append((x + step * math.cos(heading), y + step * math.sin(heading)))
        gone += step
    return points


def jagged(
    rng: np.random.Generator,
    height: int,
    width: int,
    length: float,
    centre: tuple[float, float] | None,
) -> tuple[Points, ...]:
    """A crack: a main path and, where it is long enough, up to three branches."""
    length = min(max(length, 6.0), 2.0 * math.hypot(height, width))
    branches = int(rng.integers(0, 4)) if length > 30 else 0
    main = length / (1 + 0.3 * branches)
    angle = uniform(rng, 0, 2 * math.pi)
    curves = [_walk(rng, (0.0, 0.0), angle, main)]
    for _ in range(branches):
        root = curves[0][int(rng.integers(1, len(curves[0])))]
        fork = angle + float(rng.choice((-1, 1))) * uniform(rng, 0.4, 1.1)
        curves.append(_walk(rng, root, fork, main * uniform(rng, 0.15, 0.45)))
    return _fit(rng, height, width, curves, centre)


def curve_field(
    rng: np.random.Generator, height: int, width: int, curves: tuple[Points, ...], area: int
) -> Field:
    """Distance to two-pixel centre lines, made uneven so that the width varies along the way."""
    sheet = Image.new("1", (width, height), 0)
    draw = ImageDraw.Draw(sheet)
    for points in curves:
        draw.line(points, fill=1, width=1)
    # Thickened by one pixel down and right: a 2x2 square fits along the whole way.
    core = np.array(sheet, dtype=np.bool_)
    core[1:] |= core[:-1].copy()
    core[:, 1:] |= core[:, :-1].copy()
    reach = min(max(4, math.ceil(2.0 * area / max(int(core.sum()), 1)) + 2), max(height, width))
    away = distance(core, reach)
    uneven = np.clip(value_noise(rng, height, width, log_uniform(rng, 8, 24)), -2, 2)
    # The core itself stays lowest, so that the line is never cut.
    field: Field = np.where(core, 0.001 * uneven, away + 0.3 * uneven + 0.5).astype(np.float32)
    return field
