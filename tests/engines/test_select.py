"""Engines by name."""

from __future__ import annotations

import numpy as np
import pytest
from support.gpu.here import Here
from support.gpu.rig import rig

from aliaug_edge.bundle import Bundle
from aliaug_edge.engines import engine_choices, open_engine
from aliaug_edge.engines.gpu import probe_gpus
from aliaug_edge.errors import AliAugError, BundleError
from aliaug_edge.generation.pipeline import Pipeline
from aliaug_edge.tensors import Arrays

Capture = pytest.CaptureFixture[str]


@pytest.mark.parametrize(
    ("asked", "nearest"),
    [("onnxruntime", "onnxruntime-cpu"), ("onnxruntime-gpu", "onnxruntime-cuda"), ("Auto", "auto")],
)
def test_an_unknown_engine_is_refused_with_the_nearest_name(
    bundle: Bundle, asked: str, nearest: str
) -> None:
    every = "auto, onnxruntime-cpu, onnxruntime-cuda, onnxruntime-tensorrt, tensorrt"
    with pytest.raises(AliAugError, match=rf"did you mean {nearest}\?\); there are {every}"):
        open_engine(bundle, engine=asked)


def test_a_name_like_no_engine_gets_no_suggestion(bundle: Bundle) -> None:
    with pytest.raises(AliAugError, match="unknown engine 'zzz'; there are auto"):
        open_engine(bundle, engine="zzz")


@pytest.mark.skipif(probe_gpus().problem is None, reason="this machine has a GPU")
def test_tensorrt_without_a_gpu_is_refused_before_tensorrt_is_touched(
    bundle: Bundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("aliaug_edge.engines.tensorrt.import_runtime", lambda: 1 / 0)
    with pytest.raises(AliAugError, match="without it, --engine onnxruntime-cpu works"):
        open_engine(bundle, engine="tensorrt")


def test_a_graph_that_the_bundle_lacks_is_refused(bundle: Bundle) -> None:
    with pytest.raises(BundleError, match=r"no graph 'text_encoder', only decoder, .*; export"):
        open_engine(bundle, "text_encoder", engine="onnxruntime-cpu")


def test_every_engine_that_cannot_run_says_why() -> None:
    choices = {choice.name: choice for choice in engine_choices()}
    assert list(choices) == ["onnxruntime-cpu", "onnxruntime-cuda", "tensorrt"]
    assert choices["onnxruntime-cpu"].available
    assert all(choice.reason for choice in choices.values())
    assert choices["tensorrt"].available == (probe_gpus().problem is None)


def test_auto_takes_tensorrt_where_engines_for_this_gpu_are_there_and_says_so(
    bundle: Bundle, feeds: Arrays, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    with rig() as gpu:
        machine = Here(monkeypatch, gpu)
        machine.has_plans("encoder", "unet", "decoder")
        with open_engine(bundle, size_hw=(64, 96), batch=2) as engine:
            assert engine.name == "tensorrt"
            found = engine.infer(feeds)["generated"]
    graph, here, hw, batch = machine.asked[0]
    assert (graph, here.sm, here.tensorrt, hw, batch) == ("generator", "8.7", "10.3", (64, 96), 2)
    said = capsys.readouterr().err
    assert said == "engine: tensorrt (the fastest; built for this GPU by `ali-aug build`)\n"
    with open_engine(bundle, engine="onnxruntime-cpu") as cpu:
        assert np.allclose(found, cpu.infer(feeds)["generated"], atol=1e-6)


def test_auto_says_what_would_be_faster_and_why_it_is_not_taken(
    bundle: Bundle, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    with rig() as gpu:
        Here(monkeypatch, gpu).has_plans()
        with open_engine(bundle) as engine:
            assert engine.name == "onnxruntime-cpu"
    assert capsys.readouterr().err == (
        "engine: onnxruntime-cpu (the installed onnxruntime has no CUDA provider; tensorrt would "
        "be faster: no generator engine in b: run `ali-aug build b`)\n"
    )


def test_a_pipeline_of_uint8_crops_runs_on_tensorrt(
    bundle: Bundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    rng = np.random.default_rng(0)
    shown = rng.integers(0, 256, (1, 64, 64, 3), dtype=np.uint8)
    mask = np.zeros((1, 64, 64), np.uint8)
    mask[:, 20:40, 20:40] = 255
    asked = (shown, mask, ["crack"], [3], [0.5])
    with rig() as gpu:
        Here(monkeypatch, gpu).has_plans("encoder", "unet", "decoder")
        with Pipeline(bundle, "tensorrt", batch=1) as pipeline:
            found = pipeline.generate(*asked)
    with Pipeline(bundle, "onnxruntime-cpu", batch=1) as pipeline:
        assert np.allclose(found, pipeline.generate(*asked), atol=1e-6)
