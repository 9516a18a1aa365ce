"""The user's photos as training batches: paired by inpainting, unpaired on other good parts.

Paired: the input is the good counterpart where the data has it, else the defective photo with the
defect inpainted away; the target is the photo itself. Unpaired: a random good photo and the mask of
a defect; outside the mask the target is the input, under it the discriminator judges and the
defect's appearance is asked for.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray

from aliaug_edge import crops, imaging
from aliaug_edge.appearances import Appearances
from aliaug_edge.data.procedural import DEFECT_CLASSES
from aliaug_edge.data.samples import Dataset, Sample
from aliaug_edge.errors import DataError
from aliaug_edge.mask_bank import Bank
from aliaug_edge.model.appearance import appearance_of
from aliaug_edge.training import photos
from aliaug_edge.training.batch import WHITE, Batch, Colour, class_colour
from aliaug_edge.training.photos import ZOOM, Defect, Patch, model_sizes

Item = TypeVar("Item")
UInt8 = NDArray[np.uint8]
WHOLE = 0.5  # of the crops from a window larger than they are
GAIN = (0.85, 1.15)  # random exposure, the same for input and target
MAX_GOOD = 400  # good photos held in memory; more add nothing in a run of minutes


@dataclass(frozen=True)
class DefectSource:
    """All that a run learns from, in memory, with the prompt and colour of each class; `photos` are
    the files that it came from, by their name in the data."""

    defects: dict[str, tuple[Defect, ...]]
    goods: tuple[UInt8, ...]
    prompts: dict[str, str]
    colours: dict[str, Colour]
    photos: dict[str, Path] = field(default_factory=dict)

    @property
    def classes(self) -> tuple[str, ...]:
        return tuple(self.prompts)


def load_source(
    dataset: Dataset,
    classes: Sequence[str],
    prompts: dict[str, str],
    seed: int,
    *,
    crop: int,
    progress: bool = False,
) -> DefectSource:
    """Read the train pool of `dataset`, to draw crops of `crop`² pixels from; `progress` goes to
    stderr.

    Raises:
        DataError: a class has no usable train defect, or a file is bad.
    """
    rng = np.random.default_rng([seed, 77])
    found: dict[str, list[Defect]] = {name: [] for name in classes}
    wanted = [s for s in dataset.defects("train") if s.defect_class in found]
    goods = [sample.image_path for sample in dataset.goods("train")]
    for sample in _counted(wanted, "photos with defects", progress):
        defect, other = photos.read_defect(sample, crop, rng)
        found[sample.defect_class].append(defect)
        if other is not None and other not in goods:
            goods.append(other)
    if empty := [name for name, items in found.items() if not items]:
        raise DataError(
            f"{dataset.root}: no train defects with masks for {', '.join(empty)}; add some or "
            "leave the class out with --classes"
        )
    if len(goods) > MAX_GOOD:
        chosen = sorted(rng.choice(len(goods), MAX_GOOD, replace=False).tolist())
        goods = [goods[i] for i in chosen]
    share = photos.GOODS_BYTES // max(1, len(goods))
    return DefectSource(
        defects={name: _ranked(items) for name, items in found.items()},
        goods=tuple(
            photos.read_good(path, crop, share, rng)
            for path in _counted(goods, "good photos", progress)
        ),
        prompts={name: prompts[name] for name in classes},
        colours={name: _colour(index, name) for index, name in enumerate(classes)},
        photos=_named(dataset.root, wanted, goods),
    )


def _named(root: Path, defects: Sequence[Sample], goods: Sequence[Path]) -> dict[str, Path]:
    """The photos of `defects`, their counterparts and `goods`, by their path below `root`."""
    counterparts = [s.good_path for s in defects if s.good_path is not None]
    paths = {*(s.image_path for s in defects), *counterparts, *goods}
    return {path.relative_to(root).as_posix(): path for path in sorted(paths)}


def _counted(items: Sequence[Item], what: str, progress: bool) -> Iterator[Item]:
    """`items`, counted on stderr: on a terminal one by one, in a log when they are done."""
    for done, item in enumerate(items, 1):
        yield item
        last = done == len(items)
        if progress and (last or sys.stderr.isatty()):
            end = "\n" if last else ""
            print(f"\rread {done}/{len(items)} {what}", end=end, file=sys.stderr, flush=True)


def draw_defects(
    source: DefectSource,
    step: int,
    *,
    seed: int,
    size: int,
    crop: int,
    colour_carrier: bool,
    unpaired_share: float,
) -> Batch:
    """The batch of this step: `size` samples, classes equally likely, crops of `crop`² pixels."""
    rng = np.random.default_rng([seed, step])
    rows = []
    indices = []
    for _ in range(size):
        indices.append(int(rng.integers(len(source.classes))))
        name = source.classes[indices[-1]]
        row = _row(source, name, crop, unpaired_share, rng)
        row["colour"] = source.colours[name] if colour_carrier else WHITE
        row["prompt"] = source.prompts[name]
        rows.append(row)
    tensors = {
        name: torch.from_numpy(np.stack([row[name] for row in rows]).astype(np.float32))
        for name in rows[0]
        if name != "prompt"
    }
    return Batch(
        **tensors,
        class_index=torch.tensor(indices),
        prompts=tuple(row["prompt"] for row in rows),
    )


def mask_bank(source: DefectSource) -> Bank:
    """The tight shapes of every training defect per class, for placement."""
    return {
        name: [shape for defect in items for shape in defect.shapes]
        for name, items in source.defects.items()
    }


def learned_appearances(source: DefectSource, crop: int) -> Appearances:
    """Severity and appearance of every training defect per class, as in training's crops."""
    return {
        name: np.array(
            [
                [defect.severity, *_appearance(patch, box, crop)]
                for defect in items
                for patch, box in defect.spots
            ],
            dtype=np.float32,
        )
        for name, items in source.defects.items()
    }


