"""Finds the good photo that a sample was made from, and proves that it is the one.

`samples.jsonl` keeps a file name, and one name may stand for many photos: MVTec AD has a 000.png in
train/good and another in test/good. The record's SHA-256 says which to try first, and what
generation left alone decides: a copy in another format serves as well.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from aliaug_edge import crops, imaging
from aliaug_edge.data.procedural import render_surface
from aliaug_edge.data.splits import TRAIN
from aliaug_edge.files import sha256_of_file
from aliaug_edge.generation.blend import BLEND_BAND_PX, grown
from aliaug_edge.generation.request import PROCEDURAL

_GOOD_FOLDERS = frozenset({"good", "images", "train_C", "test_C"})
_SMALLEST_MODEL_PX = 32  # bounds how far a window was scaled down, and so how wide its band is

UInt8 = NDArray[np.uint8]


class GoodImages:
    """Good photos by the names that samples.jsonl keeps: directly in `images_dir` or `data_root`,
    then in any folder of good photos below `data_root`, those to learn from first.

    `missing` are the names that were not found at all, `others` those of which only another photo
    was: each once, in the order of the asking.
    """

    def __init__(self, data_root: Path | None, images_dir: Path | None) -> None:
        self.missing: list[str] = []
        self.others: list[str] = []
        self._folders = [folder for folder in (images_dir, data_root) if folder is not None]
        self._below: dict[str, list[Path]] = {}
        for path in _good_files(data_root) if data_root is not None else []:
            self._below.setdefault(path.name, []).append(path)

    def load(self, record: Mapping[str, Any], generated: UInt8, mask: UInt8) -> UInt8 | None:
        """The photo (H, W, 3) uint8 that `generated` (H, W, 3) was made from with `mask` (H, W), or
        None.

        Raises:
            DataError: a photo of that name is damaged.
        """
        name = record["source_image"]
        kept = untouched(record, mask)
        found = False
        for image in self._candidates(record, (mask.shape[0], mask.shape[1])):
            found = True
            if image.shape == generated.shape and np.array_equal(image[kept], generated[kept]):
                return image
        names = self.others if found else self.missing
        if name not in names:
            names.append(name)
        return None

    def _candidates(self, record: Mapping[str, Any], hw: tuple[int, int]) -> Iterator[UInt8]:
        name = record["source_image"]
        if name.startswith(PROCEDURAL):
            yield render_surface(int(name.removeprefix(PROCEDURAL)), *hw)
            return
        paths = [folder / name for folder in self._folders] + self._below.get(name, [])
        there = [path for path in dict.fromkeys(paths) if path.is_file()]
        if len(there) > 1:
            there.sort(key=lambda path: sha256_of_file(path) != record.get("source_sha256"))
        yield from map(imaging.load_image, there)


def untouched(record: Mapping[str, Any], mask: UInt8) -> NDArray[np.bool_]:
    """Pixels (H, W) that generation left as they were: those outside the window, and with feather
    and hard also those beyond the widest band that there can be around `mask` (H, W)."""
    top, left, height, width = record["window"]
    kept = np.ones(mask.shape, dtype=bool)
    crops.put(kept, crops.Window(top, left, height, width), np.zeros((height, width), dtype=bool))
    if record["blend"] == "none":
        return kept
    widest = BLEND_BAND_PX * max(1.0, height / _SMALLEST_MODEL_PX)
    return kept | ~grown(mask > 0, round(widest))


def _good_files(root: Path) -> list[Path]:
    """Files in folders of good photos below `root`: what is learned from before the rest."""

    def order(path: Path) -> tuple[bool, str]:
        relative = path.relative_to(root)
        return not any(part.startswith(TRAIN) for part in relative.parts[:-1]), relative.as_posix()

    found = (path for path in root.rglob("*") if path.parent.name in _GOOD_FOLDERS)
    return sorted(found, key=order)
