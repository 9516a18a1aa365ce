"""The user's photos as a run keeps them in memory: what training may cut, and no more.

Photos of a megapixel and above are held as patches around their defects, scaled down where even the
closest crop would be; good photos share a budget of bytes. Small photos are held as they are.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from aliaug_edge import crops, imaging
from aliaug_edge.components import components
from aliaug_edge.crops import Window
from aliaug_edge.data.inpaint import MARGIN, RING, dilate, inpaint
from aliaug_edge.data.load import load_pair
from aliaug_edge.data.samples import Sample
from aliaug_edge.errors import DataError
from aliaug_edge.generation.part import borne_backdrops
from aliaug_edge.mask_bank import MaskShape, shape_at

UInt8 = NDArray[np.uint8]
ZOOM = (0.8, 1.25)  # random scale of the training window
WHOLE_PIXELS = 1 << 19  # photos up to this size are held whole
GOODS_BYTES = 1 << 30  # all good photos together
LARGER = 2  # times a crop: the other size that bundles are made for
HALO = 8  # pixels around a mask where a retouched counterpart may differ
SAME_PART = 4.0  # mean grey levels outside the mask that noise and JPEG explain


def model_sizes(crop: int) -> tuple[tuple[int, int], tuple[int, int]]:
    """The (height, width) that generation chooses from, when training crops are of `crop`²."""
    return (crop, crop), (LARGER * crop, LARGER * crop)


@dataclass(frozen=True, eq=False)
class Patch:
    """A part of a defective photo: `image` and its counterpart `good` (h, w, 3), `mask` (h, w).

    `paired` says whether `good` can be trusted under the mask; where not, and there are good
    photos, the patch shows the discriminator a real defect and nothing else.
    """

    image: UInt8
    good: UInt8
    mask: UInt8
    paired: bool


@dataclass(frozen=True, eq=False)
class Defect:
    """One defective photo: `spots` are its defects' boxes, each within its patch.

    `shapes` are the same defects' outlines at full size. `severity` is the rank of the contrast
    within the class, in (0, 1), so that a severity drawn uniformly at generation reproduces the
    strengths that were seen; `read_defect` puts the contrast itself there. `group` names the
    physical part; by each of `backdrops` the defects lie on it.
    """

    defect_class: str
    spots: tuple[tuple[Patch, Window], ...]
    shapes: tuple[MaskShape, ...]
    severity: float
    group: str
    backdrops: frozenset[str] = frozenset()


def read_defect(sample: Sample, crop: int, rng: np.random.Generator) -> tuple[Defect, Path | None]:
    """A defective photo for crops of `crop`² pixels, and its counterpart's path where that turns
    out to show another part: a good photo like any other.

    Raises:
        DataError: a file is bad, or the counterpart has another size.
    """
    image, mask = load_pair(sample)
    good = _counterpart(sample, image)
    other = good is not None and not same_part(image, good, mask)
    if other:
        good = None
    boxes = _boxes(mask)
    spots, patches = [], []
    for region, factor, inside in _regions(boxes, mask.shape, crop):
        patch = _patch(image, good, mask, region, factor, rng)
        patches.append(patch)
        spots += [(patch, _within(box, region, factor, patch.mask)) for box in inside]
    shapes = tuple(_owned(shape_at(mask, box)) for box in boxes)
    return (
        Defect(
            sample.defect_class,
            tuple(spots),
            shapes,
            _contrast(patches),
            sample.group,
            borne_backdrops(image, mask),
        ),
        sample.good_path if other else None,
    )


def read_good(path: Path, crop: int, limit: int, rng: np.random.Generator) -> UInt8:
    """A good photo, or where it takes more than `limit` bytes, a random window of it."""
    image = imaging.load_image(path)
    if image.nbytes <= limit:
        return image
    least = round(crop * ZOOM[1])
    scale = (limit / image.nbytes) ** 0.5
    height, width = (min(n, max(least, int(n * scale))) for n in image.shape[:2])
    top = int(rng.integers(image.shape[0] - height + 1))
    left = int(rng.integers(image.shape[1] - width + 1))
    return image[top : top + height, left : left + width].copy()


def same_part(image: UInt8, good: UInt8, mask: UInt8) -> bool:
    """Whether `good` is `image` without its defect, rather than a photo of another good part.

    Another part's grain or light differs everywhere; and what differs outside the mask must not be
    learned as something that the generator may change.
    """
    outside = dilate(mask, HALO) == 0
    if not outside.any():
        return True
    difference = np.abs(image.astype(np.int16) - good)[outside]
    return bool(difference.mean() <= SAME_PART)


def _counterpart(sample: Sample, image: UInt8) -> UInt8 | None:
    if sample.good_path is None:
        return None
    good = imaging.load_image(sample.good_path)
    if good.shape != image.shape:
        raise DataError(
            f"{sample.good_path}: its size {good.shape[1]}x{good.shape[0]} differs from that "
            f"of {sample.image_path}, {image.shape[1]}x{image.shape[0]}"
        )
    return good


def _boxes(mask: UInt8) -> tuple[Window, ...]:
    """Boxes of the mask's parts; specks under 1 % of the largest are no defects of their own."""
    parts = components(mask)
    largest = max(part.area for part in parts)
    return tuple(
        Window(part.top, part.left, *part.pixels.shape)
        for part in parts
        if part.area >= max(4, 0.01 * largest)
    ) or (crops.mask_box(mask),)


