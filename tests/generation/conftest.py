"""A small bundle and small folders of good images and masks, as a user would have them."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from aliaug_edge.bundle import Bundle, load_bundle
from tests.support.bundles import make_bundle


@pytest.fixture(scope="session")
def bundle_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Classes crack and stain, sizes 64 and 128."""
    folder = tmp_path_factory.mktemp("bundles") / "bundle"
    return make_bundle(folder, sizes=[(64, 64), (128, 128)])


@pytest.fixture(scope="session")
def bundle(bundle_dir: Path) -> Bundle:
    return load_bundle(bundle_dir)


@pytest.fixture
def good_dir(tmp_path: Path) -> Path:
    """Six good images: grey and coloured, of several sizes, PNG and JPEG."""
    folder = tmp_path / "good"
    folder.mkdir()
    for number, (height, width) in enumerate(SIZES):
        rng = np.random.default_rng(number)
        grey = rng.integers(90, 140, (height, width, 1), dtype=np.uint8).repeat(3, axis=2)
        if number % 2:
            grey[..., 2] //= 2
        suffix = "jpg" if number == 4 else "png"
        Image.fromarray(grey).save(folder / f"part_{number}.{suffix}")
    return folder


@pytest.fixture
def masks_dir(tmp_path: Path) -> Path:
    """A mask for each of the good images, named after it."""
    folder = tmp_path / "masks"
    folder.mkdir()
    for number, (height, width) in enumerate(SIZES):
        mask = np.zeros((height, width), dtype=np.uint8)
        mask[20 : 30 + number, 15:40] = 255
        Image.fromarray(mask).save(folder / f"part_{number}_mask.png")
    return folder


SIZES = [(96, 128), (110, 97), (64, 64), (150, 90), (80, 200), (40, 50)]


def tree_hash(folder: Path) -> str:
    """Of every file's relative name and bytes, hidden ones included."""
    digest = hashlib.sha256()
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            digest.update(path.relative_to(folder).as_posix().encode() + b"\0")
            digest.update(hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()


@pytest.fixture
def hash_of():
    return tree_hash
