"""Small real folders in each layout, for tests of the readers and of the check."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

Write = Callable[..., Path]


def write_photo(path: Path, seed: int = 0, hw: tuple[int, int] = (24, 32)) -> Path:
    """A grey photo of noise; another seed is another photo."""
    path.parent.mkdir(parents=True, exist_ok=True)
    levels = np.random.default_rng(seed).integers(40, 200, hw, dtype=np.uint8)
    Image.fromarray(levels).save(path)
    return path


def write_mask(path: Path, hw: tuple[int, int] = (24, 32), side: int = 6) -> Path:
    """A mask with a square of `side` pixels; 0 gives an empty mask, a large one a full mask."""
    path.parent.mkdir(parents=True, exist_ok=True)
    mask = np.zeros(hw, dtype=np.uint8)
    mask[2 : 2 + side, 3 : 3 + side] = 255
    Image.fromarray(mask if side < min(hw) else np.full(hw, 255, dtype=np.uint8)).save(path)
    return path


@pytest.fixture
def photo() -> Write:
    return write_photo


@pytest.fixture
def mask() -> Write:
    return write_mask


@pytest.fixture
def mvtec(tmp_path: Path) -> Path:
    """10 cracks and 4 pits, 5 good photos to learn from, 2 for evaluation, no split.json."""
    root = tmp_path / "product"
    for number in range(14):
        name, stem = ("crack" if number < 10 else "pit"), f"{number:03d}"
        write_photo(root / "test" / name / f"{stem}.png", seed=number)
        write_mask(root / "ground_truth" / name / f"{stem}_mask.png", side=4 + number % 3)
    for number in range(7):
        folder = "train" if number < 5 else "test"
        write_photo(root / folder / "good" / f"{number:03d}.png", seed=100 + number)
    return root


@pytest.fixture
def split_mvtec(mvtec: Path) -> Path:
    """`mvtec` with a split.json whose paths start with the folder's name."""

    def paths(name: str, numbers: range, parent: str = "test") -> list[str]:
        return [f"product/{parent}/{name}/{n:03d}.png" for n in numbers]

    document = {
        "defect": {
            "crack": {
                "train": paths("crack", range(6)),
                "test": paths("crack", range(6, 10)),
                "few": paths("crack", range(2)),
            },
            "pit": {
                "train": paths("pit", range(10, 12)),
                "test": paths("pit", range(12, 14)),
                "few": paths("pit", range(10, 11)),
            },
        },
        "good": {
            "train": paths("good", range(5), "train"),
            "test": paths("good", range(5, 7)),
        },
    }
    (mvtec / "split.json").write_text(json.dumps(document))
    return mvtec


@pytest.fixture
def aliaug(tmp_path: Path) -> Path:
    """Triplets with prompts that name their class: 2 + 1 cracks, 1 + 1 gray strokes."""
    root = tmp_path / "tile"
    names = {"train": ["000", "001", "002"], "test": ["000", "001"]}
    kinds = {"000": "crack", "001": "gray stroke", "002": "crack"}
    for split, stems in names.items():
        for stem in stems:
            seed = int(stem) + (50 if split == "test" else 0)
            write_mask(root / f"{split}_A" / f"{stem}.png")
            write_photo(root / f"{split}_B" / f"{stem}.png", seed=seed)
            write_photo(root / f"{split}_C" / f"{stem}.png", seed=seed + 500)
        prompts = {f"{stem}.png": f"Add a {kinds[stem]} defect to the tile." for stem in stems}
        (root / f"{split}_prompts.json").write_text(json.dumps(prompts))
    return root


@pytest.fixture
def folders(tmp_path: Path) -> Path:
    """10 scratches and 2 dents in sub-folders, 4 good photos."""
    root = tmp_path / "photos"
    for number in range(12):
        name, stem = ("scratch" if number < 10 else "dent"), f"p{number}"
        write_photo(root / "images" / name / f"{stem}.png", seed=number)
        write_mask(root / "masks" / name / f"{stem}.png")
    for number in range(4):
        write_photo(root / "good" / f"g{number}.png", seed=100 + number)
    return root
