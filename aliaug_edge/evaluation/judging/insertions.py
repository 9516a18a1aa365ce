"""A bundle's insertions under held-out masks on held-out good photos, first try, none rejected."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from aliaug_edge import crops
from aliaug_edge.evaluation.judging.features import UInt8, largest_part
from aliaug_edge.evaluation.photos import Photo, on_their_backdrop
from aliaug_edge.evaluation.pools.placements import Placement, plan_placements
from aliaug_edge.generation.blend import blend
from aliaug_edge.generation.pipeline import Pipeline
from aliaug_edge.generation.placement import Placed
from aliaug_edge.generation.request import Request, stable_seed
from aliaug_edge.generation.sample import Prepared, framed


@dataclass(frozen=True, eq=False)
class Insertion:
    """What the bundle made of `placement` when `asked` for a class.

    `prepared` holds what the model saw, `raw` (h, w, 3) float32 what it answered, and `image`
    (H, W, 3) uint8 is the photo with the answer blended in as `ali-aug generate` does.
    """

    placement: Placement
    asked: str
    prepared: Prepared
    raw: NDArray[np.float32]
    image: UInt8


def held_out_placements(
    defects: Sequence[Photo], goods: Sequence[Photo], per_class: int, seed: int
) -> list[Placement]:
    """`per_class` placements of each class, each under the largest component of a photo's mask.

    Raises:
        DataError: no defects, no good photos, or a defect finds no place.
    """
    defects, goods = on_their_backdrop(defects, goods)
    alone = [replace(photo, mask=largest_part(photo.mask)) for photo in defects]
    classes = {photo.defect_class for photo in alone}
    return plan_placements(alone, goods, per_class * len(classes), seed)


def inserted(
    pipeline: Pipeline, placement: Placement, asked: str, seed: int, number: int = 0
) -> Insertion:
    """The `number`-th insertion of class `asked` at `placement`, of the run's `seed`.

    Raises:
        AliAugError: the bundle has no such class, or its answer is not finite.
    """
    request = Request(
        index=0,
        source_image=placement.good.name,
        defect_class=asked,
        seed=stable_seed(seed, "judged", placement.name, asked, number),
        severity=placement.severity,
        mask_source=f"bank:{placement.source.name}",
    )
    placed = Placed(placement.mask, request.mask_source)
    prepared = framed(pipeline.bundle, request, 0, placement.good.image, placed)
    raw = pipeline.generate(
        prepared.shown[None],
        prepared.shown_mask[None],
        [asked],
        [request.seed],
        [request.severity],
    )[0]
    image = prepared.image.copy()
    patch = blend(
        crops.cut(image, prepared.window),
        crops.cut(prepared.mask, prepared.window),
        prepared.shown,
        raw,
        mode="feather",
        grey=prepared.grey,
    )
    crops.put(image, prepared.window, patch)
    return Insertion(placement, asked, prepared, raw, image)
