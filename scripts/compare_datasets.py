"""Are two datasets of the same request the same? Labels and masks exactly, images to the rounding.

python scripts/compare_datasets.py A B [--levels 1] [--share 0.0001]

Prints what was compared; ends with one line and exit code 1 where they differ by more.
"""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

SAMPLES = "samples.jsonl"
SCORE_TOLERANCE = 0.05  # the scores are means over pixels, written with three digits
# Pictures that hold the model's output, and copies of them; every other PNG is a mask.
IMAGES = "images/"
COPIES = ("mvtec/generated/test/", "contact_sheet.png")


class DifferenceError(Exception):
    """The datasets differ by more than is allowed; the text says where."""


@dataclass(frozen=True)
class Drawn:
    """How far the images of two datasets are apart, over all their values (pixels x channels)."""

    images: int
    values: int
    differing: int
    most: int  # grey levels

    def __str__(self) -> str:
        return (
            f"{self.images} images: {self.differing} of {self.values} values differ "
            f"({self.differing / self.values:.4%}), by at most {self.most} grey levels"
        )


def compare(first: Path, second: Path, levels: int, share: float) -> str:
    """What was compared, as text.

    Raises:
        DifferenceError: files are missing, a label or mask differs, or images differ by more than
            `levels` grey levels or in more than `share` of their values.
    """
    names = _same_names(first, second)
    pictures = [name for name in names if name.endswith(".png")]
    images = [name for name in pictures if name.startswith(IMAGES)]
    copies = [name for name in pictures if name.startswith(COPIES)]
    masks = [name for name in pictures if name not in (*images, *copies)]
    texts = [name for name in names if name not in (*pictures, SAMPLES)]
    for name in masks:
        if not np.array_equal(_pixels(first / name), _pixels(second / name)):
            raise DifferenceError(f"{name}: the masks differ")
    for name in texts:
        if (first / name).read_bytes() != (second / name).read_bytes():
            raise DifferenceError(f"{name}: the contents differ")
    scores = _compare_records(first / SAMPLES, second / SAMPLES)
    for kind in (copies, images):  # counted apart, so that no value counts twice
        apart = _apart([(_pixels(first / name), _pixels(second / name)) for name in kind])
        if apart.most > levels or apart.differing > share * apart.values:
            raise DifferenceError(
                f"{apart}; allowed are {levels} grey levels in {share:.2%} of them"
            )
    return (
        f"  {apart}\n  {len(masks)} masks and {len(texts)} label and settings files: identical\n"
        f"  records: identical but for scores, which differ by at most {scores:g}"
    )


def _same_names(first: Path, second: Path) -> list[str]:
    """Relative paths of all files, which must be the same in both."""
    one, other = (
        {str(path.relative_to(folder).as_posix()) for path in folder.rglob("*") if path.is_file()}
        for folder in (first, second)
    )
    if one != other:
        raise DifferenceError(f"only one of the two has {', '.join(sorted(one ^ other))}")
    if not any(name.startswith(IMAGES) for name in one):
        raise DifferenceError(f"{first} holds no images")
    return sorted(one)


def _apart(pairs: list[tuple[NDArray[np.uint8], NDArray[np.uint8]]]) -> Drawn:
    values = differing = most = 0
    for one, other in pairs:
        if one.shape != other.shape:
            raise DifferenceError(f"images of {one.shape} and {other.shape}")
        gap = np.abs(one.astype(np.int16) - other)
        values += gap.size
        differing += int(np.count_nonzero(gap))
        most = max(most, int(gap.max()))
    return Drawn(len(pairs), values, differing, most)


def _compare_records(first: Path, second: Path) -> float:
    """The largest difference of a score; everything else of each record must be equal."""
    most, ours_all, theirs_all = 0.0, _records(first), _records(second)
    if len(ours_all) != len(theirs_all):
        raise DifferenceError(f"{SAMPLES}: {len(ours_all)} records and {len(theirs_all)}")
    for one, other in zip(ours_all, theirs_all, strict=True):
        ours, theirs = (record.pop("scores") or {} for record in (one, other))
        if one != other or ours.keys() != theirs.keys():
            raise DifferenceError(f"{SAMPLES}: the records of sample {one['index']} differ")
        most = max([most, *(abs(ours[name] - theirs[name]) for name in ours)])
    if most > SCORE_TOLERANCE:
        raise DifferenceError(f"{SAMPLES}: a score differs by {most:g}")
    return most


def _records(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def _pixels(path: Path) -> NDArray[np.uint8]:
    with Image.open(path) as image:
        return np.asarray(image)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("first", type=Path)
    parser.add_argument("second", type=Path)
    parser.add_argument("--levels", type=int, default=1, help="grey levels that may lie between")
    parser.add_argument("--share", type=float, default=0.0001, help="of values that may differ")
    asked = parser.parse_args()
    print(f"{asked.first.name} against {asked.second.name}")
    try:
        print(compare(asked.first, asked.second, asked.levels, asked.share))
    except DifferenceError as error:
        sys.exit(f"FAIL: {asked.first.name} and {asked.second.name} | {error}")


if __name__ == "__main__":
    main()
