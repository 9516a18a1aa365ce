"""Plausible outlines of defects.

Every outline is a field that grows outwards; the mask is its lowest k pixels inside the frame, so
the area is met whatever the shape.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from aliaug_edge.data.procedural.curves import curve_field, jagged, smooth_arc
from aliaug_edge.data.procedural.filters import open2, without_specks
from aliaug_edge.data.procedural.noise import (
    Field,
    Mask,
    directional,
    fractal,
    grid,
    log_uniform,
    uniform,
    value_noise,
)

Centre = tuple[float, float]
Outline = Callable[[np.random.Generator, int, int, int, "Centre | None"], Field]


def _place(
    rng: np.random.Generator, height: int, width: int, reach: float, centre: Centre | None
) -> Centre:
    """A centre that keeps a shape of this reach inside the frame, where it fits at all."""
    if centre is not None:
        return centre
    y = uniform(rng, *sorted((min(reach, height / 2), max(height - reach, height / 2))))
    x = uniform(rng, *sorted((min(reach, width / 2), max(width - reach, width / 2))))
    return y, x


def _axes(height: int, width: int, centre: Centre, angle: float) -> tuple[Field, Field]:
    y, x = grid(height, width, *centre)
    cos, sin = np.float32(math.cos(angle)), np.float32(math.sin(angle))
    along: Field = x * cos + y * sin
    across: Field = y * cos - x * sin
    return along, across


def _ellipse(
    rng: np.random.Generator, height: int, width: int, area: int, aspect: float, at: Centre | None
) -> tuple[Field, float, float]:
    """Elliptic radius (1 on the border of the wanted area), the mean radius, and the angle."""
    radius = math.sqrt(area / math.pi)
    # A long shape must still fit: cap its half length at 45 % of the frame.
    aspect = max(1.0, min(aspect, (0.45 * min(height, width) / radius) ** 2))
    angle = uniform(rng, 0, math.pi)
    long, short = radius * math.sqrt(aspect), radius / math.sqrt(aspect)
    centre = _place(rng, height, width, long * 1.1 + 2, at)
    along, across = _axes(height, width, centre, angle)
    field: Field = np.sqrt((along / np.float32(long)) ** 2 + (across / np.float32(short)) ** 2)
    return field, radius, angle


def blob(rng: np.random.Generator, height: int, width: int, area: int, at: Centre | None) -> Field:
    field, radius, _ = _ellipse(rng, height, width, area, log_uniform(rng, 1, 2.6), at)
    return field + uniform(rng, 0.1, 0.24) * fractal(rng, height, width, max(radius, 3), 3, 0.4)


def rounded(
    rng: np.random.Generator, height: int, width: int, area: int, at: Centre | None
) -> Field:
    field, radius, _ = _ellipse(rng, height, width, area, log_uniform(rng, 1, 2.0), at)
    return field + 0.07 * value_noise(rng, height, width, max(radius, 3))


def pits(rng: np.random.Generator, height: int, width: int, area: int, at: Centre | None) -> Field:
    """One pore, or a nest of pores where one would be too large to believe."""
    count = 1 + int(rng.integers(0, 3)) if area < 90 else int(rng.integers(1, 5))
    count = max(count if rng.random() < 0.35 else 1, math.ceil(area / 380))
    whole = math.sqrt(area / math.pi)
    centre = _place(rng, height, width, whole * (1.2 if count == 1 else 2.0) + 2, at)
    shares = rng.dirichlet(np.full(count, 2.5))
    field = np.full((height, width), 1e3, np.float32)
    for i, share in enumerate(shares):
        spread = 0.0 if i == 0 else whole * 1.2
        spot = (
            float(np.clip(centre[0] + rng.normal(0, 1) * spread, 3, height - 4)),
            float(np.clip(centre[1] + rng.normal(0, 1) * spread, 3, width - 4)),
        )
        piece, _, _ = _ellipse(rng, height, width, max(6, int(area * share)), 1.5, spot)
        field = np.minimum(field, piece)
    return field + 0.05 * value_noise(rng, height, width, 4)


def polygon(
    rng: np.random.Generator, height: int, width: int, area: int, at: Centre | None
) -> Field:
    """A convex break-out with straight, sharp sides."""
    radius = math.sqrt(area / math.pi)
    centre = _place(rng, height, width, radius * 1.4 + 2, at)
    sides = int(rng.integers(4, 8))
    turns = (np.arange(sides) + rng.uniform(-0.35, 0.35, sides)) * (2 * math.pi / sides)
    turns = turns + uniform(rng, 0, math.pi)
    field = np.zeros((height, width), np.float32)
    for turn in turns:
        along, _ = _axes(height, width, centre, float(turn))
        field = np.maximum(field, along / np.float32(radius * uniform(rng, 0.65, 1.2)))
    rough: Field = field + 0.03 * value_noise(rng, height, width, 2.5)
    return rough


def streak(
    rng: np.random.Generator, height: int, width: int, area: int, at: Centre | None
) -> Field:
    """A ragged band whose ends run out in strands."""
    field, radius, angle = _ellipse(rng, height, width, area, log_uniform(rng, 1.6, 5), at)
    strands = directional(rng, height, width, angle, radius * 2.0, 0.7)
    uneven = value_noise(rng, height, width, max(radius / 2, 2))
    ragged: Field = field + 0.16 * strands + 0.1 * uneven
    return ragged


def scratch(
    rng: np.random.Generator, height: int, width: int, area: int, at: Centre | None
) -> Field:
    length = area / log_uniform(rng, 2.2, 3.4)
    points = smooth_arc(rng, height, width, length, at)
    return curve_field(rng, height, width, (points,), area)


def crack(rng: np.random.Generator, height: int, width: int, area: int, at: Centre | None) -> Field:
    length = area / log_uniform(rng, 2.4, 3.6)
    curves = jagged(rng, height, width, length, at)
    return curve_field(rng, height, width, curves, area)


OUTLINES: dict[str, Outline] = {
    "scratch": scratch,
    "crack": crack,
    "blowhole": pits,
    "stain": blob,
    "chip": polygon,
    "dent": rounded,
    "fray": streak,
    "inclusion": polygon,
    "discolouration": blob,
}


def defect_shape(
    rng: np.random.Generator,
    height: int,
    width: int,
    defect_class: str,
    area_fraction: float,
    centre: Centre | None = None,
) -> Mask:
    """A mask for this class: about `area_fraction` of the frame, one pixel or more from its edge.

    A class that is not known gets a blob or a streak. `centre` (row, column) pins the place.
    """
    room = (height - 2) * (width - 2)
    area = int(min(max(round(area_fraction * height * width), 6), max(0.9 * room, 1)))
    outline = OUTLINES.get(defect_class) or (blob, streak)[int(rng.integers(2))]
    field = outline(rng, height, width, area, centre)
    inner = field[1:-1, 1:-1]
    level = np.partition(inner.ravel(), area - 1)[area - 1]
    mask = np.zeros((height, width), np.bool_)
    mask[1:-1, 1:-1] = inner <= level
    # No single-pixel whiskers: nothing narrower than two pixels survives.
    opened = without_specks(open2(mask))
    return opened if int(opened.sum()) * 4 > area * 3 else mask
