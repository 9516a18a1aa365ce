"""scripts/compare_datasets.py, on datasets that differ in one thing each."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

SCRIPT = Path(__file__).parents[1] / "scripts/compare_datasets.py"


def write_dataset(folder: Path) -> Path:
    rng = np.random.default_rng(3)
    for name in ("images", "masks", "labels"):
        (folder / name).mkdir(parents=True)
    Image.fromarray(rng.integers(0, 250, (64, 64, 3), np.uint8)).save(folder / "images/000000.png")
    mask = np.zeros((64, 64), np.uint8)
    mask[10:20, 10:20] = 255
    Image.fromarray(mask).save(folder / "masks/000000.png")
    (folder / "labels/000000.txt").write_text("0 0.1 0.1 0.3 0.1 0.3 0.3\n")
    record = {"index": 0, "status": "kept", "scores": {"change_inside": 14.2}}
    (folder / "samples.jsonl").write_text(json.dumps(record) + "\n")
    return folder


def change_image(folder: Path, by: int, values: int) -> None:
    path = folder / "images/000000.png"
    with Image.open(path) as image:
        pixels = np.asarray(image).copy()
    pixels.reshape(-1)[:values] += np.uint8(by)
    Image.fromarray(pixels).save(path)


def change_mask(folder: Path) -> None:
    path = folder / "masks/000000.png"
    with Image.open(path) as image:
        pixels = np.asarray(image).copy()
    pixels[10, 10] = 0
    Image.fromarray(pixels).save(path)


def change_record(folder: Path, **entries: object) -> None:
    path = folder / "samples.jsonl"
    path.write_text(json.dumps({**json.loads(path.read_text()), **entries}) + "\n")


@pytest.fixture
def pair(tmp_path: Path) -> tuple[Path, Path]:
    return write_dataset(tmp_path / "arm"), write_dataset(tmp_path / "x86")


def compare(pair: tuple[Path, Path], *flags: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, str(SCRIPT), *map(str, pair), *flags], capture_output=True, text=True
    )


def test_equal_datasets_pass_and_the_figures_are_printed(pair: tuple[Path, Path]) -> None:
    result = compare(pair)
    assert result.returncode == 0, result.stderr
    assert "1 images: 0 of 12288 values differ (0.0000%), by at most 0 grey levels" in result.stdout
    assert "1 masks and 1 label and settings files: identical" in result.stdout


def test_another_rounding_of_few_values_passes_and_is_counted(pair: tuple[Path, Path]) -> None:
    change_image(pair[1], by=1, values=1)
    change_record(pair[1], scores={"change_inside": 14.201})
    result = compare(pair)
    assert result.returncode == 0, result.stderr
    assert "1 of 12288 values differ (0.0081%), by at most 1 grey levels" in result.stdout
    assert "at most 0.001" in result.stdout


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda folder: change_image(folder, by=2, values=1), "by at most 2 grey levels"),
        (lambda folder: change_image(folder, by=1, values=200), "200 of 12288 values differ"),
        (change_mask, "masks/000000.png: the masks differ"),
        (lambda folder: (folder / "labels/000000.txt").write_text("1 0\n"), "labels/000000.txt"),
        (lambda folder: (folder / "masks/000000.png").unlink(), "only one of the two has masks/"),
        (lambda folder: change_record(folder, status="rejected"), "records of sample 0 differ"),
        (lambda folder: change_record(folder, scores={"change_inside": 15.0}), "a score differs"),
        (lambda folder: change_record(folder, scores=None), "records of sample 0 differ"),
        (lambda folder: (folder / "samples.jsonl").write_text(""), "1 records and 0"),
    ],
)
def test_anything_more_fails_with_one_line(pair: tuple[Path, Path], change, said: str) -> None:
    change(pair[1])
    result = compare(pair)
    assert result.returncode == 1
    assert result.stderr.startswith("FAIL: arm and x86 | ") and len(result.stderr.splitlines()) == 1
    assert said in result.stderr


def test_what_is_allowed_can_be_said(pair: tuple[Path, Path]) -> None:
    change_image(pair[1], by=2, values=200)
    assert compare(pair, "--levels", "2", "--share", "0.02").returncode == 0


def test_two_empty_folders_are_no_agreement(tmp_path: Path) -> None:
    for name in ("one", "other"):
        (tmp_path / name).mkdir()
    result = compare((tmp_path / "one", tmp_path / "other"))
    assert result.returncode == 1 and "holds no images" in result.stderr
