"""Copies that were turned a little, cut, framed or negated are found; hard honest sets are not."""

from __future__ import annotations

import io
from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageOps

from aliaug_edge import fingerprints
from aliaug_edge.data.procedural import render_pair
from aliaug_edge.errors import DataError
from aliaug_edge.evaluation.leaks import Leak, find_leaks, require_no_leak
from aliaug_edge.evaluation.photos import Photo

UInt8 = NDArray[np.uint8]
SIDE = 160


def photo(name: str, image: UInt8, group: str = "") -> Photo:
    return Photo(name, image, np.zeros(image.shape[:2], np.uint8), "good", group or name)


@pytest.fixture(scope="module")
def train() -> list[Photo]:
    return [photo(f"train/{s}", render_pair(s, 120, 160).good) for s in range(14)]


@pytest.fixture(scope="module")
def test() -> list[Photo]:
    return [photo(f"test/{s}", render_pair(s, 120, 160).good) for s in range(50, 56)]


def turned_within(picture: Image.Image, degrees: float) -> Image.Image:
    """Turned, and cut to the largest picture of its shape without empty corners."""
    width, height = picture.size
    angle = np.radians(abs(degrees))
    across = width * np.cos(angle) + height * np.sin(angle)
    down = width * np.sin(angle) + height * np.cos(angle)
    kept = min(width / across, height / down)
    return cut(picture.rotate(degrees, Image.Resampling.BICUBIC), *[(1 - kept) / 2] * 4)


def cut(picture: Image.Image, left: float, top: float, right: float, bottom: float) -> Image.Image:
    width, height = picture.size
    corner = round((1 - right) * width), round((1 - bottom) * height)
    return picture.crop((round(left * width), round(top * height), *corner))


DISGUISES: dict[str, Callable[[Image.Image], Image.Image]] = {
    "turned by 2 degrees": lambda p: turned_within(p, 2),
    "turned by 5 degrees, mirrored": lambda p: turned_within(ImageOps.mirror(p), -5),
    "turned by 5 degrees, black corners": lambda p: p.rotate(5, Image.Resampling.BICUBIC),
    "cut by a fifth": lambda p: cut(p, 0.1, 0.12, 0.1, 0.08),
    "cut on one side": lambda p: cut(p, 0.2, 0, 0, 0),
    "framed in black": lambda p: ImageOps.expand(p, 16),
    "framed in white": lambda p: ImageOps.expand(p, 8, (255, 255, 255)),
    "as a negative": ImageOps.invert,
}


def jpeg(picture: Image.Image) -> UInt8:
    buffer = io.BytesIO()
    picture.save(buffer, "JPEG", quality=60)
    return np.asarray(Image.open(buffer).convert("RGB"))


def disguised(image: UInt8, way: str) -> UInt8:
    return jpeg(DISGUISES[way](Image.fromarray(image)))


def part(design: UInt8, seed: int, *, turn: float = 0, shift: float = 4) -> UInt8:
    """A part of a design, lying a little elsewhere, in its own light and grain."""
    rng = np.random.default_rng(seed)
    light = 1 + rng.uniform(-0.2, 0.2) * np.linspace(-1, 1, SIDE)[:, None, None]
    placed = Image.fromarray(design).rotate(
        rng.uniform(-turn, turn),
        Image.Resampling.BICUBIC,
        translate=tuple(rng.uniform(0, shift, 2)),
    )
    seen = np.asarray(cut(placed, *[(1 - SIDE / len(design)) / 2] * 4))
    return np.clip(light * seen + rng.normal(0, 8, (SIDE, SIDE, 1)), 0, 255).astype(np.uint8)


def sure(leaks: list[Leak]) -> list[tuple[str, str]]:
    return [(leak.train_name, leak.test_name) for leak in leaks if leak.sure]


@pytest.mark.parametrize("way", DISGUISES)
def test_a_disguised_copy_is_found_and_nothing_else(
    train: list[Photo], test: list[Photo], way: str
) -> None:
    copies = [photo(f"copy/{p.name}", disguised(p.image, way)) for p in test]
    found = sure(find_leaks([*train, *copies], test))

    assert set(found) <= {(f"copy/{p.name}", p.name) for p in test}
    # Two are weaves, which fit over each other in many ways; empty corners hide much of another.
    assert len(found) >= len(test) - (3 if "corners" in way else 1)


