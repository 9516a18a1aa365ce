"""Which photos show the same physical part: such photos must never lie in two splits.

By default every file is its own group. A file says otherwise: `groups.csv` (columns `file`,
`group`) or `groups.json` in the data folder, or one that the user names. JSON is {file: group}, or
a list of objects with `file` and `group`, or an object that has such a list as `items`. A file is
named relative to the data folder, with or without the folder's own name before it.
"""

from __future__ import annotations

import csv
import json
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from aliaug_edge.data.pairing import nfc
from aliaug_edge.data.samples import Problem, Sample
from aliaug_edge.errors import DataError

_DEFAULT_FILES = ("groups.csv", "groups.json")
_SHOWN = 3


def relative_name(root: Path, path: Path) -> str:
    """`path` below `root`, with forward slashes: the name of an image in group and split files.

    Accents are composed (`nfc`), so it need not be the name on disk byte for byte.
    """
    return nfc(path.relative_to(root).as_posix())


def listed_name(name: str, known: Mapping[str, Any]) -> str | None:
    """The key of `known` (relative names) that `name` means in a group or split file, if any.

    The first folder of `name` may be the data folder itself, under this name or an older one.
    """
    return next((candidate for candidate in _meanings(name) if candidate in known), None)


def assign_groups(
    root: Path, samples: Iterable[Sample], groups_file: Path | None
) -> tuple[list[Sample], list[Problem], list[str]]:
    """`samples` with their groups, and problems and notes about the groups file.

    A row for a file that does not exist is a problem: behind a misspelt name there is a photo that
    passes for a part of its own. Images that the file leaves out are noted.

    Raises:
        DataError: the groups file is missing, malformed, names a file twice, or knows no image.
    """
    samples = list(samples)
    path = groups_file or _default_file(root)
    if path is None:
        return samples, [], []
    known = {relative_name(root, s.image_path): s for s in samples}
    groups: dict[str, str] = {}
    unknown: list[str] = []
    for name, group in _read(path):
        image = listed_name(name, known)
        if image is None:
            unknown += [] if _exists(root, name) else [name]
            continue
        if groups.setdefault(image, group) != group:
            raise DataError(f"{path} puts {name} into two groups: {groups[image]} and {group}")
    if samples and not groups:
        raise DataError(
            f"{path} names none of the images in {root}; expected names such as {sorted(known)[0]}"
        )
    missing = sorted(known.keys() - groups.keys())
    notes = [
        f"{len(missing)} images are not in {path}, e.g. {name}; each is its own group"
        for name in missing[:1]
    ]
    grouped = [
        replace(s, group=groups.get(relative_name(root, s.image_path), s.group)) for s in samples
    ]
    return grouped, _unknown_names(path, root, unknown), notes


def _meanings(name: str) -> tuple[str, str]:
    plain = nfc(name).replace("\\", "/").removeprefix("./")
    return plain, plain.partition("/")[2]


def _exists(root: Path, name: str) -> bool:
    """Whether `name` is some file below `root`, such as a mask; the name may be in either form."""
    plain = name.replace("\\", "/").removeprefix("./")
    candidates = {plain, plain.partition("/")[2], *_meanings(name)} - {""}
    return any((root / candidate).is_file() for candidate in sorted(candidates))


def _unknown_names(path: Path, root: Path, names: list[str]) -> list[Problem]:
    if not names:
        return []
    shown = ", ".join(names[:_SHOWN]) + (", …" if len(names) > _SHOWN else "")
    line = (
        f"{path} names {len(names)} files that are not in {root}: {shown}; correct or remove them"
    )
    return [Problem(line)]


def crossing_groups(samples: Iterable[Sample]) -> list[str]:
    """A line for every group that lies in more than one split, naming an image of each."""
    examples: dict[str, dict[str, Path]] = defaultdict(dict)
    for sample in samples:
        examples[sample.group].setdefault(sample.split, sample.image_path)
    return [
        f"group {group} lies in both splits: "
        + " and ".join(f"{path} ({split})" for split, path in sorted(splits.items()))
        for group, splits in sorted(examples.items())
        if len(splits) > 1
    ]


def _default_file(root: Path) -> Path | None:
    found = [root / name for name in _DEFAULT_FILES if (root / name).is_file()]
    if len(found) > 1:
        raise DataError(f"{found[0]} and {found[1]} both give groups; keep one")
    return found[0] if found else None


def _read(path: Path) -> list[tuple[str, str]]:
    try:
        text = path.read_text(encoding="utf-8-sig")
        rows = _csv_rows(text) if path.suffix.lower() == ".csv" else _json_rows(json.loads(text))
        return [(_field(row, "file"), _field(row, "group")) for row in rows]
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror or error}") from error
    except (ValueError, KeyError, TypeError, csv.Error) as error:
        raise DataError(
            f"{path} is not a groups file: expected CSV columns `file,group`, or JSON "
            f'{{"file": "group"}} or a list of objects with `file` and `group` ({error})'
        ) from error


def _field(row: Mapping[str, Any], name: str) -> str:
    """The field as text without blanks around it: a file or group is a text or a whole number."""
    value = row[name]
    if isinstance(value, bool) or not isinstance(value, str | int) or not str(value).strip():
        kind = "an empty field" if value is None or isinstance(value, str) else repr(value)
        raise ValueError(f"a row has {kind} as its {name}")
    return str(value).strip()


def _csv_rows(text: str) -> list[dict[str, str]]:
    reader = csv.DictReader(text.splitlines())
    columns = [column.strip() for column in reader.fieldnames or []]
    if not {"file", "group"} <= set(columns):
        raise ValueError(f"found columns {', '.join(columns) or 'none'}")
    reader.fieldnames = columns
    return list(reader)


def _json_rows(document: Any) -> list[dict[str, Any]]:
    if isinstance(document, dict) and isinstance(document.get("items"), list):
        document = document["items"]
    if isinstance(document, dict):
        return [{"file": file, "group": group} for file, group in document.items()]
    if isinstance(document, list):
        return document
    raise ValueError("found neither an object nor a list")
