"""The three graphs one after another, as the fused generator has them inside.

Wired by names alone: a graph takes from what came before whatever its inputs are called. Where one
asks for `mask_tap_*` or `mask_latent`, the encoder runs a second time, on the painted mask.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from aliaug_edge.engines.base import Engine
from aliaug_edge.errors import BundleError
from aliaug_edge.tensors import Arrays

MASK = "mask_"


def encode(engines: Mapping[str, Engine], feeds: Arrays) -> Arrays:
    """`feeds` and what the encoder makes of image and, where it is needed, painted mask."""
    encoder = engines["encoder"]
    known = {**feeds, **encoder.infer({"image": feeds["image"]})}
    if encoder_passes(engines) == 2:
        painted = feeds["mask"] * feeds["colour"][:, :, None, None]  # (B, 3, H, W) in [0, 1]
        encoded = encoder.infer({"image": np.ascontiguousarray(painted)})
        known.update({MASK + name: array for name, array in encoded.items()})
    return known


def run_graph(engines: Mapping[str, Engine], graph: str, known: Arrays) -> Arrays:
    """`known` and the outputs of `graph`.

    Raises:
        BundleError: the graph asks for a tensor that nothing before it makes.
    """
    engine = engines[graph]
    names = [spec.name for spec in engine.inputs]
    missing = [name for name in names if name not in known]
    if missing:
        raise BundleError(f"{graph} asks for {missing}, which no graph before it makes")
    return {**known, **engine.infer({name: known[name] for name in names})}


def encoder_passes(engines: Mapping[str, Engine]) -> int:
    """2 where the mask goes through the encoder too, else 1."""
    wanted = [spec.name for graph in ("unet", "decoder") for spec in engines[graph].inputs]
    return 2 if any(name.startswith((MASK + "tap_", MASK + "latent")) for name in wanted) else 1
