"""The pictures of a report: generated samples by class, and real defects beside them.

Shown is the crop that the model worked on, at full resolution: never scaled, so that what is seen
is what was made. The whole photo stands beside it, scaled down where it is large.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from aliaug_edge import crops, imaging
from aliaug_edge.data.load import load_pair
from aliaug_edge.data.reader import load_dataset
from aliaug_edge.data.samples import Sample
from aliaug_edge.labels.sheet import GAIN, amplified_difference
from aliaug_edge.profiling.table import counted
from aliaug_edge.report.data import ClassPictures, Picture, PictureRow
from aliaug_edge.report.goods import GoodImages

MOST_ROWS = 24
ROWS_PER_CLASS = 4
REAL_PER_CLASS = 6
WHOLE_PX = 640  # longest side of a whole photo; larger ones are scaled down

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
    goods = GoodImages(data_root, images_dir)
    real = _real_defects(data_root) if data_root else {}
    classes = []
    for name in names[:MOST_ROWS]:
        chosen = _spread([r for r in kept if r["defect_class"] == name], each)
        rows = tuple(_row(dataset_dir, record, goods) for record in chosen)
        sizes = sorted({_model_hw(record) for record in chosen})
        beside = tuple(_cut_out(sample, sizes) for sample in real.get(name, ()))
        classes.append(ClassPictures(name, rows, beside))
    notes = _notes(goods)
    if len(names) > MOST_ROWS:
        notes.append(f"pictures of {MOST_ROWS} of {len(names)} classes are shown")
    return tuple(classes), notes


def _notes(goods: GoodImages) -> list[str]:
    """What is said of good photos that cannot be shown, and how to show them."""
    said = (
        (goods.missing, "were not found"),
        (goods.others, "are not those of the samples: others of the same name"),
    )
    return [
        f"{counted(len(names), 'good image')} {what} ({names[0]}); give their folder with --images "
        "to see them and the difference"
        for names, what in said
        if names
    ]


def _row(dataset_dir: Path, record: Record, goods: GoodImages) -> PictureRow:
    generated = imaging.load_image(dataset_dir / record["image"])
    mask = imaging.load_mask(dataset_dir / record["mask"])
    hw = (generated.shape[0], generated.shape[1])
    good = goods.load(record, generated, mask)
    shown: list[tuple[str, UInt8]] = [("mask", mask), ("generated", generated)]
    if good is not None:
        difference = amplified_difference(good, generated)
        shown = [("good", good), *shown, (f"difference ×{GAIN}", difference)]
    view = _view(record, hw)
    pictures = [
        picture(crops.cut(image, view), title, synthetic=title != "good") for title, image in shown
    ]
    if (view.height, view.width) != hw:
        pictures.append(picture(_scaled_down(generated), "whole photo", synthetic=True))
    return PictureRow(_row_title(record), _row_caption(record), tuple(pictures))


def picture(image: UInt8, title: str, *, synthetic: bool) -> Picture:
    """`image` (H, W[, 3]) uint8 as PNG bytes with its title."""
    png = imaging.encode_png(np.ascontiguousarray(image), synthetic=synthetic)
    return Picture(png, image.shape[1], image.shape[0], title)


def _view(record: Record, hw: tuple[int, int]) -> crops.Window:
    """The window that the model worked on, as far as it lies inside the photo."""
    return crops.inside(crops.Window(*record["window"]), hw)


def _model_hw(record: Record) -> tuple[int, int]:
    _, _, height, width = record["window"]
    return height, width


def _scaled_down(image: UInt8) -> UInt8:
    scale = min(1.0, WHOLE_PX / max(image.shape[:2]))
    return crops.resize(image, (round(image.shape[0] * scale), round(image.shape[1] * scale)))


def _row_title(record: Record) -> str:
    return f"{record['index']:06d} · {record['source_image']}"


def _row_caption(record: Record) -> str:
    scores = record["scores"]
    return (
        f"seed {record['seed']} · severity {record['severity']:.2f} · "
        f"change inside {scores['change_inside']:.0f} grey levels · "
        f"outside preserved to {scores['preservation_db']:.0f} dB"
    )


def _real_defects(data_root: Path) -> dict[str, list[Sample]]:
    """A few training defects per class, of as many different parts as there are."""
    found: dict[str, list[Sample]] = {}
    dataset = load_dataset(data_root)
    for name in dataset.classes:
        of_class = [s for s in dataset.defects("train") if s.defect_class == name]
        one_per_part = {sample.group: sample for sample in sorted(of_class, key=_shuffled)}
        found[name] = list(one_per_part.values())[:REAL_PER_CLASS]
    return found


def _shuffled(sample: Sample) -> bytes:
    """A fixed random order: evenly spaced ones of a series may all be the same part."""
    return hashlib.sha256(sample.image_path.name.encode()).digest()


def _cut_out(sample: Sample, sizes: Sequence[tuple[int, int]]) -> Picture:
    """The defect, cut out by the same rule as the generated ones beside it.

    Raises:
        DataError: image or mask cannot be used.
    """
    image, mask = load_pair(sample)
    box = crops.mask_box(mask)
    window = crops.window_around(box, (image.shape[0], image.shape[1]), crops.size_for(box, sizes))
    return picture(crops.cut(image, window), sample.image_path.stem, synthetic=False)


def _spread(items: Sequence[Any], most: int) -> list[Any]:
    """At most `most` of `items`, evenly spaced."""
    if len(items) <= most:
        return list(items)
    return [items[index * len(items) // most] for index in range(most)]
