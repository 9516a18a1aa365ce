"""Which layout a folder has, and the data set that lies in it."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from pathlib import Path

from aliaug_edge.data.aliaug import load_aliaug
from aliaug_edge.data.folders import load_folders
from aliaug_edge.data.mvtec import load_mvtec
from aliaug_edge.data.samples import GOOD, Dataset
from aliaug_edge.data.splits import TRAIN
from aliaug_edge.errors import DataError

_SHOWN = 3
_MARKS = {
    "mvtec": ("test", "ground_truth"),
    "aliaug": ("train_A", "train_B"),
    "folders": ("images", "masks"),
}


def load_dataset(
    root: Path,
    *,
    groups: Path | None = None,
    pool: str = TRAIN,
    seed: int = 0,
    classes: Collection[str] = (),
) -> Dataset:
    """The data set in `root`, in whichever of the three layouts, sound in its structure.

    `groups` names the physical part of each photo (see `groups`); `pool` chooses the list of
    split.json to learn from; `seed` draws the split where the data have none. With `classes`, only
    they and the good photos are kept, and what is wrong with other classes does not matter. Photos
    are not decoded here: `load.load_pair` and `check.check_dataset` do that.

    Raises:
        DataError: no layout is recognised, a folder cannot be read, the data have no such class,
            or the structure has problems (the first few are named).
    """
    dataset = read_dataset(root, groups=groups, pool=pool, seed=seed)
    if classes:
        dataset = _only(dataset, classes)
    if dataset.problems:
        shown = "; ".join(dataset.problems[:_SHOWN])
        more = len(dataset.problems) - _SHOWN
        raise DataError(
            f"{shown}{f'; and {more} more' if more > 0 else ''}; "
            f"run `ali-aug data check {root}` to see everything"
        )
    return dataset


def read_dataset(
    root: Path, *, groups: Path | None = None, pool: str = TRAIN, seed: int = 0
) -> Dataset:
    """As `load_dataset`, but structural problems are returned in `Dataset.findings`.

    Raises:
        DataError: no layout is recognised, a folder cannot be read, or a groups, split or prompts
            file is unusable.
    """
    load = {"mvtec": load_mvtec, "aliaug": load_aliaug, "folders": load_folders}
    return load[layout_of(root)](root, groups=groups, pool=pool, seed=seed)


def _only(dataset: Dataset, classes: Collection[str]) -> Dataset:
    """`dataset` without other classes than `classes`, and without their problems."""
    known = {*dataset.classes, *(f.defect_class for f in dataset.findings if f.defect_class)}
    if unknown := sorted(set(classes) - known):
        raise DataError(
            f"unknown class {', '.join(unknown)}: {dataset.root} has {', '.join(sorted(known))}"
        )
    return replace(
        dataset,
        samples=tuple(s for s in dataset.samples if s.defect_class in (*classes, GOOD)),
        findings=tuple(f for f in dataset.findings if f.defect_class in (None, *classes)),
    )


def layout_of(root: Path) -> str:
    """ "mvtec", "aliaug" or "folders", from the names of the folders in `root`.

    Raises:
        DataError: the folder is missing, empty, or has none of the three layouts.
    """
    try:
        found = sorted(p.name for p in root.iterdir() if p.is_dir())
    except FileNotFoundError:
        raise DataError(f"{root} does not exist; expected a folder of defect images") from None
    except OSError as error:
        raise DataError(f"{root} cannot be read: {error.strerror or error}") from error
    for layout, marks in _MARKS.items():
        if set(marks) <= set(found):
            return layout
    raise DataError(
        f"{root} has none of the known layouts; expected test/ and ground_truth/ (MVTec), or "
        "train_A/, train_B/ and train_C/ (Ali-AUG), or images/ and masks/; "
        f"found {', '.join(f'{name}/' for name in found) or 'no folders'}"
    )
