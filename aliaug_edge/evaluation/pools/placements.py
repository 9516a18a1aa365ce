"""Which defect of which real photo goes where on which good photo, decided once.

Copy-paste and our generator then work on the same good photos at the same places, under masks of
the same pose, so that a difference between them is one of content. Masks are posed, placed and, for
the generator, bent as `generation.placement` does it for the masks of a bundle. Pixels are not
bent with them, which makes pasted defects worse (`docs/evaluation.md`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from aliaug_edge.components import Component, components
from aliaug_edge.crops import Window, mask_box
from aliaug_edge.errors import DataError
from aliaug_edge.evaluation.photos import Photo
from aliaug_edge.evaluation.pools.surroundings import (
    Bools,
    Floats,
    UInt8,
    in_turn,
    require_goods,
    surface_level,
)
from aliaug_edge.evaluation.pools.warp import carried_borders, carried_defect, drawn_pose
from aliaug_edge.generation.bending import bent, drawn_bend, reach_px
from aliaug_edge.generation.placement import (
    INSIDE_PART,
    SHRINK,
    SHRINKINGS,
    PlacementError,
    corner_on_part,
)
from aliaug_edge.generation.request import stable_seed
from aliaug_edge.mask_bank import shape_at

LEAST_AREA = 0.01  # of the photo's largest component; what is smaller is a speck, no defect
LEAST_PIXELS = 4
GOODS_TRIED = 5  # good photos that one defect is offered to
Note = Callable[[str], None]


@dataclass(frozen=True, eq=False)
class Placement:
    """A real defect's place on a good photo of (H, W) pixels.

    `mask` (H, W) uint8 of 0 and 255; `patch` (H, W, 3) uint8 holds the source's pixels carried by
    the same transform, valid under the mask and some `warp.MARGIN_PX` around it, 0 elsewhere.
    `bent_mask` (H, W) is `mask` with another outline, for what can draw under any.
    `level` (3,) float32 is the source's own surface colour around the defect, in [0, 255].
    `severity` in (0, 1) is the rank of the defect's contrast within its class, as in training.
    """

    name: str
    good: Photo
    source: Photo
    defect_class: str
    mask: UInt8
    bent_mask: UInt8
    patch: UInt8
    level: Floats
    severity: float


@dataclass(frozen=True, eq=False)
class _Defect:
    """One component of a real photo's mask: `shape` (h, w) of 0 and 255 within `box`."""

    photo: Photo
    shape: UInt8
    box: Window
    borders: str
    level: Floats
    severity: float


@dataclass(frozen=True, eq=False)
class _Turn:
    """The defects of a class, `order` endlessly; `homeless` are those that found no place."""

    defects: Sequence[_Defect]
    order: Iterator[_Defect]
    homeless: list[_Defect] = field(default_factory=list)

    def __iter__(self) -> Iterator[_Defect]:
        """One after another, while there are any that may find a place."""
        while len(self.homeless) < len(self.defects):
            if (defect := next(self.order)) not in self.homeless:
                yield defect


def plan_placements(
    defects: Sequence[Photo],
    goods: Sequence[Photo],
    count: int,
    seed: int,
    note: Note | None = None,
) -> list[Placement]:
    """`count` placements; equal arguments give equal bytes, a larger count begins with the same.

    Classes take turns, and within a class every component of its photos' masks is used evenly;
    good photos come in random order, all of them before any comes again. What a photo's border had
    cut meets a border again, or lies anywhere and turned where the good parts reach no border. A
    defect that finds no place even so is passed over for good; `note` is called with a line that
    counts these.

    Raises:
        DataError: no defects, or no good photos.
        PlacementError: no defect of a class finds a place on the good photos it is offered to.
    """
    require_goods(goods, "placements")
    real = _by_class(defects)
    turns = {
        name: _Turn(items, in_turn(items, _rng(seed, "defects", name)))
        for name, items in sorted(real.items())
    }
    surfaces = in_turn(goods, _rng(seed, "goods"))
    names = list(turns)
    placements = []
    for index in range(count):
        rng = _rng(seed, "placement", index)
        turn = turns[names[index % len(names)]]
        placements.append(_next(f"placement/{index:06d}", turn, surfaces, rng))
    homeless = [defect for turn in turns.values() for defect in turn.homeless]
    if homeless and note is not None:
        note(
            f"{len(homeless)} of {sum(map(len, real.values()))} defects find no place on the good "
            f"photos and are left out of what is made, the first at {_where(homeless[0])}"
        )
    return placements


def _by_class(photos: Sequence[Photo]) -> dict[str, list[_Defect]]:
    """The defects of `photos`, with their severities."""
    real: dict[str, list[_Defect]] = {}
    for photo in photos:
        if photo.mask.any():
            real.setdefault(photo.defect_class, []).extend(_defects(photo))
    if not real:
        raise DataError(
            "placements: expected photos with a defect mask to take defects from, got none; add "
            "defective photos to the train pool"
        )
    return {name: _ranked(items) for name, items in real.items()}


