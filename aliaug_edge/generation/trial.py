"""Inputs to try an engine on where no photos are at hand: drawn surfaces, with a defect's mask."""

from __future__ import annotations

import numpy as np

from aliaug_edge.bundle import Bundle
from aliaug_edge.data.procedural import render_pair
from aliaug_edge.generation.pipeline import bundle_feeds
from aliaug_edge.tensors import Arrays


def trial_feeds(bundle: Bundle, size_hw: tuple[int, int], batch: int) -> Arrays:
    """The generator's inputs for `batch` surfaces of `size_hw` pixels, the same at every call; the
    bundle's classes take turns."""
    pairs = [render_pair(seed, *size_hw) for seed in range(batch)]
    return bundle_feeds(
        bundle,
        np.stack([pair.good for pair in pairs]),
        np.stack([pair.mask for pair in pairs]),
        [bundle.class_names[seed % len(bundle.class_names)] for seed in range(batch)],
        seeds=range(batch),
        severities=[0.25 + 0.5 * (seed % 2) for seed in range(batch)],
    )
