"""Which mask belongs to which image: by name, never by sort order."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path

from aliaug_edge.errors import DataError
from aliaug_edge.imaging import list_images

MASK_SUFFIX = "_mask"


def pair_by_name(
    images: Iterable[Path], masks: Iterable[Path], kind: str = "mask"
) -> tuple[dict[Path, Path], list[str]]:
    """Pairs {image: mask}, and a line for every image or mask that cannot be paired.

    A mask belongs to the image whose stem it has, else to the one whose stem plus `_mask` it has.
    `kind` is what the lines call it, for other files that belong to images by the same rule.
    """
    by_stem = _by_stem(images)
    problems = [
        f"{_both(same)} have the same name, so their {kind} cannot be told apart"
        for same in by_stem.values()
        if len(same) > 1
    ]
    candidates: dict[str, list[Path]] = defaultdict(list)
    for mask in sorted(masks):
        stem = _image_stem(mask.stem, by_stem)
        if stem is None:
            problems.append(f"{kind} {mask} has no image named {_bare(mask.stem)}")
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


def images_in(folder: Path) -> list[Path]:
    """The images directly in `folder`; none where it is missing or holds none."""
    try:
        return list_images(folder)
    except DataError:
        return []


def folders_in(folder: Path) -> list[Path]:
    """The sub-folders of `folder` by name, hidden ones left out; none where it is missing."""
    if not folder.is_dir():
        return []
    return sorted(p for p in folder.iterdir() if p.is_dir() and not p.name.startswith("."))


def _by_stem(paths: Iterable[Path]) -> dict[str, list[Path]]:
    grouped: dict[str, list[Path]] = defaultdict(list)
    for path in sorted(paths):
        grouped[path.stem].append(path)
    return dict(grouped)


def _image_stem(mask_stem: str, by_stem: dict[str, list[Path]]) -> str | None:
    return next((stem for stem in (mask_stem, _bare(mask_stem)) if stem in by_stem), None)


def _bare(mask_stem: str) -> str:
    return mask_stem.removesuffix(MASK_SUFFIX)


def _both(paths: list[Path]) -> str:
    return " and ".join(str(path) for path in paths)
