"""The drawn product line: readable, split without leaks, reproducible, and refused when absurd."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image
from support.commands import run_command

from aliaug_edge import imaging
from aliaug_edge.cli.data import make
from aliaug_edge.data.check import check_dataset
from aliaug_edge.data.make import make_dataset
from aliaug_edge.data.reader import load_dataset
from aliaug_edge.errors import AliAugError, OutputError

CLASSES = ("scratch", "blowhole")


def small(folder: Path, **changes: object) -> Path:
    settings = {
        "classes": CLASSES,
        "defects_per_class": 3,
        "goods": 4,
        "size_hw": (64, 96),
        "seed": 3,
    }
    return make_dataset(folder, **{**settings, **changes})  # type: ignore[arg-type]


def contents(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def test_the_readers_find_nothing_wrong_with_it(tmp_path: Path) -> None:
    report = check_dataset(small(tmp_path / "line"))
    assert report.ok
    dataset = load_dataset(tmp_path / "line")
    assert dataset.layout == "mvtec"
    assert dataset.classes == tuple(sorted(CLASSES))
    assert dataset.problems == ()


def test_every_class_has_photos_in_both_pools_and_none_in_two(tmp_path: Path) -> None:
    dataset = load_dataset(small(tmp_path / "line"))
    train = {(s.defect_class, s.image_path.name) for s in dataset.defects("train")}
    test = {(s.defect_class, s.image_path.name) for s in dataset.defects("test")}
    assert {name for name, _ in train} == {name for name, _ in test} == set(CLASSES)
    assert not train & test
    assert len(dataset.goods("train")) == 3
    assert len(dataset.goods("test")) == 1


def test_images_and_masks_have_the_size_asked_for_and_grey_metal_is_grey(tmp_path: Path) -> None:
    folder = small(tmp_path / "line")
    for sample in load_dataset(folder).defects("train"):
        assert sample.mask_path is not None
        assert imaging.load_mask(sample.mask_path).shape == (64, 96)
        with Image.open(sample.image_path) as image:
            assert (image.mode, image.size) == ("L", (96, 64))


def test_equal_arguments_give_equal_bytes_and_another_seed_other_photos(tmp_path: Path) -> None:
    first, again = contents(small(tmp_path / "a")), contents(small(tmp_path / "b"))
    other = contents(small(tmp_path / "c", seed=4))
    assert first == again
    assert first.keys() == other.keys()
    assert all(first[name] != other[name] for name in first if name.startswith("train/"))


def test_more_goods_leave_the_other_photos_as_they_were(tmp_path: Path) -> None:
    few, many = contents(small(tmp_path / "a")), contents(small(tmp_path / "b", goods=6))
    assert few["test/scratch/000.png"] == many["test/scratch/000.png"]
    assert few["train/good/000.png"] == many["train/good/000.png"]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"material": "cheese"}, "unknown material 'cheese'"),
        ({"classes": ("scratch", "bite")}, "unknown classes bite"),
        ({"classes": ()}, "classes: none"),
        ({"classes": ("dent", "dent")}, "one twice"),
        ({"goods": 1}, "at least 2"),
        ({"defects_per_class": 0}, "at least 2"),
        ({"size_hw": (64, 8)}, "at least 64 pixels"),
    ],
)
def test_what_cannot_be_drawn_is_refused_and_nothing_is_written(
    changes: dict[str, object], message: str, tmp_path: Path
) -> None:
    with pytest.raises(AliAugError, match=message):
        small(tmp_path / "line", **changes)
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_holds_something_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("mine")
    with pytest.raises(OutputError, match="not an empty folder"):
        small(tmp_path)
    assert contents(tmp_path) == {"mine.txt": b"mine"}


def test_the_command_draws_mixed_materials_and_names_the_next_step(tmp_path: Path) -> None:
    out = tmp_path / "line"
    options = ("--material", "mixed", "--classes", "dent", "--defects", 2, "--good", 2)
    result = run_command(make, out, *options, "--size", 64)
    assert result.exit_code == 0, result.stderr
    assert f"ali-aug data check {out}" in result.stdout
    assert check_dataset(out).ok


def test_the_command_refuses_a_size_it_cannot_read(tmp_path: Path) -> None:
    result = run_command(make, tmp_path / "line", "--size", "big")
    assert result.exit_code == 2
    assert "expected 128 or 128x192" in result.stderr
    assert not (tmp_path / "line").exists()
