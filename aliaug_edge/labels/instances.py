"""A mask as its connected components, once for all label formats, in a form that JSON can hold."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from aliaug_edge.components import components
from aliaug_edge.labels.contours import Points, fill, trace


@dataclass(frozen=True, eq=False)
class Instance:
    """One connected component of a mask.

    `box_xywh` in pixels; `area` counts pixels; `outline` and `holes` are polygons (N, 2) of x, y on
    the corners of the image's pixels, which fill back to the very component.
    """

    box_xywh: tuple[int, int, int, int]
    area: int
    outline: Points
    holes: tuple[Points, ...]

    def pixels(self, hw: tuple[int, int]) -> NDArray[np.bool_]:
        """The component in an image of size `hw`, (H, W) bool."""
        return fill([self.outline, *self.holes], hw)

    def document(self) -> list[Any]:
        """[box, area, outline, holes], polygons as flat lists of whole numbers."""
        flat = [polygon.ravel().astype(int).tolist() for polygon in (self.outline, *self.holes)]
        return [list(self.box_xywh), self.area, flat[0], flat[1:]]


def instances_of(mask: NDArray[np.uint8]) -> list[Instance]:
    """The components of `mask` (H, W), by their first pixel (row, then column)."""
    found = []
    for component in components(mask):
        outlines, holes = trace(component.pixels)  # 8-connected: there is one outline
        corner = np.array([component.left, component.top])
        moved = tuple(hole + corner for hole in holes)
        found.append(Instance(component.box_xywh, component.area, outlines[0] + corner, moved))
    return found


def instance_from(document: list[Any]) -> Instance:
    """What `Instance.document` gave."""
    box, area, outline, holes = document
    return Instance(tuple(box), area, _points(outline), tuple(map(_points, holes)))


def _points(flat: list[int]) -> Points:
    return np.array(flat, dtype=np.float64).reshape(-1, 2)
