"""A lesson as the folder that YOLO trainers read, and what one epoch of it holds.

    images/000000.png     every photo once
    labels/000000.txt     its defects as polygons; empty for a good photo
    epoch.txt             what an epoch goes through, one image per line, with repeats
    val.txt               a few of the same: the trainer wants some, nothing is chosen by them
    lesson.yaml           names both lists, and the one class, "defect"

An epoch has a fixed number of steps, and the list holds what each step sees on average: so many
real, so many good and, added to them, `ratio` synthetic photos per real one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from aliaug_edge import files, imaging
from aliaug_edge.evaluation.detector.base import Lesson
from aliaug_edge.evaluation.photos import Photo
from aliaug_edge.labels.instances import instances_of
from aliaug_edge.labels.samples import LabelledImage
from aliaug_edge.labels.yolo import save_yolo

DATA = "lesson.yaml"
EPOCH = "epoch.txt"
VAL = "val.txt"
VAL_PHOTOS = 4
CLASS = "defect"


@dataclass(frozen=True)
class EpochPlan:
    """`steps` per epoch, each of `real` and `good` photos; synthetic ones are added to them."""

    steps: int = 100
    real: int = 4
    good: int = 4

    def synthetic(self, lesson: Lesson) -> int:
        """Synthetic photos per step."""
        return round(self.real * lesson.ratio) if lesson.synthetic else 0

    def batch(self, lesson: Lesson) -> int:
        """Photos per step."""
        return (self.real if lesson.real else 0) + self.good + self.synthetic(lesson)


def write_lesson(folder: Path, lesson: Lesson, plan: EpochPlan, seed: int) -> Path:
    """Write the data set of `lesson` into `folder` and return its `lesson.yaml`.

    Raises:
        OutputError: the folder cannot be written.
    """
    drawn = epoch_photos(lesson, plan, seed)
    names = {photo: f"images/{n:06d}.png" for n, photo in enumerate(dict.fromkeys(drawn))}
    for photo, name in names.items():
        files.write_bytes(folder / name, imaging.encode_png(photo.image))
    save_yolo(folder, [_labelled(photo, name) for photo, name in names.items()], [CLASS])
    files.write_text(folder / EPOCH, "".join(f"./{names[photo]}\n" for photo in drawn))
    files.write_text(folder / VAL, "".join(f"./{n}\n" for n in list(names.values())[:VAL_PHOTOS]))
    files.write_text(folder / DATA, f"train: {EPOCH}\nval: {VAL}\nnames:\n  0: {CLASS}\n")
    return folder / DATA


def epoch_photos(lesson: Lesson, plan: EpochPlan, seed: int) -> list[Photo]:
    """The photos of one epoch, `plan.steps` times `plan.batch(lesson)` of them, with repeats.

    Each kind is drawn by a generator of its own, so that real and good photos are the same in
    every condition.
    """
    counts = (
        (lesson.real, plan.real),
        (lesson.good, plan.good),
        (lesson.synthetic, plan.synthetic(lesson)),
    )
    return [
        photo
        for kind, (photos, per_step) in enumerate(counts)
        for photo in _taken(photos, plan.steps * per_step, np.random.default_rng((seed, kind)))
    ]


def _taken(photos: Sequence[Photo], count: int, rng: np.random.Generator) -> list[Photo]:
    """`count` of `photos`: class by class in turn, each class in an order of chance, over again."""
    by_class: dict[str, list[Photo]] = {}
    for photo in photos:
        by_class.setdefault(photo.defect_class, []).append(photo)
    orders = [
        [by_class[name][i] for i in rng.permutation(len(by_class[name]))]
        for name in sorted(by_class)
    ]
    if not orders:
        return []
    turns = (divmod(number, len(orders)) for number in range(count))
    return [orders[which][turn % len(orders[which])] for turn, which in turns]


def _labelled(photo: Photo, name: str) -> LabelledImage:
    height, width = photo.mask.shape
    return LabelledImage(name, name, CLASS, width, height, lambda: instances_of(photo.mask))