def _appearance(patch: Patch, box: crops.Window, crop: int) -> list[float]:
    real, _, mask = _window(patch, box, crop, np.random.default_rng(0))
    image, where = torch.from_numpy(_to_model(real)), torch.from_numpy((mask > 127)[None])
    numbers: list[float] = appearance_of(image[None], where[None].float())[0].tolist()
    return numbers


def _colour(index: int, name: str) -> Colour:
    """A class that `tiny` was pretrained on keeps its colour there; others follow in order."""
    if name in DEFECT_CLASSES:
        return class_colour(DEFECT_CLASSES.index(name))
    return class_colour(len(DEFECT_CLASSES) + index)


def _ranked(items: list[Defect]) -> tuple[Defect, ...]:
    order = np.argsort(np.argsort([d.severity for d in items], kind="stable"), kind="stable")
    return tuple(
        replace(defect, severity=(float(rank) + 0.5) / len(items))
        for defect, rank in zip(items, order, strict=True)
    )


def _row(
    source: DefectSource, name: str, crop: int, unpaired_share: float, rng: np.random.Generator
) -> dict[str, Any]:
    items = source.defects[name]
    defect = items[int(rng.integers(len(items)))]
    patch, box = defect.spots[int(rng.integers(len(defect.spots)))]
    real, good, mask = _cropped(patch, box, crop, rng)
    if source.goods and (rng.random() < unpaired_share or not patch.paired):
        canvas = source.goods[int(rng.integers(len(source.goods)))]
        image = _augmented([_random_crop(canvas, crop, rng)], rng)[0]
        shape = _augmented([mask], rng, gain=False)[0]
        target, paired, severity = image, 0.0, defect.severity
        real, real_mask = _augmented([real, mask], rng)
    else:
        image, target, shape = _augmented([good, real, mask], rng)
        paired, severity = 1.0, defect.severity
        real, real_mask = target, shape
    return {
        "image": _to_model(image),
        "target": _to_model(target),
        "real": _to_model(real),
        "mask": (shape > 127)[None],
        "real_mask": (real_mask > 127)[None],
        "severity": [severity],
        "paired": paired,
    }


def _cropped(
    patch: Patch, box: crops.Window, crop: int, rng: np.random.Generator
) -> tuple[UInt8, UInt8, UInt8]:
    """Photo, counterpart and mask around one part of the defect, at `crop`² pixels.

    Of a larger window now the whole, scaled down, now some place of the defect as it is: the whole
    alone would be drawn at another scale than it was learned at, and places alone show no whole.
    """
    image, good, mask = _window(patch, box, crop, rng)
    hw = (crop, crop)
    if mask.shape == hw:
        return image, good, mask
    if rng.random() < WHOLE:
        return crops.resize(image, hw), crops.resize(good, hw), crops.resize_mask(mask, hw)
    at = _place(mask, crop, rng)
    return image[at], good[at], mask[at]


def _place(mask: UInt8, crop: int, rng: np.random.Generator) -> tuple[slice, slice]:
    """Rows and columns of `crop`² pixels of `mask` (h, w), which show some of it."""
    height, width = mask.shape
    marked = np.argwhere(mask)
    y, x = marked[int(rng.integers(len(marked)))] if len(marked) else (height // 2, width // 2)
    top = int(np.clip(y - int(rng.integers(crop)), 0, height - crop))
    left = int(np.clip(x - int(rng.integers(crop)), 0, width - crop))
    return np.s_[top : top + crop, left : left + crop]


def _window(
    patch: Patch, box: crops.Window, crop: int, rng: np.random.Generator
) -> tuple[UInt8, UInt8, UInt8]:
    """The same whole, at the size that generation would take: `crop`² pixels or twice that."""
    hw = crops.size_for(box, model_sizes(crop))
    side = max(16, round(hw[0] * float(rng.uniform(*ZOOM))))
    shift = (float(rng.random()), float(rng.random()))
    window = crops.window_around(box, patch.mask.shape, (side, side), shift)
    return (
        crops.resize(crops.cut(patch.image, window), hw),
        crops.resize(crops.cut(patch.good, window), hw),
        crops.resize_mask(crops.cut(patch.mask, window), hw),
    )


def _random_crop(image: UInt8, crop: int, rng: np.random.Generator) -> UInt8:
    side = max(16, round(crop * float(rng.uniform(*ZOOM))))
    top = int(rng.integers(0, max(1, image.shape[0] - side + 1)))
    left = int(rng.integers(0, max(1, image.shape[1] - side + 1)))
    box = crops.Window(top, left, 1, 1)
    window = crops.window_around(box, image.shape[:2], (side, side), (0.0, 0.0))
    return crops.resize(crops.cut(image, window), (crop, crop))


def _augmented(
    images: Sequence[UInt8], rng: np.random.Generator, *, gain: bool = True
) -> list[UInt8]:
    """The same flip for all, and the same exposure for all but masks (two-dimensional)."""
    flip_y, flip_x = bool(rng.integers(2)), bool(rng.integers(2))
    factor = float(rng.uniform(*GAIN)) if gain else 1.0
    out = []
    for image in images:
        flipped = image[:: -1 if flip_y else 1, :: -1 if flip_x else 1]
        if flipped.ndim == 3:
            flipped = np.clip(flipped * factor, 0, 255).astype(np.uint8)
        out.append(flipped)
    return out


def _to_model(image: UInt8) -> NDArray[np.float32]:
    return imaging.images_to_tensor(np.ascontiguousarray(image)[None])[0]
