"""`ali-aug inspect`."""

from __future__ import annotations

import json
from pathlib import Path

from support.bundles import make_bundle
from support.commands import run_command

from aliaug_edge.assets import resolve_bundle
from aliaug_edge.bundle import load_bundle
from aliaug_edge.cli.inspect import inspect


def test_inspect_shows_what_is_in_a_bundle(tmp_path: Path) -> None:
    folder = make_bundle(tmp_path / "bundle", sizes=((64, 64), (128, 96)))
    result = run_command(inspect, folder)
    assert result.exit_code == 0
    for part in (
        "verified",
        load_bundle(folder).sha256,
        "sizes 64×64, 128×96",
        "'a crack on a part'",
        "3 masks",
        "input  noise          float32  (batch, 4, latent_height, latent_width)",
        "psnr_db: 99.0",
        "made_by: tests/support/bundles.py",
        "onnx/generator.onnx",
    ):
        assert part in result.stdout


def test_inspect_says_the_worst_of_each_tensor_in_a_line() -> None:
    result = run_command(inspect, "tiny")
    rows = load_bundle(resolve_bundle("tiny")).parity["rows"]
    for name in {row["tensor"] for row in rows}:
        worst = min(row["psnr_db"] for row in rows if row["tensor"] == name)
        (line,) = [line for line in result.stdout.splitlines() if f" {name} " in line]
        assert f"{worst:.1f} dB at worst" in line
    assert "{" not in result.stdout


def test_inspect_json_is_one_document_with_every_file(tmp_path: Path) -> None:
    folder = make_bundle(tmp_path / "bundle")
    result = run_command(inspect, folder, "--json")
    contents = json.loads(result.stdout)
    assert contents["sha256"] == load_bundle(folder).sha256
    assert contents["files"]["prompts.npz"]["bytes"] == (folder / "prompts.npz").stat().st_size
    assert [c["name"] for c in contents["classes"]] == ["crack", "stain"]
    assert sorted(contents["graphs"]) == ["decoder", "encoder", "generator", "unet"]


def test_a_damaged_bundle_is_one_line_and_exit_1(tmp_path: Path) -> None:
    folder = make_bundle(tmp_path / "bundle")
    (folder / "prompts.npz").write_bytes(b"")
    result = run_command(inspect, folder, "--json")
    assert result.exit_code == 1
    assert result.stdout == ""
    assert result.stderr.startswith("error: ")
    assert result.stderr.count("\n") == 1


def test_a_missing_bundle_is_one_line_and_exit_1(tmp_path: Path) -> None:
    result = run_command(inspect, tmp_path / "nowhere")
    assert result.exit_code == 1
    assert "is not a bundle" in result.stderr
    assert result.stderr.count("\n") == 1
