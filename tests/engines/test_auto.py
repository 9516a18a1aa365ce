"""`--engine auto` where the best engine is there and does not start."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support.bundles import make_bundle
from support.gpu.full import make_full_bundle, make_paper_bundle
from support.gpu.here import Here
from support.gpu.rig import STAGED, rig

from aliaug_edge.bundle import Bundle, load_bundle
from aliaug_edge.engines import open_engine
from aliaug_edge.engines.cuda_errors import KernelError
from aliaug_edge.engines.plan import EngineError
from aliaug_edge.engines.stage import Plan
from aliaug_edge.errors import AliAugError, MissingDependencyError
from aliaug_edge.generation.pipeline import Pipeline
from aliaug_edge.tensors import Arrays

Capture = pytest.CaptureFixture[str]


def unreadable() -> Plan:
    raise EngineError("engine decoder-64x96-b2 is damaged: its plan should have 9 bytes and has 8")


def garbage() -> Plan:
    return Plan(b"\x00garbage")


@pytest.mark.parametrize(
    ("read", "total", "why"),
    [
        (unreadable, 1 << 30, "engine decoder-64x96-b2 is damaged: its plan should have 9 bytes"),
        (garbage, 1 << 30, "TensorRT 10.3 does not take this engine: "),
        (None, 1000, "out of GPU memory: scratch needs "),
    ],
    ids=["truncated", "not deserialised", "out of memory"],
)
def test_auto_goes_on_to_the_next_engine_and_says_why(
    bundle: Bundle,
    feeds: Arrays,
    monkeypatch: pytest.MonkeyPatch,
    capsys: Capture,
    read: object,
    total: int,
    why: str,
) -> None:
    with rig(total=total) as gpu:  # which fails the test where anything is left on it
        Here(monkeypatch, gpu).has_plans(*STAGED, read=read)  # type: ignore[arg-type]
        chosen = open_engine(bundle, size_hw=(64, 96), batch=2)
        with chosen as engine:
            assert engine.name == chosen.name == "onnxruntime-cpu"
            assert engine.outputs == chosen.outputs
            found = chosen.infer(feeds)["generated"]
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert said.startswith("engine: onnxruntime-cpu (the installed onnxruntime has no CUDA ")
    assert "; tensorrt would be faster: " in said and why in said
    with open_engine(bundle, engine="onnxruntime-cpu") as cpu:
        assert np.allclose(found, cpu.infer(feeds)["generated"], atol=1e-6)


@pytest.mark.parametrize("read", [unreadable, garbage])
def test_an_engine_asked_for_by_name_is_not_replaced(
    bundle: Bundle, monkeypatch: pytest.MonkeyPatch, read: object
) -> None:
    with rig() as gpu:
        Here(monkeypatch, gpu).has_plans(*STAGED, read=read)  # type: ignore[arg-type]
        with pytest.raises(AliAugError, match=r"is damaged|does not take this engine"):
            open_engine(bundle, engine="tensorrt", size_hw=(64, 96), batch=2).__enter__()


def without_nvrtc(monkeypatch: pytest.MonkeyPatch, gpu: Any) -> None:
    def missing(*_: object) -> None:
        raise RuntimeError("libnvrtc.so not found")

    monkeypatch.setattr(gpu.bindings[1], "nvrtcGetSupportedArchs", missing)


CROP, MASK = np.zeros((1, 64, 64, 3), np.uint8), np.full((1, 64, 64), 255, np.uint8)


@pytest.mark.parametrize("make", [make_full_bundle, make_paper_bundle])
def test_auto_passes_over_tensorrt_where_a_stage_needs_kernels_that_cannot_be_compiled(
    make: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    other = load_bundle(make(tmp_path / "bundle"))
    with rig() as gpu:
        Here(monkeypatch, gpu).has_plans(*STAGED)
        without_nvrtc(monkeypatch, gpu)
        with Pipeline(other, batch=1) as pipeline:
            assert pipeline.engine_name() == "onnxruntime-cpu"
            made = pipeline.generate(CROP, MASK, ["crack"], [1], [0.5])
        assert gpu.machine.ran == []
    said = capsys.readouterr().err
    assert said.count("\n") == 1 and said.startswith("engine: onnxruntime-cpu (")
    assert "; tensorrt would be faster: tensorrt | this bundle's encoder sees the mask " in said
    assert "NVRTC cannot be opened (libnvrtc.so not found); run: " in said
    with Pipeline(other, "onnxruntime-cpu") as cpu:
        assert np.allclose(made, cpu.generate(CROP, MASK, ["crack"], [1], [0.5]), atol=1e-6)


@pytest.mark.parametrize("make", [make_full_bundle, make_paper_bundle])
def test_tensorrt_by_name_says_at_the_start_that_kernels_are_missing(
    make: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    other = load_bundle(make(tmp_path / "bundle"))
    with rig() as gpu:
        Here(monkeypatch, gpu).has_plans(*STAGED)
        without_nvrtc(monkeypatch, gpu)
        with (
            Pipeline(other, "tensorrt", batch=1) as pipeline,
            pytest.raises(KernelError, match="needs our own kernels: NVRTC cannot be opened"),
        ):
            pipeline.engine_name()
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(
    ("make", "stages"), [(make_bundle, STAGED), (make_full_bundle, ("generator",))]
)
def test_auto_keeps_tensorrt_where_no_stage_needs_our_kernels(
    make: Any,
    stages: tuple[str, ...],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: Capture,
) -> None:
    other = load_bundle(make(tmp_path / "bundle"))
    with rig() as gpu:
        Here(monkeypatch, gpu).has_plans(*stages)
        without_nvrtc(monkeypatch, gpu)
        with Pipeline(other, batch=1) as pipeline:
            assert pipeline.engine_name() == "tensorrt"
            pipeline.generate(CROP, MASK, ["crack"], [1], [0.5])
    assert "engine: tensorrt, cut and blend on the CPU (NVRTC" in capsys.readouterr().err


def test_the_engine_that_took_over_serves_every_size_of_a_run(
    bundle: Bundle, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    with rig() as gpu:
        machine = Here(monkeypatch, gpu)
        machine.has_plans(*STAGED, read=garbage)
        with Pipeline(bundle, batch=1) as pipeline:
            assert pipeline.engine_name() == "onnxruntime-cpu"
            for height, width in bundle.sizes:
                crop = np.zeros((1, height, width, 3), np.uint8)
                pipeline.generate(crop, crop[..., 0], ["crack"], [3], [0.5])
    assert len(machine.asked) == 1
    assert capsys.readouterr().err.count("tensorrt would be faster") == 1


def test_where_nothing_is_left_to_take_over_both_reasons_are_given(
    bundle: Bundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    def missing() -> None:
        raise MissingDependencyError("onnxruntime is not installed; run: pip install")

    with rig() as gpu:
        Here(monkeypatch, gpu).has_plans(*STAGED, read=garbage)
        chosen = open_engine(bundle, size_hw=(64, 96), batch=2)
        monkeypatch.setattr("aliaug_edge.engines.onnxruntime._import_onnxruntime", missing)
        with pytest.raises(MissingDependencyError) as caught:
            chosen.__enter__()
    said = str(caught.value)
    assert said.startswith("no engine can run here: tensorrt: decoder | TensorRT 10.3 does not")
    assert said.endswith("; onnxruntime is not installed; run: pip install") and "\n" not in said


def test_outside_of_its_with_block_it_refuses_to_run(
    bundle: Bundle, feeds: Arrays, monkeypatch: pytest.MonkeyPatch
) -> None:
    with rig() as gpu:
        Here(monkeypatch, gpu).has_plans(*STAGED)
        chosen = open_engine(bundle, size_hw=(64, 96), batch=2)
        with chosen:
            chosen.infer(feeds)
        with pytest.raises(AliAugError, match=r"tensorrt \| not open"):
            chosen.infer(feeds)
