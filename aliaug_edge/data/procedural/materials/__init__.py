"""One function a material: `(rng, height, width, scale) -> Layers`, everything drawn from rng."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from aliaug_edge.data.procedural.layers import Layers
from aliaug_edge.data.procedural.materials.fibres import carbon, fabric, leather, wood
from aliaug_edge.data.procedural.materials.metals import (
    brushed_metal,
    casting,
    ground_metal,
    turned_metal,
)
from aliaug_edge.data.procedural.materials.minerals import ceramic, concrete
from aliaug_edge.data.procedural.materials.polymers import painted, plastic, rubber
from aliaug_edge.data.procedural.materials.printed import printed

Maker = Callable[[np.random.Generator, int, int, float], Layers]

MAKERS: dict[str, Maker] = {
    "brushed_metal": brushed_metal,
    "ground_metal": ground_metal,
    "turned_metal": turned_metal,
    "casting": casting,
    "ceramic": ceramic,
    "concrete": concrete,
    "plastic": plastic,
    "painted": painted,
    "rubber": rubber,
    "fabric": fabric,
    "carbon": carbon,
    "leather": leather,
    "wood": wood,
    "printed": printed,
}
