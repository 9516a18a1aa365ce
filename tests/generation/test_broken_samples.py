"""A run on ONNX Runtime some of whose samples hold NaN or infinity: its word names the node."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest
import typer
from typer.testing import CliRunner

from aliaug_edge import onnx_weights, wire
from aliaug_edge.assets import resolve_bundle
from aliaug_edge.bundle import MANIFEST, Bundle, load_bundle, save_manifest
from aliaug_edge.cli.app import ErrorBoundary
from aliaug_edge.cli.generate import generate
from aliaug_edge.generation import run as run_module
from aliaug_edge.generation.pipeline import Pipeline
from aliaug_edge.generation.request import RunSettings
from aliaug_edge.generation.run import generate_dataset
from aliaug_edge.generation.runners import NonFiniteError
from tests.support.bundles import make_bundle

ASKED = ("crack", "stain", "dent")
SETTINGS = RunSettings(
    count=9, seed=3, engine="onnxruntime-cpu", quality="off", retries=1, classes=ASKED
)
NAMED = "bundle test-bundle | output grey of a node (ReduceMean) holds non-finite values"
UNNAMED = "bundle test-bundle | output generated holds non-finite values"


@pytest.fixture
def broken(tmp_path: Path) -> Bundle:
    """What its last class asks for overflows where the channels are summed; that of the first two
    does not."""
    classes = ("crack", "stain", *(f"class {number}" for number in range(8)), "dent")
    return load_bundle(make_bundle(tmp_path / "broken", classes=classes, gain=1.5e38))


@pytest.fixture
def sessions(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """What every session was opened of: a path, or the bytes of a part."""
    opened: list[Any] = []
    plain = onnxruntime.InferenceSession

    def opening(model: Any, *arguments: Any, **options: Any) -> Any:
        opened.append(model)
        return plain(model, *arguments, **options)

    monkeypatch.setattr(onnxruntime, "InferenceSession", opening)
    return opened


def lines(out: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (out / "samples.jsonl").read_text().splitlines()]


def test_the_first_broken_sample_names_the_node_and_the_others_go_on(
    broken: Bundle, good_dir: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    summary = generate_dataset(broken, SETTINGS, tmp_path / "out", good_dir)
    assert (summary.kept, summary.failed) == (6, 3)
    assert summary.first_reason == NAMED
    reasons = {r["index"]: r["reason"] for r in lines(tmp_path / "out") if r["reason"]}
    assert list(reasons.values()) == [NAMED, UNNAMED, UNNAMED]
    assert all(r["defect_class"] == "dent" for r in lines(tmp_path / "out") if r["reason"])
    said = f"sample {min(reasons):06d}: looking for where its non-finite values began\n"
    assert capsys.readouterr().err == said


def test_a_run_that_was_cut_off_ends_with_the_same_bytes(
    broken: Bundle, good_dir: Path, tmp_path: Path, hash_of: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Cut off before the word is looked for, and right behind it."""
    generate_dataset(broken, SETTINGS, tmp_path / "whole", good_dir)

    def cut_off(out: Path, name: str) -> None:
        with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
            patch.setattr(run_module, name, interrupted)
            generate_dataset(broken, SETTINGS, out, good_dir)
        generate_dataset(broken, SETTINGS, out, good_dir)

    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    for name in ("_trace", "assemble"):
        cut_off(tmp_path / name, name)
        assert hash_of(tmp_path / name) == hash_of(tmp_path / "whole")


def test_a_finite_run_opens_one_session_and_a_broken_one_looks_once(
    bundle: Bundle, broken: Bundle, good_dir: Path, tmp_path: Path, sessions: list[Any]
) -> None:
    generate_dataset(bundle, replace(SETTINGS, count=4, classes=()), tmp_path / "fine", good_dir)
    assert sessions == [str(bundle.graph_path("generator"))] * len(sessions)
    assert 1 <= len(sessions) <= len(bundle.sizes)
    sessions.clear()
    generate_dataset(broken, SETTINGS, tmp_path / "broken-out", good_dir)
    parts = [model for model in sessions if isinstance(model, bytes)]
    assert len(parts) == len(set(parts)) > 10
    assert len(sessions) == len(parts) + 1


def test_where_looking_fails_the_run_ends_as_without_it(
    broken: Bundle, good_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_: object) -> str:
        raise MemoryError

    monkeypatch.setattr("aliaug_edge.engines.onnxruntime.first_broken_node", fails)
    summary = generate_dataset(broken, SETTINGS, tmp_path / "out", good_dir)
    assert (summary.kept, summary.failed, summary.first_reason) == (6, 3, UNNAMED)


def test_a_pipeline_that_gives_arrays_names_the_node_at_once(broken: Bundle) -> None:
    shown, mask = np.zeros((1, 64, 64, 3), np.uint8), np.zeros((1, 64, 64), np.uint8)
    mask[:, 18:45, 18:45] = 255
    with (
        Pipeline(broken, "onnxruntime-cpu") as pipeline,
        pytest.raises(NonFiniteError, match=r"output grey of a node \(ReduceMean\) holds non-"),
    ):
        pipeline.generate(shown, mask, ["dent"], [1], [1.0])


@pytest.fixture
def spoilt(tmp_path: Path) -> Path:
    """The shipped bundle, one number of the U-Net's weights infinite."""
    folder = Path(shutil.copytree(resolve_bundle("tiny"), tmp_path / "spoilt"))
    graph = memoryview((folder / "onnx/generator.onnx").read_bytes())
    (entry,) = (e for name, e in _weights(graph) if name.startswith(SPOILT))
    content = bytearray((folder / "onnx" / entry["location"]).read_bytes())
    start, half = int(entry["offset"]), np.float16(np.inf).tobytes()
    content[start : start + 2] = half
    (folder / "onnx" / entry["location"]).write_bytes(content)
    document = json.loads((folder / MANIFEST).read_text())
    del document["files"]
    save_manifest(folder, document)
    return folder


SPOILT = "unet/generator.unet.mid_block.resnets.0.conv1.weight"


def _weights(model: memoryview) -> Iterator[tuple[str, dict[str, str]]]:
    for graph in wire.messages(model, onnx_weights.GRAPH):
        for tensor in wire.messages(graph, onnx_weights.INITIALIZERS):
            yield wire.text(tensor, 8), onnx_weights.external_entries(tensor)


def test_the_command_names_the_layer_of_a_spoilt_weight(
    spoilt: Path, good_dir: Path, tmp_path: Path
) -> None:
    app = typer.Typer(cls=ErrorBoundary, pretty_exceptions_enable=False)
    app.callback()(lambda: None)
    app.command("generate")(generate)
    words = [spoilt, "--images", good_dir, "-o", tmp_path / "out", "-n", 2, "--retries", 0]
    words += ["--engine", "onnxruntime-cpu"]
    done = CliRunner().invoke(app, ["generate", *map(str, words)])
    assert done.exit_code == 1, done.output  # as where no sample was kept
    first, second = (record["reason"] for record in lines(tmp_path / "out"))
    assert "(Conv) holds non-finite values" in first and "| output unet/" in first
    assert second.endswith("| output generated holds non-finite values")
    assert first in done.output
