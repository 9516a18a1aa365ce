"""A pool of synthetic photos on disk.

FOLDER/index.json          names, classes and groups, in the pool's order; notes if there are any
FOLDER/images/000000.png   marked as synthetic
FOLDER/masks/000000.png
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from aliaug_edge import files, imaging
from aliaug_edge.errors import AliAugError, DataError
from aliaug_edge.evaluation.photos import Photo

SCHEMA = 1
INDEX = "index.json"
IMAGES, MASKS = "images", "masks"


def save_pool(photos: Sequence[Photo], folder: Path, notes: Sequence[str] = ()) -> None:
    """Write `photos` to `folder`, whole or not at all; equal photos give equal bytes. `notes` are
    lines for whoever opens the index.

    Raises:
        OutputError: `folder` holds something already, or cannot be written.
    """
    with files.staged_dir(folder) as staged:
        for number, photo in enumerate(photos):
            image, mask = (staged / part / _file_name(number) for part in (IMAGES, MASKS))
            files.write_bytes(image, imaging.encode_png(photo.image, synthetic=True))
            files.write_bytes(mask, imaging.encode_png(photo.mask))
        rows = [
            {
                "name": photo.name,
                "defect_class": photo.defect_class,
                "group": photo.group,
                "sha256": _hashes(staged, number),
            }
            for number, photo in enumerate(photos)
        ]
        said = {"notes": list(notes)} if notes else {}
        files.write_json(staged / INDEX, {"schema": SCHEMA, **said, "photos": rows})


def _as_it_is(photo: Photo) -> Photo:
    return photo


def load_pool(folder: Path, fitted: Callable[[Photo], Photo] = _as_it_is) -> list[Photo]:
    """The photos that `save_pool` wrote, byte for byte and in their order; each is `fitted` as it
    is read, so that large ones need not be in memory together.

    Raises:
        DataError: the folder is missing or is no pool, or a file of it is missing, damaged or
            another than was written.
    """
    try:
        document = json.loads((folder / INDEX).read_text(encoding="utf-8"))
        if document["schema"] != SCHEMA:
            raise ValueError(f"schema {document['schema']!r}, expected {SCHEMA}")
        return [
            fitted(_photo(folder, number, row)) for number, row in enumerate(document["photos"])
        ]
    except (AliAugError, OSError, ValueError, KeyError, TypeError) as error:
        raise DataError(
            f"{folder} is not a whole pool of synthetic photos "
            f"({_reason(error)}); remove it, and it is made again"
        ) from error


def _photo(folder: Path, number: int, row: dict[str, Any]) -> Photo:
    if _hashes(folder, number) != row["sha256"]:
        raise ValueError(f"photo {number} is not what the index was written for")
    image = imaging.load_image(folder / IMAGES / _file_name(number))
    mask = imaging.load_mask(folder / MASKS / _file_name(number))
    return Photo(row["name"], image, mask, row["defect_class"], row["group"])


def _hashes(folder: Path, number: int) -> list[str]:
    return [files.sha256_of_file(folder / part / _file_name(number)) for part in (IMAGES, MASKS)]


def _file_name(number: int) -> str:
    return f"{number:06d}.png"


def _reason(error: Exception) -> str:
    if isinstance(error, KeyError):
        return f"{INDEX} has no {error}"
    return " ".join(str(error).split()) or type(error).__name__
