"""What a part's surface is made of before light falls on it, and where a defect lies on it."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from aliaug_edge.data.procedural.filters import blur, distance
from aliaug_edge.data.procedural.noise import Field, Mask


@dataclass(frozen=True)
class Layers:
    """A surface: reflectance, relief in pixels, and how it mirrors the light."""

    albedo: Field  # (H, W, 3), 0..1
    height: Field  # (H, W), pixels; up is towards the camera
    gloss: Field  # (H, W), weight of the mirror-like part
    part: Field  # (H, W), 1 on the part, 0 on what lies behind it
    shine: float  # the larger, the tighter the highlight
    grain: float  # direction of the texture, radians
    rough: float  # spread of the relief's slope; defects scale with it
    coloured: bool  # False: monochrome material, keep tints modest


@dataclass(frozen=True)
class Region:
    """Where a defect lies: coverage plus the geometry that painters steer by."""

    mask: Mask
    alpha: Field  # 0..1 coverage, soft at the border
    depth: Field  # pixels from the border inwards, 0 outside
    radius: float  # largest depth
    angle: float  # principal direction, radians

    @property
    def thin(self) -> bool:
        """Line-like: narrow, or many times longer than it is wide."""
        return self.radius < 3.6 or float(self.mask.sum()) > 7 * math.pi * self.radius**2


def principal_angle(mask: Mask) -> float:
    rows, cols = np.nonzero(mask)
    if rows.size < 2:
        return 0.0
    y, x = rows - rows.mean(), cols - cols.mean()
    return 0.5 * math.atan2(2 * float((x * y).mean()), float((x * x).mean() - (y * y).mean()))


def region_of(mask: Mask) -> Region:
    size = int(mask.sum())
    reach = max(3, min(48, math.ceil(math.sqrt(size / math.pi)) + 2))
    depth = np.where(mask, distance(~mask, reach), np.float32(0))
    alpha = np.where(mask, np.clip(blur(mask.astype(np.float32), 0.6) * 1.25, 0, 1), 0)
    return Region(mask, alpha.astype(np.float32), depth, float(depth.max()), principal_angle(mask))


def washed(layers: Layers, region: Region, tone: float) -> tuple[float, float, float]:
    """A tint for freshly opened material: a paler relative of the skin's, of brightness `tone`."""
    skin = layers.albedo[region.mask].mean(axis=0)
    tint = 0.45 + 0.55 * skin / max(float(skin.mean()), 1e-3)
    return float(tone * tint[0]), float(tone * tint[1]), float(tone * tint[2])


def lift(field: Field, tint: tuple[float, float, float]) -> Field:
    """A grey field as an RGB one of this tint."""
    return field[..., None] * np.array(tint, np.float32)
