"""All label formats of a dataset in one call."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from aliaug_edge.errors import AliAugError
from aliaug_edge.labels.coco import INSTANCES, save_coco
from aliaug_edge.labels.mvtec import FOLDER, save_mvtec
from aliaug_edge.labels.samples import LabelledImage
from aliaug_edge.labels.yolo import DATA, save_yolo

FORMATS: Mapping[str, Callable[[Path, Sequence[LabelledImage], Sequence[str]], None]] = {
    "coco": save_coco,
    "mvtec": save_mvtec,
    "yolo": save_yolo,
}
MAIN_FILES: Mapping[str, str] = {  # of each, relative to the dataset
    "coco": INSTANCES,
    "mvtec": f"{FOLDER}/split.json",
    "yolo": DATA,
}


def check_formats(formats: Sequence[str]) -> None:
    """Refuse what `write_labels` does not know, before any work is done.

    Raises:
        AliAugError: names the unknown format and lists those there are.
    """
    for name in formats:
        if name not in FORMATS:
            raise AliAugError(f"unknown label format {name!r}; choose from {', '.join(FORMATS)}")


def write_labels(
    out_dir: Path,
    formats: Sequence[str],
    samples: Sequence[LabelledImage],
    classes: Sequence[str],
) -> None:
    """Write the labels of `samples`, whose images and masks are below `out_dir` already.

    `formats` are keys of `FORMATS`; the order of `classes` gives the classes' numbers. Written
    again, the same samples give the same bytes.

    Raises:
        AliAugError: unknown format or class, a mask that does not fit, or no way to write.
    """
    check_formats(formats)
    for name in formats:
        FORMATS[name](out_dir, samples, classes)
