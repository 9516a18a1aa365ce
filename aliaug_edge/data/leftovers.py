"""The files in a data folder that belong to no sample: those that should, and those never read."""

from __future__ import annotations

import os
from collections import defaultdict
from fnmatch import fnmatch
from pathlib import Path

from aliaug_edge.data.samples import Dataset
from aliaug_edge.errors import DataError
from aliaug_edge.imaging import IMAGE_SUFFIXES

# The folders whose images a reader takes, `*` being the name of a class.
_PLACES = {
    "mvtec": ("train/good", "test/*", "ground_truth/*"),
    "aliaug": ("train_A", "train_B", "train_C", "test_A", "test_B", "test_C"),
    "folders": ("images", "images/*", "masks", "masks/*", "good"),
}
_NEVER = ("ground_truth/good", "masks/good")  # good photos have no masks


def leftovers(dataset: Dataset) -> tuple[list[Path], list[str]]:
    """Images where the layout has images but of no sample (unpaired, or in no pool of split.json),
    and a note for each kind of file that is never read: misplaced images, other formats.

    Raises:
        DataError: a folder below the data folder cannot be read.
    """
    used = {p for s in dataset.samples for p in (s.image_path, s.mask_path, s.good_path)}
    loose: list[Path] = []
    misplaced: list[Path] = []
    others: dict[str, list[Path]] = defaultdict(list)
    for path in _files(dataset.root):
        folder = path.parent.relative_to(dataset.root).as_posix()
        if path.suffix.lower() not in IMAGE_SUFFIXES:
            if folder != ".":  # beside the folders lie split.json, a licence, notes
                others[path.suffix.lower()].append(path)
        elif not _is_place(folder, dataset.layout):
            misplaced.append(path)
        elif path not in used:
            loose.append(path)
    return loose, [*_misplaced(misplaced, dataset.layout), *_others(others)]


def _files(root: Path) -> list[Path]:
    """Every file below `root` by name, hidden ones and hidden folders left out."""

    def refuse(error: OSError) -> None:
        raise DataError(f"{error.filename} cannot be read: {error.strerror or error}") from error

    found = []
    for folder, folders, names in os.walk(root, onerror=refuse):
        folders[:] = [name for name in folders if not name.startswith(".")]
        found += [Path(folder, name) for name in names if not name.startswith(".")]
    return sorted(found)


def _is_place(folder: str, layout: str) -> bool:
    return folder not in _NEVER and any(
        folder.count("/") == place.count("/") and fnmatch(folder, place)
        for place in _PLACES[layout]
    )


def _misplaced(paths: list[Path], layout: str) -> list[str]:
    places = ", ".join(place.replace("*", "CLASS") + "/" for place in _PLACES[layout])
    return [
        f"{len(paths)} images are not read, e.g. {path}; this layout has them in {places}"
        for path in paths[:1]
    ]


def _others(others: dict[str, list[Path]]) -> list[str]:
    expected = ", ".join(sorted(IMAGE_SUFFIXES))
    return [
        f"{len(paths)} files {f'of the kind {suffix}' if suffix else 'without a suffix'} are not "
        f"read, e.g. {paths[0]}; expected {expected}"
        for suffix, paths in sorted(others.items())
    ]
