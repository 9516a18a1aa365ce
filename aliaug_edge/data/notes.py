"""What whoever learns from a data set should know of it, in few lines."""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Callable, Iterable
from pathlib import Path

from aliaug_edge import imaging
from aliaug_edge.data.leftovers import leftovers
from aliaug_edge.data.samples import Dataset
from aliaug_edge.data.splits import TRAIN
from aliaug_edge.errors import DataError

TWELVE_BIT = 4096
FEW = 10  # photos of a class; the method was made for 20 and more
MOST_SAID = 8


def data_notes(dataset: Dataset) -> list[str]:
    """The readers' notes, those about classes with few photos, about files that are never read, and
    about photos that come out nearly black; paths are relative to the data folder.

    Raises:
        DataError: a folder below the data folder cannot be read.
    """
    _, unread = leftovers(dataset)
    peaks: list[tuple[Path, int]] = []
    for path in (sample.image_path for sample in dataset.samples):
        with contextlib.suppress(DataError):  # whoever needs the photo says so
            if (peak := imaging.sixteen_bit_peak(path)) is not None:
                peaks.append((path, peak))
    notes = [*dataset.notes, *few_notes(dataset), *unread, *dim_notes(peaks)]
    return [note.replace(f"{dataset.root}/", "") for note in notes]


def say_notes(notes: list[str], root: Path, say: Callable[[str], None]) -> None:
    """Say the first of `notes`, and how many there are beside them."""
    for note in notes[:MOST_SAID]:
        say(f"note: {note}")
    if (more := len(notes) - MOST_SAID) > 0:
        say(f"note: and {more} more; `ali-aug data check {root}` shows everything")


def few_notes(dataset: Dataset) -> list[str]:
    """A note about each class of `dataset` with fewer than `FEW` defects to learn from."""
    counts = Counter(sample.defect_class for sample in dataset.defects(TRAIN))
    return [
        f"the class {name} has only {count} defect{'s' * (count > 1)} to learn from"
        for name, count in sorted(counts.items())
        if count < FEW
    ]


def dim_notes(peaks: Iterable[tuple[Path, int]]) -> list[str]:
    """A note about photos whose 16 bits hold 12 or fewer, which leaves them nearly black; `peaks`
    are 16-bit photos with their largest sample."""
    dim = [(path, peak) for path, peak in peaks if 0 < peak < TWELVE_BIT]
    return [
        f"{len(dim)} photos have 16 bits but hold at most 12, e.g. {path}, whose largest sample is "
        f"{peak} of 65535: read at full range it has {(peak + 128) // 257 + 1} grey levels; save "
        "12-bit photos times 16, or with 8 bits"
        for path, peak in dim[:1]
    ]