def test_what_was_done_to_a_copy_is_said(train: list[Photo], test: list[Photo]) -> None:
    copy = photo("train/other", disguised(test[0].image, "as a negative"))
    with pytest.raises(DataError, match=r"train/other \(same picture, as a negative, sim"):
        require_no_leak([*train, copy], test)


def test_one_photo_copied_under_several_names_is_refused(
    train: list[Photo], test: list[Photo]
) -> None:
    first = Image.fromarray(test[0].image)
    straight = [photo(f"copy/{n}", jpeg(first.resize((160 - n, 120 - n)))) for n in (0, 3)]
    changed = [photo(f"copy/{way}", disguised(test[0].image, way)) for way in list(DISGUISES)[:1]]

    assert ("copy/0", "test/50") in sure(find_leaks([*train, *straight, *changed], test))


def test_other_photos_of_the_same_test_part_do_not_excuse_a_copy(
    train: list[Photo], test: list[Photo]
) -> None:
    again = [
        photo(f"test/again{n}", jpeg(Image.fromarray(test[0].image)), test[0].group)
        for n in range(3)
    ]
    copy = photo("train/other", disguised(test[0].image, "cut on one side"))
    assert ("train/other", test[0].name) in sure(find_leaks([*train, copy], [*test, *again]))


@pytest.mark.parametrize("count", [6, 20])
def test_parts_of_one_design_that_lie_turned_are_not_accused(count: int) -> None:
    design = render_pair(3, 200, 200).good
    train = [photo(f"train/{s}", part(design, s, turn=8)) for s in range(count)]
    test = [photo(f"test/{s}", part(design, s, turn=8)) for s in range(100, 105)]

    assert sure(find_leaks(train, test)) == []


def test_a_woven_ground_that_starts_anywhere_is_not_accused() -> None:
    down, across = np.mgrid[: SIDE + 80, : SIDE + 80]
    weave = 128 + 50 * np.sin(down / 3) * np.sin(across / 2.4) + 20 * np.sin((down + across) / 7)
    design = np.repeat(weave[..., None], 3, axis=2).astype(np.uint8)
    train = [photo(f"train/{s}", part(design, s, shift=30, turn=2)) for s in range(20)]
    test = [photo(f"test/{s}", part(design, s, shift=30, turn=2)) for s in range(100, 105)]

    assert sure(find_leaks(train, test)) == []


@pytest.mark.parametrize(("few", "tried"), [(4, 4), (4, 1), (2, 2)])
def test_a_design_of_few_photos_in_a_mixed_folder_is_not_accused(few: int, tried: int) -> None:
    common, rare = (render_pair(seed, 180, 180).good for seed in (3, 8))
    train = [photo(f"train/a{s}", part(common, s)) for s in range(40)]
    train += [photo(f"train/b{s}", part(rare, s)) for s in range(50, 50 + few)]
    test = [photo(f"test/a{s}", part(common, s)) for s in range(100, 104)]
    test += [photo(f"test/b{s}", part(rare, s)) for s in range(150, 150 + tried)]
    assert sure(find_leaks(train, test)) == []

    copy = photo("train/copy", jpeg(Image.fromarray(test[1].image)))
    assert sure(find_leaks([*train, copy], test)) == [("train/copy", "test/a101")]


def test_the_answer_is_the_same_twice(train: list[Photo], test: list[Photo]) -> None:
    copies = [photo(f"copy/{p.name}", disguised(p.image, "cut on one side")) for p in test[:2]]
    assert find_leaks([*train, *copies], test) == find_leaks([*train, *copies], test)


def test_a_border_of_one_grey_is_no_part_of_a_fingerprint(test: list[Photo]) -> None:
    framed = np.pad(test[0].image, ((9, 0), (12, 20), (0, 0)))
    plain, seen = (fingerprints.fingerprint(i).astype(int) for i in (test[0].image, framed))
    assert np.corrcoef(plain.ravel(), seen.ravel())[0, 1] > 0.5
    assert not fingerprints.fingerprint(np.full((40, 50, 3), 7, np.uint8)).any()
