"""Held-out defects as the generator meets them: a window of the part, and the truth beside it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from aliaug_edge import crops
from aliaug_edge.data.fewer import fewer_defects
from aliaug_edge.data.samples import Dataset
from aliaug_edge.errors import DataError
from aliaug_edge.training.defects import load_source
from aliaug_edge.training.photos import Defect, Patch

UInt8 = NDArray[np.uint8]


@dataclass(frozen=True, eq=False)
class Scene:
    """A window of `size`² pixels: `good` (S, S, 3) without the defect, `mask` (S, S) of 0 and 255,
    `truth` (S, S, 3) the photo itself. `severity` is the defect's rank within its class, as in
    training. `name` is unique among the scenes of a study."""

    name: str
    defect_class: str
    good: UInt8
    mask: UInt8
    truth: UInt8
    severity: float


def scenes_of(
    dataset: Dataset,
    classes: Sequence[str],
    split: Literal["train", "test"],
    *,
    size: int,
    per_class: int | None,
    seed: int = 0,
) -> tuple[Scene, ...]:
    """The largest defect of each photo of `split`, at most `per_class` photos of each class, every
    part before a second photo of one.

    The good side is the counterpart where the data has one, else the photo with its defect
    inpainted. Where that cannot be trusted for a photo (hardly any good surface is left around
    the defect), the photo is left out, unless its class has no other.

    Raises:
        DataError: a class has no defect in `split`, or a file is bad.
    """
    chosen = [s for s in dataset.defects(split) if s.defect_class in classes]
    if lacking := [c for c in classes if c not in {s.defect_class for s in chosen}]:
        raise DataError(
            f"{dataset.root}: no {split} photos of {', '.join(lacking)}; studies judge on held-out "
            "defects, so leave the class out with --classes, or split the data otherwise"
        )
    alone = replace(dataset, samples=tuple(replace(s, split="train") for s in chosen))
    if per_class is not None:
        alone = fewer_defects(alone, per_class * len(classes), seed)
    source = load_source(alone, classes, dict.fromkeys(classes, ""), seed, crop=size)
    return tuple(
        _scene(defect, f"{split}/{name}/{number}", size)
        for name in classes
        for number, defect in enumerate(_trusted(source.defects[name]))
    )


def _trusted(defects: Sequence[Defect]) -> list[Defect]:
    sound = [defect for defect in defects if _largest(defect)[0].paired]
    return sound or list(defects)


def _largest(defect: Defect) -> tuple[Patch, crops.Window]:
    return max(defect.spots, key=lambda spot: spot[1].height * spot[1].width)


def _scene(defect: Defect, name: str, size: int) -> Scene:
    patch, box = _largest(defect)
    window = crops.window_around(box, patch.mask.shape, (size, size))
    hw = (size, size)
    return Scene(
        name,
        defect.defect_class,
        crops.resize(crops.cut(patch.good, window), hw),
        crops.resize_mask(crops.cut(patch.mask, window), hw),
        crops.resize(crops.cut(patch.image, window), hw),
        defect.severity,
    )
