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
from aliaug_edge.data.samples import Sample
from aliaug_edge.errors import BundleError, DataError
from aliaug_edge.evaluation.folds import Fold
from aliaug_edge.evaluation.generators import place_of, trained_bundle
from aliaug_edge.evaluation.leaks import find_leaks, require_no_leak, require_not_trained_on
from aliaug_edge.evaluation.photos import Photo
from aliaug_edge.evaluation.protocol import EvaluationSettings

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


@pytest.mark.parametrize("count", [5, 15, 26])
def test_parts_of_one_design_are_not_taken_for_one_part(count: int) -> None:
    design = Image.fromarray(render_pair(3, 164, 164).good)

    def part(seed: int) -> UInt8:
        rng = np.random.default_rng(seed)
        light = 1 + rng.uniform(-0.2, 0.2) * np.linspace(-1, 1, 160)[:, None, None]
        down, across = rng.uniform(0, 4, 2)
        there = (1, 0, across, 0, 1, down)
        placed = design.transform(
            (160, 160), Image.Transform.AFFINE, there, Image.Resampling.BICUBIC
        )
        return np.clip(light * np.asarray(placed) + rng.normal(0, 8, (160, 160, 1)), 0, 255).astype(
            np.uint8
        )

    train = [photo(f"train/{s}", part(s)) for s in range(count)]
    test = [photo(f"test/{s}", part(s)) for s in range(100, 106)]
    copied = photo("train/copy", disguised(test[1].image, "mirrored"))

    def sure(known: list[Photo]) -> list[str]:
        return [leak.test_name for leak in find_leaks(known, test) if leak.sure]

    assert sure(train) == []
    assert sure([*train, copied]) == ["test/101"]


def test_too_few_photos_to_tell_a_design_from_a_part_warn(
    train: list[Photo], test: list[Photo], capsys: pytest.CaptureFixture[str]
) -> None:
    copied = photo("train/other.png", disguised(test[0].image, "as it is"))

    require_no_leak([copied, train[0]], test[:1])
    assert "too few photos to tell parts of one design from copies" in capsys.readouterr().err
    with pytest.raises(DataError, match="same pixels"):
        require_no_leak([replace(test[0], name="train/other.png"), train[0]], test[:1])


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


def relist(folder: Path, **changes: object) -> None:
    """Take what lies in the folder into the manifest."""
    document = json.loads((folder / "bundle.json").read_text())
    document.pop("files"), document.pop("schema_version")
    save_manifest(folder, {**document, **changes})


def test_bundle_trained_on_the_test_pool_is_refused(
    train: list[Photo], test: list[Photo], tmp_path: Path
) -> None:
    seen = photo("mine/a.png", disguised(test[3].image, "turned"))
    honest = load_bundle(bundle_of(tmp_path / "honest", train))
    leaking = load_bundle(bundle_of(tmp_path / "leaking", [*train, seen]))

    require_not_trained_on(honest, test)
    with pytest.raises(DataError, match=r"was trained on photos.*test/53.png.*mine/a.png"):
        require_not_trained_on(leaking, test)


def test_a_generator_found_in_the_folder_that_knows_test_photos_is_refused(
    train: list[Photo], test: list[Photo], tmp_path: Path
) -> None:
    for known in test:
        path = tmp_path / known.name
        path.parent.mkdir(exist_ok=True)
        Image.fromarray(known.image).save(path)
    tried = tuple(Sample(tmp_path / p.name, None, "good", p.name, "test") for p in test)
    fold = Fold(0, (), (), (), tried)
    bundle_of(place_of(tmp_path / "out", fold, "text").bundle_dir, [*train, test[3]])

    with pytest.raises(DataError, match=r"was trained on photos.*test/53.png"):
        trained_bundle(EvaluationSettings(tmp_path), fold, "text", tmp_path / "out", print)


def test_a_trained_bundle_without_a_record_is_refused_and_a_base_is_not(
    test: list[Photo], tmp_path: Path
) -> None:
    folder = make_bundle(tmp_path / "old")
    require_not_trained_on(load_bundle(folder), test)

    relist(folder, provenance={"training": {"steps": 300}})
    with pytest.raises(BundleError, match="no record of the photos that it learned from"):
        require_not_trained_on(load_bundle(folder), test)


def test_a_damaged_record_is_refused(train: list[Photo], test: list[Photo], tmp_path: Path) -> None:
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
