"""What the judge of real data learns from: real defects, and many more made of their pixels.

Pasted on other good photos a real defect stands under its own outline or under another's: there
its pixels show where both overlap, and the mask is the other outline whole. So neither a mask's
shape nor its size tells the class. As many masks lie on good surface. The judge of swaps learns of
nothing but lent outlines, every class under those of every class alike.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from aliaug_edge import crops
from aliaug_edge.data.samples import GOOD
from aliaug_edge.evaluation.judging.features import UInt8, largest_part, middle_of
from aliaug_edge.evaluation.photos import Photo, on_their_backdrop
from aliaug_edge.evaluation.pools.copy_paste import paste
from aliaug_edge.evaluation.pools.placements import Placement, plan_placements
from aliaug_edge.generation.request import stable_seed

LEAST_SEEN = 12  # pixels of a defect that another outline must leave visible


def alone(photos: Sequence[Photo]) -> list[Photo]:
    """Each photo with the largest component of its mask alone."""
    return [replace(photo, mask=largest_part(photo.mask)) for photo in photos]


def lesson_places(
    defects: Sequence[Photo], goods: Sequence[Photo], count: int, seed: int
) -> list[Placement]:
    """`count` places for defects on good photos, classes in turn.

    Raises:
        DataError: no defects, no good photos, or a defect finds no place.
    """
    defects, goods = on_their_backdrop(defects, goods)
    return plan_placements(alone(defects), goods, count, seed)


def pasted_lessons(places: Sequence[Placement], seed: int) -> list[Photo]:
    """A photo of each place, classes in turn: every third under its own outline, under another's,
    good."""
    classes = len({place.defect_class for place in places})
    rng = np.random.default_rng(stable_seed(seed, "outlines"))
    kinds = [(number // classes) % 3 for number in range(len(places))]
    return [
        _lesson(kind, place, places[int(rng.integers(len(places)))])
        for kind, place in zip(kinds, places, strict=True)
    ]


def lent_lessons(places: Sequence[Placement], seed: int) -> list[Photo]:
    """Each place's defect seen through an outline, of each class in turn, where that shows enough
    of it; and its good surface under the same outline, where that lies on the photo."""
    rng = np.random.default_rng(stable_seed(seed, "lent outlines"))
    outlines: dict[str, list[UInt8]] = {}
    for place in places:
        outlines.setdefault(place.defect_class, []).append(place.mask)
    names = sorted(outlines)
    lessons = []
    for number, place in enumerate(places):
        chosen = outlines[names[(number // len(names)) % len(names)]]
        outline = chosen[int(rng.integers(len(chosen)))]
        if (lent := under_outline(place, outline)) is not None:
            lessons.append(lent)
        if (mask := lent_outline(place.mask, outline)).any():
            lessons.append(replace(place.good, mask=mask, defect_class=GOOD))
    return lessons


def under_outline(place: Placement, outline: UInt8) -> Photo | None:
    """The defect of `place` on its good photo, seen through `outline` (h, w) in the defect's
    middle; None where too little of the defect would be seen."""
    lent = lent_outline(place.mask, outline)
    seen = np.minimum(lent, place.mask)
    if not enough_seen(seen, place.mask):
        return None
    return replace(paste(replace(place, mask=seen)), mask=lent)


def lent_outline(mask: UInt8, outline: UInt8) -> UInt8:
    """The shape of `outline` (h, w) in the middle of `mask` (H, W): (H, W). What falls beside the
    photo is lost, which at a border may be all."""
    box = crops.mask_box(outline)
    shape = outline[box.top : box.top + box.height, box.left : box.left + box.width]
    row, column = middle_of(mask)
    lent = np.zeros_like(mask)
    window = crops.Window(row - box.height // 2, column - box.width // 2, box.height, box.width)
    crops.put(lent, window, shape)
    return lent


def enough_seen(seen: UInt8, mask: UInt8) -> bool:
    """Whether `seen` (H, W), a part of a defect's `mask`, lets the defect be told."""
    return int((seen > 0).sum()) >= min(LEAST_SEEN, int((mask > 0).sum()))


def _lesson(kind: int, place: Placement, other: Placement) -> Photo:
    if kind == 2:
        return replace(place.good, mask=place.mask, defect_class=GOOD)
    lent = under_outline(place, other.mask) if kind == 1 else None
    return lent if lent is not None else paste(place)
