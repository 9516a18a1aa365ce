"""One painter a class: `(rng, layers, region, severity) -> Layers`, for a mask of any shape."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from aliaug_edge.data.procedural.defects.linear import crack, fray, scratch
from aliaug_edge.data.procedural.defects.relief import blowhole, chip, dent, inclusion
from aliaug_edge.data.procedural.defects.tonal import discolouration, stain
from aliaug_edge.data.procedural.layers import Layers, Region

Painter = Callable[[np.random.Generator, Layers, Region, float], Layers]

PAINTERS: dict[str, Painter] = {
    "scratch": scratch,
    "crack": crack,
    "blowhole": blowhole,
    "stain": stain,
    "chip": chip,
    "dent": dent,
    "fray": fray,
    "inclusion": inclusion,
    "discolouration": discolouration,
}
