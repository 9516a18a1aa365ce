"""Which mask belongs to which image: by name, never by sort order."""

from __future__ import annotations

import unicodedata
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path

from aliaug_edge.errors import DataError
from aliaug_edge.imaging import find_images

MASK_SUFFIX = "_mask"


def pair_by_name(
    images: Iterable[Path], masks: Iterable[Path], kind: str = "mask"
) -> tuple[dict[Path, Path], list[str]]:
    """Pairs {image: mask}, and a line for every image or mask that cannot be paired.

    A mask belongs to the image whose stem it has, else to the one whose stem plus `_mask` it has,
    in any case. Names that look the same are the same, however their accents are encoded. `kind`
    is what the lines call it, for other files that belong to images by the same rule.
    """
    by_stem = _by_stem(images)
    problems = [
        f"{_both(same)} have the same name, so their {kind} cannot be told apart"
        for same in by_stem.values()
        if len(same) > 1
    ]
    candidates: dict[str, list[Path]] = defaultdict(list)
    for mask in sorted(masks):
        stem = _image_stem(nfc(mask.stem), by_stem)
        if stem is None:
            problems.append(f"{kind} {mask} has no image named {bare(mask.stem)}")
        else:
            candidates[stem].append(mask)

    pairs: dict[Path, Path] = {}
    for stem, same in by_stem.items():
        found = candidates.get(stem, [])
        if len(found) > 1:
            problems.append(f"{same[0]} has two files as its {kind}: {_both(found)}; keep one")
        elif not found:
            problems.append(f"{same[0]} has no {kind} named {stem} or {stem}{MASK_SUFFIX}")
        elif len(same) == 1:
            pairs[same[0]] = found[0]
    return pairs, problems


def nfc(name: str) -> str:
    """`name` in Unicode's composed form: macOS and some archives store accents apart."""
    return unicodedata.normalize("NFC", name)


def bare(mask_stem: str) -> str:
    """`mask_stem` without `_mask` at its end, in any case."""
    return mask_stem[: -len(MASK_SUFFIX)] if mask_stem.lower().endswith(MASK_SUFFIX) else mask_stem


def images_in(folder: Path) -> list[Path]:
    """The images directly in `folder`, by name; none where it is missing or holds none.

    Raises:
        DataError: it is no folder, or cannot be read.
    """
    return find_images(folder)


def folders_in(folder: Path) -> list[Path]:
    """The sub-folders of `folder` by name, hidden ones left out; none where it is missing.

    Raises:
        DataError: it is no folder, or cannot be read.
    """
    try:
        return sorted(p for p in folder.iterdir() if p.is_dir() and not p.name.startswith("."))
    except FileNotFoundError:
        return []
    except OSError as error:
        raise DataError(f"{folder} cannot be read: {error.strerror or error}") from error


def _by_stem(paths: Iterable[Path]) -> dict[str, list[Path]]:
    grouped: dict[str, list[Path]] = defaultdict(list)
    for path in sorted(paths):
        grouped[nfc(path.stem)].append(path)
    return dict(grouped)


def _image_stem(mask_stem: str, by_stem: dict[str, list[Path]]) -> str | None:
    return next((stem for stem in (mask_stem, bare(mask_stem)) if stem in by_stem), None)


def _both(paths: list[Path]) -> str:
    return " and ".join(str(path) for path in paths)
