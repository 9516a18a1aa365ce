"""Printed goods: labels, front panels, scales, bar codes, glyph-like marks."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from PIL import Image, ImageDraw

from aliaug_edge.data.procedural.layers import Layers, lift
from aliaug_edge.data.procedural.materials.polymers import hue
from aliaug_edge.data.procedural.noise import (
    Field,
    fractal,
    log_uniform,
    uniform,
    value_noise,
    white,
)

OVER = 3  # ink is drawn this much larger, then reduced, for smooth edges


def glyph(rng: np.random.Generator, draw: ImageDraw.ImageDraw, x: int, y: int, size: int) -> None:
    """A letter-like figure: a few strokes between the nodes of a 3 x 4 grid."""
    nodes = [(x + i * size // 4, y + j * size // 3) for i in range(3) for j in range(4)]
    stroke = max(1, size // 7)
    picks = rng.integers(0, 12, 5)
    for start, end in pairwise(picks.tolist()):
        a, b = nodes[start], nodes[end]
        # Mostly upright and level strokes, as in type.
        corner = (a[0], b[1]) if rng.random() < 0.75 else a
        draw.line([a, corner, b], fill=255, width=stroke)


def text_rows(rng: np.random.Generator, draw: ImageDraw.ImageDraw, box: tuple[int, ...]) -> None:
    left, top, right, bottom = box
    size = int(uniform(rng, 7, 20)) * OVER
    for y in range(top, bottom - size, int(size * 1.6)):
        end = left + int((right - left) * uniform(rng, 0.4, 1.0))
        for x in range(left, end - size, int(size * 0.8)):
            if rng.random() > 0.15:
                glyph(rng, draw, x, y, size)


def bars(rng: np.random.Generator, draw: ImageDraw.ImageDraw, box: tuple[int, ...]) -> None:
    left, top, right, bottom = box
    x = left
    while x < right:
        thick = int(rng.integers(1, 4)) * OVER
        draw.rectangle((x, top, min(x + thick, right), bottom), fill=255)
        x += thick + int(rng.integers(1, 5)) * OVER


def ruler(rng: np.random.Generator, draw: ImageDraw.ImageDraw, box: tuple[int, ...]) -> None:
    left, top, right, bottom = box
    step, tall = int(uniform(rng, 4, 9)) * OVER, bottom - top
    thick = max(1, OVER // 2 + int(rng.integers(0, 2)))
    for i, x in enumerate(range(left, right, step)):
        reach = tall if i % 5 == 0 else tall // 2
        draw.line([(x, top), (x, top + reach)], fill=255, width=thick)


def frame(rng: np.random.Generator, draw: ImageDraw.ImageDraw, box: tuple[int, ...]) -> None:
    thick = int(rng.integers(1, 4)) * OVER
    if rng.random() < 0.5:
        draw.rectangle(box, outline=255, width=thick)
    else:
        draw.rounded_rectangle(box, radius=6 * OVER, outline=255, width=thick)


def disc(rng: np.random.Generator, draw: ImageDraw.ImageDraw, box: tuple[int, ...]) -> None:
    left, top, right, bottom = box
    size = min(right - left, bottom - top)
    inner = (left, top, left + size, top + size)
    if rng.random() < 0.5:
        draw.ellipse(inner, fill=255)
    else:
        draw.ellipse(inner, outline=255, width=int(rng.integers(1, 5)) * OVER)


MOTIFS = (text_rows, text_rows, bars, ruler, frame, disc)


def ink(rng: np.random.Generator, height: int, width: int) -> Field:
    """Coverage of print, 0..1: a few motifs in boxes, the whole sheet slightly turned."""
    tall, wide = height * OVER, width * OVER
    sheet = Image.new("L", (wide, tall), 0)
    draw = ImageDraw.Draw(sheet)
    for _ in range(int(rng.integers(2, 5))):
        left, top = int(uniform(rng, -0.1, 0.7) * wide), int(uniform(rng, -0.1, 0.7) * tall)
        right = left + int(uniform(rng, 0.25, 0.9) * wide)
        bottom = top + int(uniform(rng, 0.12, 0.6) * tall)
        MOTIFS[int(rng.integers(len(MOTIFS)))](rng, draw, (left, top, right, bottom))
    if rng.random() < 0.5:
        sheet = sheet.rotate(uniform(rng, -6, 6), Image.Resampling.NEAREST)
    if rng.random() < 0.25:
        sheet = sheet.rotate(90).resize((wide, tall))
    return np.array(sheet.reduce(OVER), dtype=np.float32) / np.float32(255)


def printed(rng: np.random.Generator, height: int, width: int, scale: float) -> Layers:
    cover = ink(rng, height, width)
    fibres = fractal(rng, height, width, 6 * scale, 3)
    speckle = 0.015 * fibres + 0.012 * white(rng, height, width)
    paper: Field = (uniform(rng, 0.65, 0.95) * (1 + speckle)).astype(np.float32)
    cloud = 1 + 0.08 * value_noise(rng, height, width, 2)
    dark: Field = (log_uniform(rng, 0.03, 0.2) * cloud).astype(np.float32)
    sheet, colour = hue(rng, uniform(rng, 0.0, 0.12)), hue(rng, uniform(rng, 0.0, 0.6))
    if rng.random() < 0.3:  # light print on a dark panel
        paper, dark = dark, paper
        sheet, colour = colour, sheet
    mix = (cover * np.float32(uniform(rng, 0.75, 1.0)))[..., None]
    albedo = lift(paper, sheet) * (1 - mix) + lift(dark, colour) * mix
    shape = (height, width)
    return Layers(
        np.clip(albedo, 0.01, 1).astype(np.float32),
        (0.1 * fibres + 0.15 * cover).astype(np.float32),
        np.full(shape, uniform(rng, 0.0, 0.15), np.float32),
        np.ones(shape, np.float32),
        log_uniform(rng, 10, 60),
        0.0,
        0.1,
        max(colour) - min(colour) > 0.15,
    )
