"""From a seed to photos: a good surface, and the same surface with a defect in it."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np

from aliaug_edge.data.procedural.defects import PAINTERS
from aliaug_edge.data.procedural.features import add_features
from aliaug_edge.data.procedural.filters import distance, without_specks
from aliaug_edge.data.procedural.layers import Layers, region_of
from aliaug_edge.data.procedural.lighting import (
    Camera,
    Light,
    develop,
    draw_camera,
    draw_light,
    expose,
    shade,
)
from aliaug_edge.data.procedural.materials import MAKERS
from aliaug_edge.data.procedural.noise import Field, Image8, Mask, log_uniform, uniform
from aliaug_edge.data.procedural.shapes import defect_shape
from aliaug_edge.errors import AliAugError

MATERIALS: tuple[str, ...] = tuple(MAKERS)
DEFECT_CLASSES: tuple[str, ...] = tuple(PAINTERS)

# Share of the frame that a mask of the class takes.
AREAS = {
    "scratch": (0.003, 0.024),
    "crack": (0.0032, 0.03),
    "blowhole": (0.002, 0.03),
    "discolouration": (0.02, 0.14),
    "inclusion": (0.0025, 0.045),
}
# Mean change inside the mask, in grey levels at severity 1.
CONTRAST = {"dent": 26.0, "discolouration": 17.0, "stain": 34.0, "crack": 44.0, "scratch": 40.0}
MARGIN = 8  # pixels around the defect that shading and blur may look at


@dataclass(frozen=True)
class Pair:
    """A part without and with a defect: equal pixel for pixel outside the mask."""

    good: Image8  # (H, W, 3) RGB
    defect: Image8  # (H, W, 3) RGB
    mask: Image8  # (H, W), 255 where the surface changed
    material: str
    defect_class: str
    severity: float  # 0 faint .. 1 blatant


@dataclass(frozen=True)
class Shot:
    layers: Layers
    light: Light
    camera: Camera
    values: Field


def _stream(seed: int, purpose: int) -> np.random.Generator:
    return np.random.default_rng([seed & 0xFFFFFFFFFFFFFFFF, purpose])


def _pick(rng: np.random.Generator, what: str, known: tuple[str, ...], asked: str | None) -> str:
    drawn = known[int(rng.integers(len(known)))]
    if asked is None:
        return drawn
    if asked not in known:
        raise AliAugError(
            f"procedural {what}: expected one of {', '.join(known)}, got {asked!r}; "
            f"choose a listed {what}, or none for a random one"
        )
    return asked


def _shoot(seed: int, height: int, width: int, material: str) -> Shot:
    if height < 16 or width < 16:
        raise AliAugError(
            f"procedural surface: expected at least 16 x 16 pixels, got {height} x {width}; "
            "ask for a larger frame"
        )
    rng = _stream(seed, 1)
    scale = log_uniform(rng, 0.75, 1.6) * (min(height, width) / 128) ** 0.4
    layers = add_features(rng, MAKERS[material](rng, height, width, scale))
    light = draw_light(rng, height, width)
    linear = shade(layers, light)
    camera = draw_camera(rng, linear, layers.coloured)
    return Shot(layers, light, camera, expose(linear, camera))


def render_surface(seed: int, height: int, width: int, material: str | None = None) -> Image8:
    """A photo of a good part, (H, W, 3) uint8. The same seed gives the same bytes."""
    chosen = _pick(_stream(seed, 0), "material", MATERIALS, material)
    shot = _shoot(seed, height, width, chosen)
    return develop(shot.values, shot.camera)


def _mask(
    rng: np.random.Generator, layers: Layers, defect_class: str, asked: str | None = None
) -> Mask:
    """A mask on the part, with the outline asked for.

    Where none is, some take another class's outline: appearance must not hang on it.
    """
    height, width = layers.part.shape
    outline = defect_class
    if rng.random() < 0.15:
        outline = DEFECT_CLASSES[int(rng.integers(len(DEFECT_CLASSES)))]
    outline = asked or outline
    low, high = AREAS.get(outline, (0.004, 0.08))
    solid = layers.part > 0.5
    border = np.argwhere((layers.part > 0.3) & (layers.part < 0.9))
    best = np.zeros((height, width), np.bool_)
    for _ in range(6):
        centre = None
        if outline == "chip" and len(border) and rng.random() < 0.8:
            y, x = border[int(rng.integers(len(border)))]
            centre = (float(y), float(x))
        shape = defect_shape(rng, height, width, outline, log_uniform(rng, low, high), centre)
        on_part = shape & solid
        if on_part.sum() >= (0.3 if centre else 0.9) * shape.sum():
            return on_part
        if on_part.sum() > best.sum():
            best = on_part
    if best.any():
        return best
    return defect_shape(rng, height, width, outline, low)


def _window(mask: Mask) -> tuple[slice, slice]:
    rows, cols = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    return (
        slice(max(int(rows[0]) - MARGIN, 0), int(rows[-1]) + MARGIN + 1),
        slice(max(int(cols[0]) - MARGIN, 0), int(cols[-1]) + MARGIN + 1),
    )


def _crop(shot: Shot, at: tuple[slice, slice]) -> Shot:
    layers, light = shot.layers, shot.light
    return Shot(
        replace(
            layers,
            albedo=layers.albedo[at],
            height=layers.height[at],
            gloss=layers.gloss[at],
            part=layers.part[at],
        ),
        replace(
            light,
            side_x=light.side_x[at],
            side_y=light.side_y[at],
            falloff=light.falloff[at],
            backdrop=light.backdrop[at],
            room=light.room[at],
        ),
        replace(shot.camera, noise=shot.camera.noise[at]),
        shot.values[at],
    )


def _balance(good: Field, bad: Field, mask: Mask, severity: float, full: float) -> Field:
    """Scale the change so that severity means the same visibility on every material.

    Scaled as a ratio, as light would be: a dark surface can lose little, so less is asked of it,
    and a busy texture hides much, so more is.
    """
    floor = np.float32(0.03)
    before = good[mask]
    texture = 255 * float(before.std(axis=0).mean())
    level = (0.35 + float(before.mean())) / 0.8
    wanted = (5.0 + full * severity) * level + (0.28 + 0.1 * severity) * min(texture, 45.0)
    ratio = np.log((bad + floor) / (good + floor))
    gain, values = 1.0, bad
    for _ in range(2):
        # Root mean square: a few strong lines in a wide mask are visible enough.
        seen = 255 * math.sqrt(float(((values[mask] - before) ** 2).mean()))
        gain = min(max(gain * (wanted / max(seen, 0.2)) ** 0.85, 0.3), 2.5)
        values = (good + floor) * np.exp(np.clip(ratio * np.float32(gain), -2.0, 1.4)) - floor
    result: Field = np.clip(values, 0, 1).astype(np.float32)
    return result


def _trim(mask: Mask, good: Image8, bad: Image8) -> Mask:
    """Drop mask pixels at the border where nothing visible happened."""
    changed = np.abs(good.astype(np.int16) - bad.astype(np.int16)).max(axis=2) >= 2
    changed &= mask
    if not changed.any():
        return mask
    near = distance(changed, 2) <= 1.5
    deep = distance(~mask, 4) > 3
    kept = without_specks(mask & (near | deep))
    return kept if kept.any() else mask


def render_pair(
    seed: int,
    height: int,
    width: int,
    material: str | None = None,
    defect_class: str | None = None,
    severity: float | None = None,
    outline: str | None = None,
) -> Pair:
    """A part photographed without and with a defect. None is drawn from the seed, evenly.

    `outline` is the class whose shape the mask takes: the defect's own for None, mostly.
    """
    choice = _stream(seed, 0)
    chosen = _pick(choice, "material", MATERIALS, material)
    kind = _pick(choice, "defect class", DEFECT_CLASSES, defect_class)
    drawn = uniform(choice, 0.15, 1.0)
    strength = drawn if severity is None else min(max(float(severity), 0.0), 1.0)
    shot = _shoot(seed, height, width, chosen)
    good = develop(shot.values, shot.camera)
    rng = _stream(seed, 2)
    if outline is not None:
        _pick(choice, "outline", DEFECT_CLASSES, outline)
    mask = _mask(rng, shot.layers, kind, outline)
    at = _window(mask)
    near, inner = _crop(shot, at), mask[at]
    painted = PAINTERS[kind](rng, near.layers, region_of(inner), strength)
    values = expose(shade(painted, near.light), near.camera)
    values = _balance(near.values, values, inner, strength, CONTRAST.get(kind, 38.0))
    bad = develop(values, near.camera)
    inner = _trim(inner, good[at], bad)
    defect, final = good.copy(), np.zeros((height, width), np.uint8)
    defect[at] = np.where(inner[..., None], bad, good[at])
    final[at] = np.where(inner, 255, 0)
    return Pair(good, defect, final, chosen, kind, strength)
