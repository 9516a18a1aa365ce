"""Inputs to try an engine on: photos of good parts, or where there are none at hand drawn surfaces,
with a defect's mask."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from aliaug_edge import crops
from aliaug_edge.bundle import Bundle
from aliaug_edge.data.procedural import render_pair
from aliaug_edge.generation.feeds import bundle_feeds
from aliaug_edge.generation.placement import PlacementError, from_bank, from_shape
from aliaug_edge.generation.sources import Source, Sources
from aliaug_edge.mask_bank import MaskShape
from aliaug_edge.tensors import Arrays

PLACINGS = 8  # of a mask, with other seeds

UInt8 = NDArray[np.uint8]


def trial_feeds(bundle: Bundle, size_hw: tuple[int, int], batch: int) -> Arrays:
    """The generator's inputs for `batch` surfaces of `size_hw` pixels, the same at every call; the
    bundle's classes take turns."""
    pairs = [render_pair(seed, *size_hw) for seed in range(batch)]
    return _feeds(bundle, [(pair.good, pair.mask) for pair in pairs])


def photo_feeds(bundle: Bundle, images_dir: Path) -> Callable[[tuple[int, int], int], Arrays]:
    """As `trial_feeds`, from the photos in `images_dir`, by their names: a mask of the bundle's
    bank on the part, or a drawn one where the class has none, and the crop around it.

    Raises:
        DataError: no photos there; from the call, one that cannot be read or has no place for a
            mask.
    """
    sources, bank = Sources(images_dir, None, (1, 1)), bundle.mask_bank()

    def feeds(size_hw: tuple[int, int], batch: int) -> Arrays:
        pairs = []
        for item in range(batch):
            name = sources.names[item % len(sources.names)]
            defect_class = _class(bundle, item)
            shapes = bank.get(defect_class, [])
            source = sources.load(name)
            mask = _placed(name, source, defect_class, shapes, size_hw, item)
            window = crops.window_around(crops.mask_box(mask), mask.shape, size_hw)
            shown = crops.resize(crops.cut(source.image, window), size_hw)
            pairs.append((shown, crops.resize_mask(crops.cut(mask, window), size_hw)))
        return _feeds(bundle, pairs)

    return feeds


def _placed(
    name: str,
    source: Source,
    defect_class: str,
    shapes: Sequence[MaskShape],
    size_hw: tuple[int, int],
    item: int,
) -> UInt8:
    problem = ""
    for attempt in range(PLACINGS):
        rng = np.random.default_rng([item, attempt])
        try:
            if shapes:
                return from_bank(shapes, defect_class, source.part, None, rng).mask
            return from_shape(defect_class, source.part, None, rng, size_hw).mask
        except PlacementError as error:
            problem = str(error)
    raise PlacementError(f"{name}: {problem}; take other photos of good parts")


def _class(bundle: Bundle, item: int) -> str:
    return bundle.class_names[item % len(bundle.class_names)]


def _feeds(bundle: Bundle, pairs: Sequence[tuple[UInt8, UInt8]]) -> Arrays:
    """Of crops and their masks."""
    batch = len(pairs)
    return bundle_feeds(
        bundle,
        np.stack([image for image, _ in pairs]),
        np.stack([mask for _, mask in pairs]),
        [_class(bundle, item) for item in range(batch)],
        seeds=range(batch),
        severities=[0.25 + 0.5 * (seed % 2) for seed in range(batch)],
    )
