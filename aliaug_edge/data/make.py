"""A product line that never existed, as a folder in MVTec's layout: data for the demo and tests.

Every photo is drawn from its own seed, so every photo is a part of its own, and no part is in both
pools of split.json.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from aliaug_edge import files, imaging
from aliaug_edge.data.procedural import DEFECT_CLASSES, MATERIALS, render_pair, render_surface
from aliaug_edge.data.samples import GOOD
from aliaug_edge.data.split_file import NAME as SPLIT_FILE
from aliaug_edge.data.splits import TEST, TRAIN, TRAIN_SHARE
from aliaug_edge.errors import AliAugError

SEVERITY = (0.45, 1.0)  # what a person would label; fainter ones exist in `render_pair`
SMALLEST_SIDE = 64  # px; below, a defect is a handful of pixels
# One line has one kind of camera: for metal a monochrome one, as in most inspection.
SEEN_GREY = frozenset({"brushed_metal", "ground_metal", "turned_metal", "casting"})

Pools = dict[str, list[str]]
Progress = Callable[[int, int], None]


def make_dataset(
    folder: Path,
    *,
    material: str | None = "ground_metal",
    classes: Sequence[str] = ("blowhole", "crack", "stain"),
    defects_per_class: int = 12,
    goods: int = 40,
    size_hw: tuple[int, int] = (256, 320),
    seed: int = 0,
    progress: Progress | None = None,
) -> Path:
    """Write `goods` good photos and `defects_per_class` masked defects of each class to `folder`.

    Seven of ten of each kind go to the pool `train`, the rest to `test`. `material` None draws one
    for each photo. Photos of metal are grey. The same arguments give the same bytes.
    `progress` is called with (done, total) photos.

    Raises:
        AliAugError: a material, class, count or size that cannot be.
        OutputError: `folder` holds something, or cannot be written.
    """
    _check(material, classes, defects_per_class, goods, size_hw)
    total = goods + len(classes) * defects_per_class
    done = 0

    def tick() -> None:
        nonlocal done
        done += 1
        if progress is not None:
            progress(done, total)

    with files.staged_dir(folder) as root:
        good: Pools = {TRAIN: [], TEST: []}
        for number in range(goods):
            pool = _pool(number, goods)
            name = f"{pool}/{GOOD}/{number:03d}.png"
            image = render_surface(_seed(seed, GOOD, number), *size_hw, material)
            files.write_bytes(root / name, _encoded(image, material))
            good[pool].append(name)
            tick()
        defects: dict[str, Pools] = {}
        for defect_class in sorted(classes):
            pools: Pools = {TRAIN: [], TEST: []}
            for number in range(defects_per_class):
                name = f"{TEST}/{defect_class}/{number:03d}.png"
                _write_defect(root, name, defect_class, material, size_hw, seed, number)
                pools[_pool(number, defects_per_class)].append(name)
                tick()
            defects[defect_class] = pools
        note = "Drawn, not photographed. Every photo is a part of its own."
        files.write_json(root / SPLIT_FILE, {"note": note, "defect": defects, "good": good})
    return folder


def _write_defect(
    root: Path,
    name: str,
    defect_class: str,
    material: str | None,
    size_hw: tuple[int, int],
    seed: int,
    number: int,
) -> None:
    low, high = SEVERITY
    own = _seed(seed, defect_class, number)
    severity = low + (high - low) * (own % 1000) / 999
    pair = render_pair(own, *size_hw, material, defect_class, severity)
    mask = root / "ground_truth" / defect_class / f"{Path(name).stem}_mask.png"
    files.write_bytes(root / name, _encoded(pair.defect, material))
    files.write_bytes(mask, imaging.encode_png(pair.mask))


def _encoded(image: NDArray[np.uint8], material: str | None) -> bytes:
    if material in SEEN_GREY:
        image = np.asarray(Image.fromarray(image).convert("L"))
    return imaging.encode_png(image)


def _pool(number: int, count: int) -> str:
    """`TRAIN_SHARE` of `count` to train, and at least one to each pool."""
    return TRAIN if number < min(max(round(TRAIN_SHARE * count), 1), count - 1) else TEST


def _seed(seed: int, kind: str, number: int) -> int:
    """64 bits of its own for every photo, whatever the counts of the others."""
    digest = hashlib.sha256(f"{seed}/{kind}/{number}".encode()).digest()
    return int.from_bytes(digest[:8], "big")


def _check(
    material: str | None,
    classes: Sequence[str],
    defects_per_class: int,
    goods: int,
    size_hw: tuple[int, int],
) -> None:
    if material is not None and material not in MATERIALS:
        raise AliAugError(
            f"unknown material {material!r}; choose from {', '.join(MATERIALS)}, or mixed"
        )
    unknown = sorted(set(classes) - set(DEFECT_CLASSES))
    if unknown or not classes or len(set(classes)) < len(classes):
        what = f"unknown classes {', '.join(unknown)}" if unknown else "classes: none, or one twice"
        raise AliAugError(f"{what}; choose from {', '.join(DEFECT_CLASSES)}")
    if defects_per_class < 2 or goods < 2:
        raise AliAugError(
            f"{defects_per_class} defects per class and {goods} good photos: expected at least 2 "
            "of each, one to learn from and one to test with"
        )
    if min(size_hw) < SMALLEST_SIDE:
        raise AliAugError(
            f"size {size_hw[0]}x{size_hw[1]}: expected at least {SMALLEST_SIDE} pixels a side"
        )