def _regions(
    boxes: Sequence[Window], hw: tuple[int, ...], crop: int
) -> list[tuple[Window, int, list[Window]]]:
    """What to keep of a photo of `hw`: regions, by what factor to shrink each, and the boxes in it.

    Regions are joined where one takes no more room than two.
    """
    if hw[0] * hw[1] <= WHOLE_PIXELS:
        return [(Window(0, 0, hw[0], hw[1]), 1, list(boxes))]
    kept: list[tuple[Window, int, list[Window]]] = []
    for box in boxes:
        largest = crops.size_for(box, model_sizes(crop))[0]
        factor = max(1, int(crops.CONTEXT * max(box.height, box.width) // (largest * ZOOM[1])))
        region, inside = _region(box, hw, largest), [box]
        for entry in [e for e in kept if e[1] == factor]:
            union = _union(region, entry[0])
            if _area(union) <= _area(region) + _area(entry[0]):
                kept.remove(entry)
                region, inside = union, [*entry[2], *inside]
        kept.append((region, factor, inside))
    return kept


def _region(box: Window, hw: tuple[int, ...], size: int) -> Window:
    """All that a training window of `size`² around `box` may show, and room to borrow texture
    from."""
    longest = max(box.height, box.width)
    side = int(max(size * ZOOM[1], crops.CONTEXT * longest)) + 2
    reach = longest + 2 * (MARGIN + RING)
    down, across = max(side - box.height, reach), max(side - box.width, reach)
    top, left = max(0, box.top - down), max(0, box.left - across)
    bottom = min(hw[0], box.top + box.height + down)
    right = min(hw[1], box.left + box.width + across)
    return Window(top, left, bottom - top, right - left)


def _union(a: Window, b: Window) -> Window:
    top, left = min(a.top, b.top), min(a.left, b.left)
    bottom = max(a.top + a.height, b.top + b.height)
    right = max(a.left + a.width, b.left + b.width)
    return Window(top, left, bottom - top, right - left)


def _area(window: Window) -> int:
    return window.height * window.width


def _patch(
    image: UInt8,
    good: UInt8 | None,
    mask: UInt8,
    region: Window,
    factor: int,
    rng: np.random.Generator,
) -> Patch:
    hw = (max(1, region.height // factor), max(1, region.width // factor))
    own_image = crops.resize(crops.cut(image, region), hw)
    own_mask = crops.resize_mask(crops.cut(mask, region), hw)
    if good is not None:
        return Patch(own_image, crops.resize(crops.cut(good, region), hw), own_mask, True)
    filled = inpaint(own_image, own_mask, rng)
    return Patch(own_image, filled.image, own_mask, filled.sound)


def _within(box: Window, region: Window, factor: int, mask: UInt8) -> Window:
    """`box` in the pixels of its patch, whose mask is given."""
    top, left = (box.top - region.top) // factor, (box.left - region.left) // factor
    return Window(
        min(top, mask.shape[0] - 1),
        min(left, mask.shape[1] - 1),
        max(1, min(round(box.height / factor), mask.shape[0] - top)),
        max(1, min(round(box.width / factor), mask.shape[1] - left)),
    )


def _owned(shape: MaskShape) -> MaskShape:
    """Without the rest of its photo's mask, which a view would keep."""
    return MaskShape(shape.pixels.copy(), shape.borders)


def _contrast(patches: Sequence[Patch]) -> float:
    """Mean grey levels between the defects and their counterparts."""
    differences = [
        np.abs(p.image[p.mask > 0].astype(np.float32) - p.good[p.mask > 0]) for p in patches
    ]
    return float(np.concatenate(differences).mean())
