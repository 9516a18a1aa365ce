"""YOLO segmentation labels, laid out so that trainers find the images without copying them.

    data.yaml                 train: train.txt, names
    train.txt                 ./images/000000.png … one per line, relative to this file
    labels/000000.txt         beside `images/`, found by the rule images/ -> labels/, .png -> .txt

Each row is `<class> x1 y1 … xn yn`, normalised to [0, 1], one row per connected component. A hole
is reached along a line of no width, so the polygon fills to the very mask. `path` is left out of
data.yaml: it then means the folder of that file, wherever the dataset is moved to. `val` is left
empty on purpose: synthetic images are for training only.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path, PurePosixPath

import numpy as np
from numpy.typing import NDArray

from aliaug_edge import files, imaging
from aliaug_edge.errors import AliAugError, DataError
from aliaug_edge.labels.contours import bridged, fill
from aliaug_edge.labels.instances import Instance
from aliaug_edge.labels.samples import Label, LabelledImage, by_image, class_indices, read_instances

DATA = "data.yaml"
TRAIN = "train.txt"
_HEADER = """\
# Synthetic images, for training only. Set `val` to your own real images before you train.
# Without `path`, names are relative to this file.
"""


def save_yolo(root: Path, samples: Sequence[LabelledImage], classes: Sequence[str]) -> None:
    """Write `data.yaml`, `train.txt` and `labels/**.txt` below `root`.

    Raises:
        AliAugError: unknown class, an image outside `images/`, unreadable mask, or no way to write.
    """
    indices = class_indices(classes, samples, first=0)
    groups = by_image(samples)
    for image, group in groups.items():
        rows = [
            f"{indices[sample.defect_class]} {row}\n"
            for sample in group
            for row in _rows(read_instances(root, sample), sample.width, sample.height)
        ]
        files.write_text(root / _label_path(image), "".join(rows))
    files.write_text(root / TRAIN, "".join(f"./{image}\n" for image in groups))
    names = "".join(f"  {number}: {json.dumps(name)}\n" for name, number in indices.items())
    files.write_text(root / DATA, f"{_HEADER}train: {TRAIN}\nval:\nnames:\n{names}")


def load_yolo(root: Path) -> list[Label]:
    """One label per image and class, images in the order of `train.txt`.

    Raises:
        DataError: a file is missing, or a row cannot be read.
    """
    names = _names(_read(root / DATA))
    labels = []
    for line in _read(root / TRAIN).splitlines():
        image = line.removeprefix("./")
        height, width = imaging.load_image(root / image).shape[:2]
        masks: dict[int, NDArray[np.uint8]] = {}
        for row in _read(root / _label_path(image)).splitlines():
            index, polygon = _parsed(row, _label_path(image))
            mask = masks.setdefault(index, np.zeros((height, width), dtype=np.uint8))
            mask[fill([polygon * (width, height)], (height, width))] = 255
        labels += [Label(image, names[index], mask) for index, mask in masks.items()]
    return labels


def _rows(instances: Sequence[Instance], width: int, height: int) -> list[str]:
    rows = []
    for instance in instances:
        flat = (bridged(instance.outline, instance.holes) / (width, height)).ravel()
        rows.append(" ".join(f"{value:.6f}" for value in flat.tolist()))
    return rows


def _label_path(image: str) -> str:
    parts = list(PurePosixPath(image).parts)
    if "images" not in parts[:-1]:
        raise AliAugError(
            f"{image}: YOLO finds labels by putting labels/ for images/ in an image's path; "
            "expected the image below a folder called images"
        )
    at = len(parts) - 2 - parts[-2::-1].index("images")
    parts[at] = "labels"
    return PurePosixPath(*parts).with_suffix(".txt").as_posix()


def _names(text: str) -> dict[int, str]:
    """The `names` of a data.yaml as this module writes it (not a YAML parser)."""
    try:
        pairs = [
            line.strip().split(": ", 1) for line in text.split("\nnames:\n")[1].splitlines() if line
        ]
        return {int(number): str(json.loads(name)) for number, name in pairs}
    except (IndexError, ValueError) as error:
        raise DataError(f'{DATA}: expected `names:` with one `  0: "name"` per line') from error


def _parsed(row: str, where: str) -> tuple[int, NDArray[np.float64]]:
    try:
        index, *values = row.split()
        polygon = np.array(values, dtype=np.float64).reshape(-1, 2)
        if len(polygon) < 3:
            raise ValueError("fewer than 3 points")
        return int(index), polygon
    except ValueError as error:
        raise DataError(f"{where}: expected `<class> x1 y1 … xn yn`, got {row[:40]!r}") from error


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{path} cannot be read: {error}") from error
