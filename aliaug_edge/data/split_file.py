"""`split.json`: which photos may be learned from, when the owner of the data has decided.

    {"defect": {CLASS: {"train": [FILE, …], "test": […], OTHER_POOL: […]}},
     "good": {"train": […], "test": […]}}

A FILE is relative to the data folder, with or without the folder's own name before it. Any list
beside `test` is a pool that may be learned from instead of `train`, e.g. one photo per part.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from aliaug_edge.data.groups import listed_name, relative_name
from aliaug_edge.data.samples import GOOD, Problem, Sample
from aliaug_edge.data.splits import TEST, TRAIN
from aliaug_edge.errors import DataError

NAME = "split.json"


def apply_split_file(
    root: Path, samples: Iterable[Sample], pool: str
) -> tuple[list[Sample], list[Problem], list[str]]:
    """The samples that `root`/split.json puts into `pool` ("train") or into test ("test").

    Returns samples, problems and notes. Photos in no pool are left out, with a note. Good photos
    keep the split of their folder where the file does not speak of them; where it has no list
    named `pool` for them, `train` is taken.

    Raises:
        DataError: the file is malformed, or a class has no such pool.
    """
    path = root / NAME
    pools = _read(path)
    problems = _missing_pools(path, pools, pool)
    by_name = {relative_name(root, s.image_path): s for s in samples}
    chosen: dict[str, Sample] = {}
    for defect_class, lists in sorted(pools.items()):
        for split, source in ((TRAIN, _pool_for(defect_class, lists, pool)), (TEST, TEST)):
            for listed in lists.get(source, []):
                name = listed_name(listed, by_name)
                fault = None
                if name is None:
                    fault = f"{path} lists {listed}, which is not a usable image in {root}"
                elif by_name[name].defect_class != defect_class:
                    fault = (
                        f"{path} lists {listed} as {defect_class}, but its folder says "
                        f"{by_name[name].defect_class}"
                    )
                elif chosen.setdefault(name, replace(by_name[name], split=split)).split != split:
                    fault = f"{path} puts {listed} into both {source} and another pool"
                if fault is not None:
                    problems.append(Problem(fault, defect_class))
    if GOOD not in pools:
        goods = {n: s for n, s in by_name.items() if s.defect_class == GOOD}
        chosen |= {n: replace(s, split=s.split or TRAIN) for n, s in goods.items()}

    unlisted = sorted(by_name.keys() - chosen.keys() - _all_names(pools, by_name))
    notes = [
        f"{len(unlisted)} images are in no pool of {path}, e.g. {name}; they are left out"
        for name in unlisted[:1]
    ]
    ordered = [chosen[name] for name in sorted(chosen)]
    return ordered, problems, notes


def listed_in(root: Path, samples: Iterable[Sample], pool: str) -> dict[str, list[Sample]]:
    """Of `samples`, those that `root`/split.json lists in `pool`, for each class with such a list.

    Nothing where there is no split.json; names that are not among `samples` are passed over.

    Raises:
        DataError: the file is malformed.
    """
    if not (root / NAME).is_file():
        return {}
    by_name = {relative_name(root, s.image_path): s for s in samples}
    return {
        defect_class: [
            by_name[name]
            for listed in lists[pool]
            if (name := listed_name(listed, by_name)) is not None
        ]
        for defect_class, lists in sorted(_read(root / NAME).items())
        if pool in lists
    }


def _missing_pools(
    path: Path, pools: Mapping[str, Mapping[str, list[str]]], pool: str
) -> list[Problem]:
    """A problem for every class that has no list named `pool`.

    Raises:
        DataError: `pool` is kept for evaluation, or no class has it.
    """
    if pool == TEST:
        raise DataError("the pool `test` is kept for evaluation; choose another pool to learn from")
    classes = sorted(pools.keys() - {GOOD})
    lacking = [name for name in classes if pool != TRAIN and pool not in pools[name]]
    problems = []
    for name in lacking:
        available = ", ".join(sorted(pools[name].keys() - {TEST})) or "none"
        problems.append(
            Problem(f"{path} has no pool `{pool}` for {name}; it has {available}", name)
        )
    if lacking and lacking == classes:
        raise DataError(problems[0].text)
    return problems


def _pool_for(defect_class: str, lists: Mapping[str, list[str]], pool: str) -> str:
    """The list to learn from: `pool`, but `train` for good photos without a list of that name."""
    return TRAIN if defect_class == GOOD and pool not in lists else pool


def _all_names(
    pools: Mapping[str, Mapping[str, list[str]]], known: Mapping[str, Sample]
) -> set[str]:
    listed = (name for lists in pools.values() for names in lists.values() for name in names)
    return {found for name in listed if (found := listed_name(name, known)) is not None}


def _read(path: Path) -> dict[str, dict[str, list[str]]]:
    """{class: {pool: [file]}}, "good" among the classes if the file speaks of it."""
    try:
        document = json.loads(path.read_text(encoding="utf-8-sig"))
        pools = dict(document["defect"])
        if GOOD in document:
            pools[GOOD] = document[GOOD]
        return {name: _lists(lists) for name, lists in pools.items()}
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror or error}") from error
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise DataError(
            f'{path} is not a split file: expected {{"defect": {{CLASS: {{"train": [FILE], '
            f'"test": [FILE]}}}}, "good": {{…}}}} ({error!r})'
        ) from error


def _lists(pools: Any) -> dict[str, list[str]]:
    for name, files in pools.items():
        if not isinstance(files, list) or not all(isinstance(file, str) for file in files):
            raise ValueError(f"the pool {name} is not a list of file names")
    return dict(pools)
