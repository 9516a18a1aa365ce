"""A run takes an engine that serves every size of its bundle, and hears before it begins."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from support.bundles import make_bundle
from support.gpu.here import Here
from support.gpu.rig import rig
from support.gpu.stored import store_engines
from support.gpu.tensorrt import Runtime

from aliaug_edge.bundle import Bundle, load_bundle
from aliaug_edge.engines.plan import EngineError
from aliaug_edge.generation.pipeline import Pipeline
from aliaug_edge.generation.request import RunSettings
from aliaug_edge.generation.run import generate_dataset, plan_dataset

SIZES = ((64, 64), (128, 128), (192, 192))


@pytest.fixture
def built(tmp_path: Path) -> Bundle:
    """With engines for the first size alone."""
    bundle = load_bundle(make_bundle(tmp_path / "bundle", sizes=SIZES))
    store_engines(bundle, SIZES[:1])
    return bundle


def windows_over_two_sizes(count: int = 6, **changed: Any) -> RunSettings:
    """A run that begins at the first size and needs the second later."""
    return RunSettings(count=count, seed=2, area=(0.02, 0.5), quality="off", **changed)


def test_auto_takes_what_serves_every_size_and_says_which_tensorrt_lacks(
    built: Bundle,
    good_dir: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    with rig() as gpu:
        Here(monkeypatch, gpu)
        summary = generate_dataset(built, windows_over_two_sizes(), tmp_path / "out", good_dir)
    assert summary.kept == 6
    said = capsys.readouterr().err
    assert (
        said.startswith("engine: onnxruntime-cpu (") and "tensorrt would be faster: no gen" in said
    )
    assert f"engines for 128x128, 192x192: run `ali-aug build {built.root} " in said


def test_tensorrt_is_refused_before_anything_is_written_where_a_size_was_not_built(
    built: Bundle, good_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out, settings = tmp_path / "out", windows_over_two_sizes(engine="tensorrt")
    command = f"run `ali-aug build {built.root} --sizes 128x128,192x192 --batches 1`"
    with rig() as gpu:
        Here(monkeypatch, gpu)
        for begin in (plan_dataset, generate_dataset):
            with pytest.raises(EngineError) as caught:
                begin(built, settings, out, good_dir)
            assert str(caught.value) == f"no generator engines for 128x128, 192x192: {command}"
        assert not out.exists()
        store_engines(built, SIZES[1:2])
        with pytest.raises(EngineError, match=r"for 192x192 batch 1: .*; run .* --sizes 192x192 "):
            generate_dataset(built, settings, out, good_dir)
        assert not out.exists()


def test_with_every_size_built_the_whole_run_is_tensorrts(
    built: Bundle,
    good_dir: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    for size in SIZES[1:]:
        store_engines(built, (size,))
    with rig() as gpu:
        Here(monkeypatch, gpu)
        summary = generate_dataset(built, windows_over_two_sizes(), tmp_path / "out", good_dir)
        assert gpu.machine.ran.count("decoder") >= summary.kept == 6
    assert "engine: tensorrt (the fastest; built for this GPU" in capsys.readouterr().err


@pytest.mark.parametrize("version_compatible", [False, True])
def test_code_for_the_cpu_runs_only_of_plans_that_were_built_with_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, version_compatible: bool
) -> None:
    """The header says so; the runtime here refuses both ways of getting it wrong."""
    bundle = load_bundle(make_bundle(tmp_path / "bundle"))
    store_engines(bundle, bundle.sizes, version_compatible=version_compatible)
    with rig() as gpu:
        Here(monkeypatch, gpu)
        with Pipeline(bundle, "tensorrt", batch=1) as pipeline:
            assert pipeline.engine_name() == "tensorrt"


@pytest.mark.parametrize(
    ("ranged", "version", "loaded"),
    [(True, "10.3", 3), (False, "10.3", 6), (True, "8.6", 6)],
    ids=["one range", "static", "one range, where TensorRT cannot share it"],
)
@pytest.mark.parametrize("eager", [False, True])
def test_sizes_that_the_same_plans_serve_share_weights_and_scratch_memory(
    good_dir: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    ranged: bool,
    version: str,
    loaded: int,
    eager: bool,
) -> None:
    """While threads work at both sizes; the images are those of the CPU."""
    bundle = load_bundle(make_bundle(tmp_path / "bundle", sizes=SIZES[:2]))
    for sizes in [SIZES[:2]] if ranged else [SIZES[:1], SIZES[1:2]]:
        store_engines(bundle, sizes, tensorrt=version)
    load = Runtime.deserialize_cuda_engine
    plans: list[bytes] = []

    def counted(self: Runtime, serialized: bytes) -> Any:
        plans.append(serialized)
        return load(self, serialized)

    monkeypatch.setattr(Runtime, "deserialize_cuda_engine", counted)
    settings = windows_over_two_sizes(engine="onnxruntime-cpu", count=12)
    generate_dataset(bundle, settings, tmp_path / "cpu", good_dir)
    with rig(version=version, eager=eager) as gpu:
        Here(monkeypatch, gpu)
        generate_dataset(bundle, replace(settings, engine="tensorrt"), tmp_path / "gpu", good_dir)
    assert len(plans) == loaded
    for path in (tmp_path / "cpu" / "images").iterdir():
        twin = tmp_path / "gpu" / "images" / path.name
        one, other = (np.asarray(Image.open(p)).astype(int) for p in (path, twin))
        assert np.abs(one - other).max() <= 1