def _defects(photo: Photo) -> list[_Defect]:
    parts = components(photo.mask)
    least = max(LEAST_PIXELS, LEAST_AREA * max(part.area for part in parts))
    kept = [part for part in parts if part.area >= least] or [max(parts, key=lambda p: p.area)]
    return [_defect(photo, component) for component in kept]


def _defect(photo: Photo, component: Component) -> _Defect:
    """The component with, for now, its contrast in grey levels as its severity."""
    box = Window(component.top, component.left, *component.pixels.shape)
    view = np.s_[box.top : box.top + box.height, box.left : box.left + box.width]
    alone = np.zeros_like(photo.mask)
    alone[view] = np.where(component.pixels, 255, 0)
    level = surface_level(photo.image, alone, photo.mask, photo.part)
    contrast = float(np.abs(photo.image[alone > 0].astype(np.float32) - level).mean())
    borders = shape_at(alone, box).borders
    return _Defect(photo, alone[view].copy(), box, borders, level, contrast)


def _ranked(items: list[_Defect]) -> list[_Defect]:
    order = np.argsort(np.argsort([d.severity for d in items], kind="stable"), kind="stable")
    return [
        replace(defect, severity=(float(rank) + 0.5) / len(items))
        for defect, rank in zip(items, order, strict=True)
    ]


def _next(name: str, turn: _Turn, surfaces: Iterator[Photo], rng: np.random.Generator) -> Placement:
    """The first of the next defects that finds a place, at borders if it belongs there."""
    for defect in turn:
        for borders in dict.fromkeys((defect.borders, "")):
            found = _somewhere(name, defect, borders, surfaces, rng)
            if found is not None:
                return found
        turn.homeless.append(defect)
    last = turn.homeless[-1]
    raise PlacementError(
        f"{last.photo.defect_class}: none of {len(turn.defects)} defects, the last at "
        f"{_where(last)}, finds a place on {GOODS_TRIED} good photos; are they of the same "
        "product, and as large?"
    )


def _where(defect: _Defect) -> str:
    return f"{defect.box.left}, {defect.box.top} of {defect.photo.name}"


def _somewhere(
    name: str,
    defect: _Defect,
    borders: str,
    surfaces: Iterator[Photo],
    rng: np.random.Generator,
) -> Placement | None:
    """`defect`, at `borders` if any, on the first of the next good photos that has room for it."""
    for _ in range(GOODS_TRIED):
        good = next(surfaces)
        placed = _on(good.image.shape, good.part, defect, borders, rng)
        if placed is not None:
            source, level = defect.photo, defect.level
            return Placement(
                name, good, source, source.defect_class, *placed, level, defect.severity
            )
    return None


def _on(
    shape_hwc: tuple[int, ...],
    part: Bools,
    defect: _Defect,
    borders: str,
    rng: np.random.Generator,
) -> tuple[UInt8, UInt8, UInt8] | None:
    """Mask (H, W), bent mask and patch (H, W, 3) of `defect` on `part` (H, W), shrunk when there is
    no room; None when even then there is none."""
    pose = drawn_pose(borders, rng)
    borders = carried_borders(borders, pose)
    for _ in range(SHRINKINGS):
        carried, pixels = carried_defect(defect.photo.image, defect.shape, defect.box, pose)
        pose = replace(pose, scale=pose.scale * SHRINK)
        if not carried.any():
            continue
        box = mask_box(carried)
        tight = carried[box.top : box.top + box.height, box.left : box.left + box.width]
        corner = corner_on_part(tight, part, borders, rng)
        if corner is not None:
            offset = (corner[0] - box.top, corner[1] - box.left)
            mask = _laid(carried, part.shape, offset)
            return mask, _bent(mask, part, borders, rng), _laid(pixels, shape_hwc, offset)
    return None


def _bent(mask: UInt8, part: Bools, borders: str, rng: np.random.Generator) -> UInt8:
    """`mask` (H, W) with another outline, or itself where that would leave the part."""
    box = mask_box(mask)
    reach = reach_px(box.height, box.width)
    shape = mask[box.top : box.top + box.height, box.left : box.left + box.width]
    corner = (box.top - reach, box.left - reach)
    moved = _laid(bent(shape, drawn_bend(rng), borders), mask.shape, corner)
    return moved if moved.any() and part[moved > 0].mean() >= INSIDE_PART else mask


def _laid(array: UInt8, shape: tuple[int, ...], offset: tuple[int, int]) -> UInt8:
    """`array` on an empty one of `shape`, its corner at `offset`; what falls beside it is lost."""
    canvas: NDArray[np.uint8] = np.zeros(shape, np.uint8)
    top, left = offset
    bottom, right = min(top + array.shape[0], shape[0]), min(left + array.shape[1], shape[1])
    canvas[max(top, 0) : bottom, max(left, 0) : right] = array[
        max(-top, 0) : bottom - top, max(-left, 0) : right - left
    ]
    return canvas


def _rng(seed: int, *purpose: object) -> np.random.Generator:
    return np.random.default_rng(stable_seed(seed, *purpose))
