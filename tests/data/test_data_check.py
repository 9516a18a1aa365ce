"""`ali-aug data check` and the loading of pairs: every kind of bad file, in one pass."""

from __future__ import annotations

import errno
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import typer
from PIL import Image
from typer.testing import CliRunner

from aliaug_edge.cli.app import ErrorBoundary
from aliaug_edge.cli.data import data_app
from aliaug_edge.data.check import check_dataset
from aliaug_edge.data.check_report import report_text
from aliaug_edge.data.load import load_pair
from aliaug_edge.data.samples import Sample
from aliaug_edge.errors import DataError
from aliaug_edge.imaging import encode_png, load_image

Write = Callable[..., Path]

app = typer.Typer(cls=ErrorBoundary)
app.add_typer(data_app, name="data")


def defect(image: Path, mask: Path | None) -> Sample:
    return Sample(image, mask, "crack", "p1", "train")


def break_file(path: Path, kind: str) -> None:
    whole = path.read_bytes()
    if kind == "zero bytes":
        path.write_bytes(b"")
    elif kind == "truncated":
        path.write_bytes(whole[: len(whole) // 2])
    elif kind == "corrupt":
        path.write_bytes(whole[:60] + bytes(20) + whole[80:])
    elif kind == "text":
        path.write_text("no image")
    elif kind == "bomb":
        Image.new("1", (10_001, 10_000)).save(path)
    elif kind == "animated":
        frames = [Image.new("L", (32, 24), level) for level in (0, 99)]
        frames[0].save(path, save_all=True, append_images=frames[1:])
    elif kind == "float":
        Image.fromarray(np.zeros((24, 32), dtype=np.float32)).save(path, format="TIFF")


KINDS = ["zero bytes", "truncated", "corrupt", "text", "bomb", "animated", "float"]


# ---------------------------------------------------------------- pairs


def test_a_pair_is_image_and_mask(tmp_path: Path, photo: Write, mask: Write) -> None:
    image_path, mask_path = photo(tmp_path / "a.png"), mask(tmp_path / "m.png", side=5)
    image, marked = load_pair(defect(image_path, mask_path))
    assert image.shape == (24, 32, 3)
    assert marked.shape == (24, 32)
    assert image.dtype == marked.dtype == np.uint8
    assert int((marked == 255).sum()) == 25


def test_a_mask_of_another_size_is_refused(tmp_path: Path, photo: Write, mask: Write) -> None:
    sample = defect(photo(tmp_path / "a.png"), mask(tmp_path / "m.png", hw=(24, 30)))
    with pytest.raises(DataError, match=r"m\.png is 30 x 24 but its image .*a\.png is 32 x 24"):
        load_pair(sample)


def test_an_empty_mask_is_refused(tmp_path: Path, photo: Write, mask: Write) -> None:
    with pytest.raises(DataError, match=r"m\.png is empty"):
        load_pair(defect(photo(tmp_path / "a.png"), mask(tmp_path / "m.png", side=0)))


def test_a_mask_of_zeros_and_ones_is_refused_with_a_hint(tmp_path: Path, photo: Write) -> None:
    ones = np.zeros((24, 32), dtype=np.uint8)
    ones[3:9, 3:9] = 1
    Image.fromarray(ones).save(tmp_path / "m.png")
    with pytest.raises(DataError, match="stored as 0 and 1 must be saved as 0 and 255"):
        load_pair(defect(photo(tmp_path / "a.png"), tmp_path / "m.png"))


@pytest.mark.parametrize("level", [1, 255, 4095])
def test_a_sixteen_bit_mask_of_another_range_is_refused_with_a_hint(
    tmp_path: Path, photo: Write, level: int
) -> None:
    levels = np.zeros((24, 32), dtype=np.uint16)
    levels[3:9, 3:9] = level
    Image.fromarray(levels).save(tmp_path / "m.png")
    with pytest.raises(DataError, match=rf"reach only {level} of 65535.* save it with 8 bits"):
        load_pair(defect(photo(tmp_path / "a.png"), tmp_path / "m.png"))


def test_a_photo_that_its_exif_tag_turns_is_called_so(tmp_path: Path, mask: Write) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.new("L", (32, 24), 99).save(tmp_path / "a.jpg", exif=exif)
    with pytest.raises(
        DataError, match=r"32 x 24 but .* 24 x 32; .*a\.jpg is turned .* by its EXIF"
    ):
        load_pair(defect(tmp_path / "a.jpg", mask(tmp_path / "m.png")))


def test_a_full_mask_is_refused(tmp_path: Path, photo: Write, mask: Write) -> None:
    with pytest.raises(DataError, match=r"m\.png is full"):
        load_pair(defect(photo(tmp_path / "a.png"), mask(tmp_path / "m.png", side=99)))


def test_a_missing_mask_file_is_refused(tmp_path: Path, photo: Write) -> None:
    with pytest.raises(DataError, match=r"gone\.png does not exist"):
        load_pair(defect(photo(tmp_path / "a.png"), tmp_path / "gone.png"))


def test_a_good_photo_is_no_pair(tmp_path: Path, photo: Write) -> None:
    with pytest.raises(ValueError, match="has no mask"):
        load_pair(defect(photo(tmp_path / "a.png"), None))


# ---------------------------------------------------------------- the check


def test_a_sound_folder_is_counted_and_has_no_problems(split_mvtec: Path) -> None:
    report = check_dataset(split_mvtec)
    assert report.ok
    crack, pit, good = report.classes
    assert (crack.name, crack.train, crack.test) == ("crack", 6, 4)
    assert (pit.groups_train, pit.groups_test) == (2, 2)
    assert (good.name, good.train, good.test, good.area_px) == ("good", 5, 2, {})
    assert crack.area_px["min"] == 16
    assert crack.area_px["max"] == 36
    assert crack.area_fraction["min"] == pytest.approx(16 / (24 * 32))
    assert report.image_modes == {"L": 21}
    assert report.smallest_hw == report.largest_hw == (24, 32)


@pytest.mark.parametrize("place", ["test/crack/000.png", "ground_truth/crack/000_mask.png"])
@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_bad_file_is_found(split_mvtec: Path, kind: str, place: str) -> None:
    break_file(split_mvtec / place, kind)
    report = check_dataset(split_mvtec)
    assert len(report.problems) == 1
    assert str(split_mvtec / place) in report.problems[0]


def test_all_problems_are_found_in_one_pass(split_mvtec: Path, photo: Write, mask: Write) -> None:
    tests, masks = split_mvtec / "test", split_mvtec / "ground_truth"
    break_file(tests / "crack" / "000.png", "text")
    break_file(masks / "crack" / "000_mask.png", "zero bytes")
    mask(masks / "crack" / "001_mask.png", hw=(24, 31))
    mask(masks / "crack" / "002_mask.png", side=0)
    mask(masks / "crack" / "003_mask.png", side=99)
    mask(masks / "crack" / "004.png")
    (masks / "crack" / "005_mask.png").unlink()
    photo(tests / "crack" / "006.jpg")
    mask(masks / "pit" / "stray.png")
    break_file(split_mvtec / "train" / "good" / "000.png", "truncated")
    problems = check_dataset(split_mvtec).problems
    for expected in (
        "000.png is not an image",
        "000_mask.png is empty (0 bytes)",
        "001_mask.png is 31 x 24 but",
        "002_mask.png is empty: no pixel",
        "003_mask.png is full",
        "004.png has two files as its mask",
        "005.png has no mask",
        "006.png have the same name",
        "stray.png has no image",
        "train/good/000.png is damaged",
    ):
        assert any(expected in p for p in problems), expected


def test_the_same_photo_in_both_splits_is_a_leak(split_mvtec: Path) -> None:
    crack = split_mvtec / "test" / "crack"
    image = load_image(crack / "000.png")
    Image.fromarray(image).save(crack / "009.png")  # other bytes, the same pixels
    (problem,) = check_dataset(split_mvtec).problems
    assert "the same photo lies in both splits" in problem
    assert "000.png (train) and" in problem


def test_the_same_photo_twice_in_a_split_is_noted(split_mvtec: Path) -> None:
    crack = split_mvtec / "test" / "crack"
    (crack / "001.png").write_bytes((crack / "000.png").read_bytes())
    report = check_dataset(split_mvtec)
    assert report.ok
    assert any("lies twice in train" in note for note in report.notes)


def test_a_group_across_the_splits_is_a_problem(split_mvtec: Path, tmp_path: Path) -> None:
    groups = tmp_path / "parts.csv"
    groups.write_text("file,group\ntest/crack/000.png,p1\ntest/good/005.png,p1\n")
    (problem,) = check_dataset(split_mvtec, groups=groups).problems
    assert "group p1 lies in both splits" in problem


def test_synthetic_images_may_be_learned_from_but_not_tested_on(split_mvtec: Path) -> None:
    for name in ("000", "009"):
        path = split_mvtec / "test" / "crack" / f"{name}.png"
        path.write_bytes(encode_png(load_image(path), synthetic=True))
    report = check_dataset(split_mvtec)
    assert len(report.problems) == 1
    assert "009.png is marked as synthetic and lies in the test split" in report.problems[0]
    assert any("1 images to learn from are marked as synthetic" in n for n in report.notes)


def test_an_input_of_another_size_is_found(aliaug: Path, photo: Write) -> None:
    photo(aliaug / "train_C" / "000.png", hw=(20, 20))
    (problem,) = check_dataset(aliaug).problems
    assert "train_C/000.png is 20 x 20 but" in problem


def test_progress_counts_every_sample(split_mvtec: Path) -> None:
    calls: list[tuple[int, int]] = []
    check_dataset(split_mvtec, progress=lambda done, total: calls.append((done, total)))
    assert calls == [(n, 21) for n in range(1, 22)]


def test_twelve_bits_in_sixteen_are_noted_with_what_to_do(split_mvtec: Path) -> None:
    rng = np.random.default_rng(0)
    for name, high in (("000", 4096), ("001", 4000), ("002", 65536)):
        levels = rng.integers(0, high, (24, 32), dtype=np.uint16)
        levels[0, 0] = high - 1
        Image.fromarray(levels).save(split_mvtec / "test" / "crack" / f"{name}.png")
    report = check_dataset(split_mvtec)
    (note,) = (note for note in report.notes if "16 bits" in note)
    assert report.ok
    assert note.startswith("2 photos have 16 bits but hold at most 12")
    assert "crack/000.png, whose largest sample is 4095 of 65535" in note
    assert "it has 17 grey levels; save 12-bit photos times 16" in note


def test_files_that_are_never_read_are_noted_by_kind(
    split_mvtec: Path, photo: Write, mask: Write
) -> None:
    photo(split_mvtec / "test" / "000.png")
    photo(split_mvtec / "test" / "crack" / "more" / "000.png")
    mask(split_mvtec / "ground_truth" / "good" / "000.png")
    for number in range(2):
        Image.new("L", (9, 9)).save(split_mvtec / "test" / "pit" / f"{number}.gif")
    (split_mvtec / "test" / "pit" / ".DS_Store").touch()
    (split_mvtec / "license.txt").touch()
    report = check_dataset(split_mvtec)
    assert report.ok
    unread = [note for note in report.notes if "not read" in note]
    assert len(unread) == 2
    assert "3 images are not read, e.g." in unread[0]
    assert (
        "ground_truth/good/000.png; this layout has them in train/good/, test/CLASS/" in unread[0]
    )
    assert "2 files of the kind .gif are not read, e.g." in unread[1]


@pytest.mark.parametrize("layout", ["mvtec", "split_mvtec", "aliaug", "folders"])
def test_a_folder_without_leftovers_has_no_such_note(
    layout: str, request: pytest.FixtureRequest
) -> None:
    notes = check_dataset(request.getfixturevalue(layout)).notes
    assert not any("not read" in note for note in notes)


def test_files_of_no_sample_are_decoded_too(split_mvtec: Path) -> None:
    document = json.loads((split_mvtec / "split.json").read_text())
    document["defect"]["crack"]["test"].remove("product/test/crack/009.png")
    (split_mvtec / "split.json").write_text(json.dumps(document))
    masks = split_mvtec / "ground_truth"
    break_file(split_mvtec / "test" / "crack" / "009.png", "truncated")  # in no pool
    break_file(masks / "crack" / "009_mask.png", "text")  # its mask
    (masks / "crack" / "000_mask.png").unlink()
    break_file(split_mvtec / "test" / "crack" / "000.png", "text")  # without a mask
    (masks / "pit" / "stray.png").write_bytes(b"")  # without an image
    calls: list[tuple[int, int]] = []
    report = check_dataset(split_mvtec, progress=lambda *counts: calls.append(counts))
    for expected in (
        "crack/009.png is damaged",
        "009_mask.png is not an image",
        "crack/000.png is not an image",
        "stray.png is empty (0 bytes)",
    ):
        assert sum(expected in problem for problem in report.problems) == 1, expected
    assert calls[-1] == (19 + 4, 19 + 4)


def test_a_folder_that_cannot_be_walked_is_named(
    split_mvtec: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    closed = split_mvtec / "closed"
    closed.mkdir()
    scan = os.scandir

    def denied(path: str) -> Any:
        if Path(path) == closed:
            raise PermissionError(errno.EACCES, "Permission denied", path)
        return scan(path)

    monkeypatch.setattr(os, "scandir", denied)
    with pytest.raises(DataError, match="closed cannot be read: Permission denied"):
        check_dataset(split_mvtec)


# ---------------------------------------------------------------- the command


def test_the_command_prints_a_table_and_exits_0(split_mvtec: Path) -> None:
    result = CliRunner().invoke(app, ["data", "check", str(split_mvtec)])
    assert result.exit_code == 0
    assert "no problems found" in result.stdout
    assert result.stdout.rstrip() == report_text(check_dataset(split_mvtec))
    assert result.stderr == ""


def test_the_command_exits_1_when_there_are_problems(split_mvtec: Path) -> None:
    break_file(split_mvtec / "test" / "crack" / "000.png", "text")
    result = CliRunner().invoke(app, ["data", "check", str(split_mvtec)])
    assert result.exit_code == 1
    assert "problem: " in result.stdout
    assert "1 problems to mend" in result.stdout


def test_json_is_one_document_on_stdout(split_mvtec: Path) -> None:
    result = CliRunner().invoke(app, ["data", "check", str(split_mvtec), "--json"])
    document = json.loads(result.stdout)
    assert document["ok"] is True
    assert document["classes"][0]["name"] == "crack"
    assert document["smallest_hw"] == [24, 32]
    assert result.stderr == ""


def test_pool_and_seed_are_those_of_training(split_mvtec: Path, mvtec: Path) -> None:
    few = CliRunner().invoke(app, ["data", "check", str(split_mvtec), "--pool", "few", "--json"])
    assert [row["train"] for row in json.loads(few.stdout)["classes"]] == [2, 1, 5]
    wrong = CliRunner().invoke(app, ["data", "check", str(split_mvtec), "--pool", "none"])
    assert (wrong.exit_code, wrong.stderr.count("\n")) == (1, 1)
    (split_mvtec / "split.json").unlink()
    seeded = CliRunner().invoke(app, ["data", "check", str(mvtec), "--seed", "3"])
    assert "are learned from (seed 3)" in seeded.stdout


def test_a_missing_folder_is_one_line_and_exit_1(tmp_path: Path) -> None:
    result = CliRunner().invoke(app, ["data", "check", str(tmp_path / "gone")])
    assert result.exit_code == 1
    assert result.stdout == ""
    assert result.stderr.startswith("error: ")
    assert result.stderr.count("\n") == 1
