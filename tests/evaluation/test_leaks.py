"""A test photo that was learned from is found under any name; parts of one design are not one."""

from __future__ import annotations

import io
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from support.bundles import make_bundle

from aliaug_edge import fingerprints
from aliaug_edge.bundle import load_bundle, save_manifest
from aliaug_edge.data.procedural import render_pair
from aliaug_edge.errors import BundleError, DataError
from aliaug_edge.evaluation.leaks import find_leaks, require_no_leak, require_not_trained_on
from aliaug_edge.evaluation.photos import Photo

UInt8 = np.ndarray


def photo(name: str, image: UInt8) -> Photo:
    return Photo(name, image, np.zeros(image.shape[:2], np.uint8), "good", name)


@pytest.fixture(scope="module")
def train() -> list[Photo]:
    return [photo(f"train/{s}.png", render_pair(s, 120, 160).good) for s in range(14)]


@pytest.fixture(scope="module")
def test() -> list[Photo]:
    return [photo(f"test/{s}.png", render_pair(s, 120, 160).good) for s in range(50, 58)]


def disguised(image: UInt8, way: str) -> UInt8:
    """The picture in another form, re-encoded with JPEG quality 60."""
    picture = Image.fromarray(image)
    width, height = picture.size
    if way == "mirrored":
        picture = picture.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    if way == "turned":
        picture = picture.transpose(Image.Transpose.ROTATE_90)
    if way == "smaller":
        picture = picture.resize((round(0.8 * width), round(0.85 * height)))
    if way == "cropped":
        picture = picture.crop((4, 2, width - 3, height - 3))
    if way == "darker":
        picture = picture.point(lambda level: int(255 * (level / 255) ** 1.4 * 0.8 + 10))
    buffer = io.BytesIO()
    picture.save(buffer, "JPEG", quality=60)
    return np.asarray(Image.open(buffer).convert("RGB"))


def test_different_photos_do_not_leak(train: list[Photo], test: list[Photo]) -> None:
    assert find_leaks(train, test) == []
    require_no_leak(train, test)


def test_same_pixels_are_found(train: list[Photo], test: list[Photo]) -> None:
    copied = replace(test[2], name="train/innocent.png")
    (leak,) = find_leaks([*train, copied], test)

    assert (leak.train_name, leak.test_name) == ("train/innocent.png", "test/52.png")
    assert leak.how == "same pixels"


@pytest.mark.parametrize("way", ["as it is", "mirrored", "turned", "smaller", "cropped", "darker"])
def test_disguised_copies_are_found(train: list[Photo], test: list[Photo], way: str) -> None:
    copied = [photo(f"copy/{p.name}", disguised(p.image, way)) for p in test]
    found = {(leak.train_name, leak.test_name) for leak in find_leaks([*train, *copied], test)}

    assert {t for _, t in found} >= {p.name for p in test[:1]}
    assert found <= {(f"copy/{p.name}", p.name) for p in test}
    assert len(found) >= len(test) - 1


def test_parts_of_one_design_are_not_taken_for_one_part() -> None:
    design = render_pair(3, 160, 160).good.astype(np.float32)

    def part(seed: int) -> UInt8:
        grain = np.random.default_rng(seed).normal(0, 8, (160, 160, 1))
        return np.clip(design + grain, 0, 255).astype(np.uint8)

    train = [photo(f"train/{s}", part(s)) for s in range(26)]
    test = [photo(f"test/{s}", part(s)) for s in range(100, 104)]
    copied = photo("train/copy", disguised(test[1].image, "mirrored"))

    assert find_leaks(train, test) == []
    assert [leak.test_name for leak in find_leaks([*train, copied], test)] == ["test/101"]


def test_refusal_names_the_pair_and_what_to_do(train: list[Photo], test: list[Photo]) -> None:
    copied = photo("train/other.png", disguised(test[0].image, "as it is"))

    with pytest.raises(DataError, match=r"test/50.png is train photo train/other.png.*remove one"):
        require_no_leak([*train, copied], test)


def test_blank_photos_and_empty_sides_leak_nothing(test: list[Photo]) -> None:
    blank = [photo(f"b{level}", np.full((40, 50, 3), level, np.uint8)) for level in (60, 90)]

    assert find_leaks(blank[:1], blank[1:]) == []
    assert find_leaks([], test) == [] == find_leaks(test, [])


def bundle_of(folder: Path, photos: list[Photo]) -> Path:
    make_bundle(folder)
    seen = fingerprints.describe((p.name, p.image) for p in photos)
    (folder / fingerprints.FILE).write_bytes(fingerprints.to_bytes(seen))
    relist(folder)
    return folder


def relist(folder: Path) -> None:
    """Take what lies in the folder into the manifest."""
    document = json.loads((folder / "bundle.json").read_text())
    document.pop("files"), document.pop("schema_version")
    save_manifest(folder, document)


def test_bundle_trained_on_the_test_pool_is_refused(
    train: list[Photo], test: list[Photo], tmp_path: Path
) -> None:
    seen = photo("mine/a.png", disguised(test[3].image, "turned"))
    honest = load_bundle(bundle_of(tmp_path / "honest", train))
    leaking = load_bundle(bundle_of(tmp_path / "leaking", [*train, seen]))

    require_not_trained_on(honest, test)
    with pytest.raises(DataError, match=r"was trained on photos.*test/53.png.*mine/a.png"):
        require_not_trained_on(leaking, test)


def test_bundle_without_a_record_passes_and_a_damaged_record_does_not(
    train: list[Photo], test: list[Photo], tmp_path: Path
) -> None:
    require_not_trained_on(load_bundle(make_bundle(tmp_path / "old")), test)

    folder = bundle_of(tmp_path / "damaged", train)
    (folder / fingerprints.FILE).write_bytes(b"PK\x03\x04 not a record")
    relist(folder)
    with pytest.raises(BundleError, match=r"training_photos\.npz cannot be read"):
        require_not_trained_on(load_bundle(folder), test)


def test_record_comes_back_as_it_was_and_in_equal_bytes(train: list[Photo]) -> None:
    seen = fingerprints.describe((p.name, p.image) for p in train[:3])
    data = fingerprints.to_bytes(seen)
    back = fingerprints.from_bytes(data)

    assert (back.names, back.sha256) == (seen.names, seen.sha256)
    assert np.array_equal(back.codes, seen.codes) and back.codes.any()
    assert data == fingerprints.to_bytes(back)
    assert len(data) < 3 * 5000
