"""What the judge of real data learns from: real defects, and many more made of their pixels.

Pasted on other good photos a real defect stands under its own outline or under another's: there
its pixels show where both overlap, and the mask is the other outline whole. So neither a mask's
shape nor its size tells the class. As many masks lie on good surface.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from aliaug_edge import crops
from aliaug_edge.data.samples import GOOD
from aliaug_edge.evaluation.judging.features import UInt8, largest_part, middle_of
from aliaug_edge.evaluation.photos import Photo
from aliaug_edge.evaluation.pools.copy_paste import paste
from aliaug_edge.evaluation.pools.placements import Placement, plan_placements
from aliaug_edge.generation.request import stable_seed

LEAST_SEEN = 12  # pixels of a defect that another outline must leave visible


def alone(photos: Sequence[Photo]) -> list[Photo]:
    """Each photo with the largest component of its mask alone."""
    return [replace(photo, mask=largest_part(photo.mask)) for photo in photos]


def pasted_lessons(
    defects: Sequence[Photo], goods: Sequence[Photo], count: int, seed: int
) -> list[Photo]:
    """`count` photos, classes in turn: every third under its own outline, under another's, good.

    Raises:
        DataError: no defects, no good photos, or a defect finds no place.
    """
    classes = len({photo.defect_class for photo in defects})
    places = plan_placements(alone(defects), goods, count, seed)
    rng = np.random.default_rng(stable_seed(seed, "outlines"))
    kinds = [(number // classes) % 3 for number in range(count)]
    return [
        _lesson(kind, place, places[int(rng.integers(len(places)))])
        for kind, place in zip(kinds, places, strict=True)
    ]


def under_outline(place: Placement, outline: UInt8) -> Photo | None:
    """The defect of `place` on its good photo, seen through `outline` (h, w) in the defect's
    middle; None where too little of the defect would be seen."""
    box = crops.mask_box(outline)
    shape = outline[box.top : box.top + box.height, box.left : box.left + box.width]
    row, column = middle_of(place.mask)
    lent = np.zeros_like(place.mask)
    window = crops.Window(row - box.height // 2, column - box.width // 2, box.height, box.width)
    crops.put(lent, window, shape)
    seen = np.minimum(lent, place.mask)
    if int((seen > 0).sum()) < min(LEAST_SEEN, int((place.mask > 0).sum())):
        return None
    return replace(paste(replace(place, mask=seen)), mask=lent)


def _lesson(kind: int, place: Placement, other: Placement) -> Photo:
    if kind == 2:
        return replace(place.good, mask=place.mask, defect_class=GOOD)
    lent = under_outline(place, other.mask) if kind == 1 else None
    return lent if lent is not None else paste(place)
