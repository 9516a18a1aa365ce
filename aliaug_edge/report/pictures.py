"""The pictures of a report: generated samples by class, and real defects beside them.

Small photos are shown whole. Of large ones the crop that the model worked on is cut out, at full
resolution: never scaled, so that what is seen is what was made.
"""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from aliaug_edge import crops, imaging
from aliaug_edge.data.procedural import render_surface
from aliaug_edge.errors import DataError
from aliaug_edge.generation.request import PROCEDURAL
from aliaug_edge.labels.sheet import GAIN, amplified_difference
from aliaug_edge.report.data import ClassPictures, Picture, PictureRow

MOST_ROWS = 24
ROWS_PER_CLASS = 4
REAL_PER_CLASS = 6
WHOLE_PX = 320  # a photo up to this side is shown whole

Record = Mapping[str, Any]
UInt8 = NDArray[np.uint8]


def collect_pictures(
    dataset_dir: Path | None,
    records: Sequence[Record],
    data_root: Path | None,
    images_dir: Path | None,
) -> tuple[tuple[ClassPictures, ...], list[str]]:
    """Kept samples by class, and notes on what is missing.

    Raises:
        DataError: an image of the dataset is missing or damaged, or `data_root` is unreadable.
    """
    if dataset_dir is None:
        return (), []
    kept = [record for record in records if record["status"] == "kept"]
    names = sorted({record["defect_class"] for record in kept})
    each = max(1, min(ROWS_PER_CLASS, MOST_ROWS // max(1, len(names))))
    goods = _GoodImages(data_root, images_dir)
    real = _real_defects(data_root, names) if data_root else {}
    classes = []
    for name in names[:MOST_ROWS]:
        chosen = _spread([r for r in kept if r["defect_class"] == name], each)
        rows = tuple(_row(dataset_dir, record, goods) for record in chosen)
        classes.append(ClassPictures(name, rows, real.get(name, ())))
    notes = []
    if goods.missing:
        notes.append(
            f"{len(goods.missing)} good images were not found ({goods.missing[0]}); give their "
            "folder with --images to see them and the difference"
        )
    if len(names) > MOST_ROWS:
        notes.append(f"pictures of {MOST_ROWS} of {len(names)} classes are shown")
    return tuple(classes), notes


class _GoodImages:
    """Finds good images by the names that samples.jsonl keeps; remembers which were missing."""

    def __init__(self, data_root: Path | None, images_dir: Path | None) -> None:
        self.missing: list[str] = []
        self._folders = [folder for folder in (images_dir, data_root) if folder is not None]
        self._below: dict[str, Path] = {}
        if data_root is not None:
            for path in sorted(data_root.rglob("*"), reverse=True):  # the first by name wins
                if path.parent.name == "good" or path.parent.name == "images":
                    self._below[path.name] = path

    def load(self, name: str, hw: tuple[int, int]) -> UInt8 | None:
        """The image, (H, W, 3) uint8 of size `hw`, or None."""
        if name.startswith(PROCEDURAL):
            return render_surface(int(name.removeprefix(PROCEDURAL)), *hw)
        candidates = [folder / name for folder in self._folders] + [self._below.get(name)]
        for path in candidates:
            if path is not None and path.is_file():
                image = imaging.load_image(path)
                if image.shape[:2] == hw:
                    return image
        self.missing.append(name)
        return None


def _row(dataset_dir: Path, record: Record, goods: _GoodImages) -> PictureRow:
    generated = imaging.load_image(dataset_dir / record["image"])
    mask = imaging.load_mask(dataset_dir / record["mask"])
    hw = (generated.shape[0], generated.shape[1])
    good = goods.load(record["source_image"], hw)
    view = _view(record, hw)
    shown: list[tuple[str, UInt8]] = [("mask", mask), ("generated", generated)]
    if good is not None:
        difference = amplified_difference(good, generated)
        shown = [("good", good), *shown, (f"difference ×{GAIN}", difference)]
    pictures = tuple(
        picture(crops.cut(image, view), title, synthetic=title != "good") for title, image in shown
    )
    return PictureRow(_row_title(record), _row_caption(record), pictures)


def picture(image: UInt8, title: str, *, synthetic: bool) -> Picture:
    """`image` (H, W[, 3]) uint8 as PNG bytes with its title."""
    png = imaging.encode_png(np.ascontiguousarray(image), synthetic=synthetic)
    return Picture(png, image.shape[1], image.shape[0], title)


def _view(record: Record, hw: tuple[int, int]) -> crops.Window:
    window = record.get("window")
    if max(hw) <= WHOLE_PX or not window:
        return crops.Window(0, 0, *hw)
    top, left, height, width = window
    top, left = max(top, 0), max(left, 0)
    return crops.Window(top, left, min(height, hw[0] - top), min(width, hw[1] - left))


def _row_title(record: Record) -> str:
    index = record.get("index")
    number = f"{index:06d}" if isinstance(index, int) else Path(record["image"]).stem
    return f"{number} · {record['source_image']}"


def _row_caption(record: Record) -> str:
    scores = record.get("scores") or {}
    facts = [
        ("seed", record.get("seed"), ""),
        ("severity", record.get("severity"), ""),
        ("change inside", scores.get("change_inside"), " grey levels"),
        ("outside preserved", scores.get("preservation_db"), " dB"),
    ]
    return " · ".join(f"{name} {value}{unit}" for name, value, unit in facts if value is not None)


def _real_defects(data_root: Path, classes: Sequence[str]) -> dict[str, tuple[Picture, ...]]:
    """A few training defects per class, cut out around their masks."""
    from aliaug_edge.data.reader import load_dataset

    samples = load_dataset(data_root).defects("train")
    found: dict[str, tuple[Picture, ...]] = {}
    for name in classes:
        of_class = [s for s in samples if s.defect_class == name and s.mask_path is not None]
        shown = []
        for sample in _spread(of_class, REAL_PER_CLASS):
            with contextlib.suppress(DataError, ValueError):  # a report is no place to judge data
                image = imaging.load_image(sample.image_path)
                mask = imaging.load_mask(sample.mask_path or sample.image_path)
                shown.append(picture(_around(image, mask), "real", synthetic=False))
        found[name] = tuple(shown)
    return found


def _around(image: UInt8, mask: UInt8) -> UInt8:
    hw = (image.shape[0], image.shape[1])
    if max(hw) <= WHOLE_PX or mask.shape != hw:
        return image
    box = crops.mask_box(mask)
    window = crops.window_around(box, hw, (min(256, hw[0]), min(256, hw[1])))
    return crops.cut(image, window)


def _spread(items: Sequence[Any], most: int) -> list[Any]:
    """At most `most` of `items`, evenly spaced."""
    if len(items) <= most:
        return list(items)
    return [items[index * len(items) // most] for index in range(most)]
