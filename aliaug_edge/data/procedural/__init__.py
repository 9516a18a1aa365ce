"""Procedural surfaces with procedural defects: photos of parts that never existed.

An offline stand-in for real photos: material for pretraining a small generator, demo data, and good
images for a user who has none. A surface is reflectance, relief and gloss under a drawn lamp and
camera; a defect changes those layers inside a mask and is lit by the same lamp, so that the pair
agrees to the byte everywhere else. Everything follows from one seed.
"""

from __future__ import annotations

from aliaug_edge.data.procedural.scene import (
    DEFECT_CLASSES,
    MATERIALS,
    Pair,
    render_pair,
    render_surface,
)
from aliaug_edge.data.procedural.shapes import defect_shape

__all__ = [
    "MATERIALS",
    "DEFECT_CLASSES",
    "Pair",
    "render_surface",
    "render_pair",
    "defect_shape",
]
