"""`ali-aug build` from its arguments to its lines, with a toolchain that really builds."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from support import ort_toolchain
from support.bundles import make_bundle
from support.commands import run_command

from aliaug_edge.bundle import load_bundle
from aliaug_edge.cli.build import build
from aliaug_edge.data.procedural import render_pair
from aliaug_edge.engines.building.machine import Machine
from aliaug_edge.engines.plan import Here
from aliaug_edge.engines.store import find_plans
from aliaug_edge.files import write_bytes
from aliaug_edge.generation.trial import photo_feeds
from aliaug_edge.imaging import encode_png

HERE = Here("8.7", "Orin", ort_toolchain.VERSION, "aarch64-linux")
ONE = ("--graphs", "decoder", "--sizes", "64")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A bundle, on a machine that shares 8 GiB between CPU and GPU."""
    machine = Machine(HERE, 8.0, unified=True, toolchain=ort_toolchain.NAME)
    monkeypatch.setattr("aliaug_edge.engines.building.machine.this_machine", lambda: machine)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return make_bundle(tmp_path / "bundle", sizes=((64, 64), (64, 96)))


def test_a_build_says_device_limit_progress_and_what_stands(folder: Path) -> None:
    first = run_command(build, folder, *ONE)
    assert first.exit_code == 0, first.output
    said = first.stderr.splitlines()
    assert said[0].startswith(f"Orin ({HERE}), 8.0 GiB of shared memory; workspace limit 2048 MiB,")
    assert any(line.startswith("decoder-64x64-b1: timing kernels ") for line in said)
    assert first.stdout.startswith("decoder-64x64-b1: ")
    assert first.stdout.endswith("150.0 dB against its ONNX graph\n")
    assert find_plans(load_bundle(folder), "decoder", HERE, (64, 64), 1)
    again = run_command(build, folder, *ONE, "--quiet")
    assert "already built" in again.stdout and "timing kernels" not in again.stderr


def test_a_dry_run_builds_nothing(folder: Path) -> None:
    done = run_command(build, folder, "--dry-run", "--batches", "1,2")
    assert done.exit_code == 0, done.output
    assert done.stdout.count("MiB beside the workspace") == 3 * 2 * 2
    assert "12 to build" in done.stdout
    assert not (folder / "engines").exists()


def test_engines_are_proven_on_the_photos_that_are_given(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    photos = tmp_path / "good"
    for seed in range(2):
        write_bytes(photos / f"{seed}.png", encode_png(render_pair(seed, 96, 128).good))
    made = photo_feeds(load_bundle(folder), photos)((64, 96), 3)
    assert made["image"].shape == (3, 3, 64, 96) and 0 < made["mask"].mean() < 1
    crops = [image_of(made["image"][item]) for item in range(3)]
    for item in (0, 1):  # pixels of these photos, as they are
        photo = render_pair(item, 96, 128).good
        assert any(
            np.array_equal(photo[top : top + 64, left : left + 96], crops[item])
            for top in range(33)
            for left in range(33)
        )
    done = run_command(build, folder, *ONE, "--images", photos)
    assert done.exit_code == 0, done.output
    assert "150.0 dB against its ONNX graph" in done.stdout
    monkeypatch.setenv("ALIAUG_TEST_FAULT", "nan")
    done = run_command(build, folder, *ONE, "--images", photos, "--force")
    assert done.exit_code == 1 and "non-finite values on a photo of --images" in done.stderr


def image_of(tensor: NDArray[np.float32]) -> NDArray[np.uint8]:
    return np.round((tensor.transpose(1, 2, 0) + 1) * 127.5).astype(np.uint8)


@pytest.mark.parametrize(
    ("options", "code", "said"),
    [
        (("--sizes", "64by64"), 2, "expected 128 or 128x192"),
        (("--sizes", "8²"), 2, "expected 128 or 128x192"),
        (("--batches", "two"), 2, "expected numbers like 1,2,4"),
        (("--batches", "2²"), 2, "expected numbers like 1,2,4"),
        (("--images", "/dev"), 1, "/dev"),
        (("--images", "/dev", "--dry-run"), 1, "/dev"),
        (("--min-psnr", "nan"), 1, "--min-psnr nan: expected dB, a finite number"),
        (("--sizes", "32"), 1, "--sizes 32x32: this bundle was proven at 64x64, 64x96"),
        (("--graphs", "vae"), 1, "--graphs vae: this bundle has decoder, encoder"),
    ],
)
def test_options_that_cannot_be_met_are_one_line_and_leave_nothing(
    folder: Path, options: tuple[str, ...], code: int, said: str
) -> None:
    done = run_command(build, folder, *options)
    assert done.exit_code == code
    assert said in " ".join(done.stderr.replace("│", " ").split())
    assert not (folder / "engines").exists()
