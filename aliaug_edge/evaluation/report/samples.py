"""Photos of the synthetic pools side by side: what each made at the same place.

Pools lie in OUT/pools/fold-F/NAME, see `pools.store`. Copy-paste and our generator work at the
same places of the same good photos and give their photos the placement's name, so they share rows.
Good photos are no part of a pool: the first ones of a fold are kept in OUT/pools/fold-F/GOODS.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from aliaug_edge import crops, files, imaging
from aliaug_edge.errors import DataError
from aliaug_edge.evaluation.pools.store import IMAGES, INDEX, MASKS
from aliaug_edge.report.data import Picture, PictureRow
from aliaug_edge.report.pictures import picture

GOODS = "goods"
OWN_PLACES = ("perlin", "cutpaste")  # pools that choose their good photos themselves
MOST_ROWS = 8  # of each set of pools that share their placements
_LOOKED_AT = 24  # first photos of each pool
_LEAST_PX, _MOST_PX = 96, 320  # sides of what is shown; larger windows are scaled down
_WINDOW = 2.0  # the window's side over the mask's longer side

UInt8 = NDArray[np.uint8]


@dataclass(frozen=True)
class _Made:
    """One synthetic photo: its pool, its own name within it, and its files."""

    pool: str
    stem: str
    defect_class: str
    image: Path
    mask: Path


def save_goods(fold: Path, goods: Mapping[str, UInt8]) -> None:
    """Keep good photos (H, W, 3) by the name of their placement, in OUT/pools/fold-F.

    A report shows few placements, so the first two dozen are enough.

    Raises:
        OutputError: they cannot be written.
    """
    for stem, image in goods.items():
        files.write_bytes(fold / GOODS / f"{stem}.png", imaging.encode_png(image))


def sample_rows(out: Path) -> list[tuple[str, tuple[PictureRow, ...]]]:
    """Rows of good photo (where it was kept), mask and what each pool made there, by heading.

    Raises:
        DataError: a pool's index or a photo that it names cannot be read.
    """
    blocks: list[tuple[str, tuple[PictureRow, ...]]] = []
    for fold in sorted((out / "pools").glob("fold-*")):
        rows: dict[tuple[str, ...], list[PictureRow]] = {}
        for made in _by_place(fold):
            chosen = rows.setdefault(tuple(entry.pool for entry in made), [])
            if len(chosen) < MOST_ROWS:
                chosen.append(_row(fold, made))
        name = fold.name.replace("-", " ")
        for pools in sorted(rows, key=lambda pools: (-len(pools), pools)):  # comparisons first
            blocks.append((f"{name}: {', '.join(pools)}", tuple(rows[pools])))
    return blocks


def _by_place(fold: Path) -> list[list[_Made]]:
    """What the pools of a fold made, photos of one placement together."""
    places: dict[tuple[str, str, str], list[_Made]] = {}
    for index in sorted(fold.glob(f"*/{INDEX}")):
        for made in _listed(index)[:_LOOKED_AT]:
            if not made.mask.is_file():
                raise DataError(f"{made.mask} is missing; remove its pool, and it is made again")
            key = (made.stem, made.defect_class, files.sha256_of_file(made.mask))
            places.setdefault(key, []).append(made)
    return [places[key] for key in sorted(places)]


def _listed(index: Path) -> list[_Made]:
    folder = index.parent
    try:
        rows = json.loads(index.read_text(encoding="utf-8"))["photos"]
        return [
            _Made(
                folder.name,
                str(row["name"]).rsplit("/", 1)[-1],
                row["defect_class"],
                folder / IMAGES / f"{number:06d}.png",
                folder / MASKS / f"{number:06d}.png",
            )
            for number, row in enumerate(rows)
        ]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DataError(
            f"{index} is not the index of a pool ({error}); remove its folder, and it is made again"
        ) from error


def _row(fold: Path, made: list[_Made]) -> PictureRow:
    first = made[0]
    mask = imaging.load_mask(first.mask)
    window = _around(mask)
    pictures = [_cut(mask, window, "mask", synthetic=True)]
    good = fold / GOODS / f"{first.stem}.png"
    if good.is_file() and first.pool not in OWN_PLACES:
        pictures.insert(0, _cut(imaging.load_image(good), window, "good", synthetic=False))
    pictures += [_cut(imaging.load_image(m.image), window, m.pool, synthetic=True) for m in made]
    return PictureRow(first.defect_class, f"placement {first.stem}", tuple(pictures))


def _around(mask: UInt8) -> crops.Window:
    """A square around the mask with some margin, as far as it lies in the photo."""
    hw = (mask.shape[0], mask.shape[1])
    if not mask.any():
        return crops.Window(0, 0, *hw)
    box = crops.mask_box(mask)
    side = max(_LEAST_PX, round(_WINDOW * max(box.height, box.width)))
    top, left = box.top + box.height // 2 - side // 2, box.left + box.width // 2 - side // 2
    return crops.inside(crops.Window(top, left, side, side), hw)


def _cut(image: UInt8, window: crops.Window, title: str, *, synthetic: bool) -> Picture:
    cut = crops.cut(image, window)
    scale = min(1.0, _MOST_PX / max(cut.shape[:2]))
    if scale < 1:
        cut = crops.resize(cut, (round(cut.shape[0] * scale), round(cut.shape[1] * scale)))
    return picture(cut, title, synthetic=synthetic)
