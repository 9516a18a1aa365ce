"""ONNX Runtime with bound tensors. The CPU provider binds as the CUDA one does."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import onnxruntime
import pytest

from aliaug_edge.bundle import Bundle
from aliaug_edge.engines import onnxruntime as engine_module
from aliaug_edge.engines.binding import SHAPES, Bound
from aliaug_edge.engines.gpu import Gpu, GpuProbe
from aliaug_edge.engines.onnxruntime import OnnxRuntimeEngine
from aliaug_edge.errors import AliAugError
from aliaug_edge.tensors import Arrays


def cpu(bundle: Bundle, graph: str, **options: Any) -> OnnxRuntimeEngine:
    return OnnxRuntimeEngine(
        bundle.graph_path(graph), bundle.graphs[graph], provider="cpu", threads=1, **options
    )


@pytest.mark.parametrize("fixed", [False, True])
def test_taps_go_from_stage_to_stage_as_they_lie_on_the_device(
    bundle: Bundle, feeds: Arrays, fixed: bool
) -> None:
    options: Any = {"size_hw": (64, 96), "batch": 2} if fixed else {}
    known: dict[str, Any] = dict(feeds)
    expected: dict[str, Any] = dict(feeds)
    for graph in ("encoder", "unet", "decoder"):
        with cpu(bundle, graph, **options) as stage:
            expected |= stage.infer({s.name: expected[s.name] for s in stage.inputs})
            known |= stage.run_on_device({s.name: known[s.name] for s in stage.inputs})
    assert isinstance(known["tap_0"], onnxruntime.OrtValue)
    assert np.array_equal(known["generated"].numpy(), expected["generated"])


def test_a_bound_run_of_fixed_size_keeps_its_addresses(bundle: Bundle, feeds: Arrays) -> None:
    with cpu(bundle, "generator", size_hw=(64, 96), batch=2) as engine:
        bound = Bound(onnxruntime, engine._session, "cpu", engine.outputs)
        first = bound.run(feeds)["generated"]
        pixels, place = first.numpy().copy(), first.data_ptr()
        other = bound.run({**feeds, "image": -feeds["image"]})["generated"]
        assert other.data_ptr() == place
        assert not np.array_equal(other.numpy(), pixels)
        assert np.array_equal(bound.run(feeds)["generated"].numpy(), pixels)
        assert np.array_equal(engine.infer(feeds)["generated"], pixels)


def test_other_shapes_are_bound_anew_and_few_are_kept(bundle: Bundle, feeds: Arrays) -> None:
    with cpu(bundle, "encoder") as engine:
        bound = Bound(onnxruntime, engine._session, "cpu", engine.outputs)
        for width in (16, 24, 32, 40, 48, 56, 16):
            image = np.ascontiguousarray(feeds["image"][..., :width])
            found = bound.run({"image": image})["tap_0"].numpy()
            assert np.array_equal(found, engine.infer({"image": image})["tap_0"])
        assert len(bound._ready) == SHAPES


class Sessions:
    """ONNX Runtime, but for what its sessions say they run on and which options they refuse.
    `captures` False lets every run that is to be captured fail.

    The sessions themselves are real, on the CPU; so are their bindings, and what is bound.
    """

    def __init__(
        self, *, provider: str, refuses_graph: bool = False, captures: bool = True
    ) -> None:
        self.provider, self.refuses_graph, self.captures = provider, refuses_graph, captures
        self.asked: list[Any] = []
        self.module = SimpleNamespace(**vars(onnxruntime))
        self.module.InferenceSession = self.open
        self.module.OrtValue = SimpleNamespace(ortvalue_from_shape_and_type=on_the_cpu)
        self.module.get_available_providers = lambda: [
            "TensorrtExecutionProvider",
            "CUDAExecutionProvider",
        ]

    def open(self, path: str, options: Any, *, providers: Any, **more: Any) -> Any:
        self.asked.append(providers)
        given = providers[0][1] if isinstance(providers[0], tuple) else {}
        graph = bool({"enable_cuda_graph", "trt_cuda_graph_enable"} & set(given))
        if self.refuses_graph and graph:
            raise RuntimeError("not all compute graph nodes have been partitioned")
        real = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
        return SimpleNamespace(
            get_inputs=real.get_inputs,
            get_outputs=real.get_outputs,
            run=real.run,
            io_binding=real.io_binding,
            run_with_iobinding=refused if graph and not self.captures else real.run_with_iobinding,
            get_providers=lambda: [self.provider, "CPUExecutionProvider"],
            **more,
        )


def refused(_: Any) -> None:
    raise RuntimeError("CUDA failure 900: operation not permitted when\n stream is capturing")


def on_the_cpu(shape: Any, kind: Any, _device: str, number: int) -> Any:
    return onnxruntime.OrtValue.ortvalue_from_shape_and_type(shape, kind, "cpu", number)


@pytest.fixture
def patched(monkeypatch: pytest.MonkeyPatch) -> Any:
    def use(sessions: Sessions) -> Sessions:
        monkeypatch.setattr(engine_module, "_import_onnxruntime", lambda: sessions.module)
        monkeypatch.setattr(engine_module, "_no_gpu", lambda *_: None)
        return sessions

    return use


def gpu(bundle: Bundle, provider: Any, **options: Any) -> OnnxRuntimeEngine:
    return OnnxRuntimeEngine(
        bundle.graph_path("generator"), bundle.graphs["generator"], provider=provider, **options
    )


@pytest.mark.parametrize(("provider", "title"), [("cuda", "CUDA"), ("tensorrt", "TensorRT")])
def test_a_session_that_is_silently_on_the_cpu_is_an_error(
    bundle: Bundle, patched: Any, provider: str, title: str
) -> None:
    patched(Sessions(provider="CPUExecutionProvider"))
    with pytest.raises(AliAugError, match=f"the {title} provider did not start; its libraries:"):
        gpu(bundle, provider).__enter__()


def test_the_tensorrt_provider_is_not_content_with_cuda(bundle: Bundle, patched: Any) -> None:
    patched(Sessions(provider="CUDAExecutionProvider"))
    with pytest.raises(AliAugError, match=r"onnxruntime-tensorrt \| cannot be used"):
        gpu(bundle, "tensorrt").__enter__()


def test_auto_takes_the_cpu_then_and_says_why(
    bundle: Bundle, patched: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    sessions = patched(Sessions(provider="CPUExecutionProvider"))
    with gpu(bundle, "auto") as engine:
        assert engine.name == "onnxruntime-cpu"
    assert sessions.asked[-1] == ["CPUExecutionProvider"]
    assert "did not start" in capsys.readouterr().err


def test_a_cuda_graph_is_asked_for_where_the_size_is_fixed(bundle: Bundle, patched: Any) -> None:
    sessions = patched(Sessions(provider="CUDAExecutionProvider"))
    for options in ({}, {"size_hw": (64, 64), "batch": 1}):
        with gpu(bundle, "cuda", **options):
            pass
    graphs = [asked[0][1].get("enable_cuda_graph") for asked in sessions.asked]
    assert graphs == [None, "1"]


def test_a_graph_that_cannot_be_captured_runs_without(bundle: Bundle, patched: Any) -> None:
    sessions = patched(Sessions(provider="CUDAExecutionProvider", refuses_graph=True))
    with gpu(bundle, "cuda", size_hw=(64, 64), batch=1) as engine:
        assert engine.name == "onnxruntime-cuda"
        assert engine.uncaptured
    assert [len(asked[0][1]) for asked in sessions.asked] == [3, 2]
    patched(Sessions(provider="CUDAExecutionProvider"))
    with gpu(bundle, "cuda", size_hw=(64, 64), batch=1) as engine:
        assert engine.uncaptured == ""


def test_a_first_run_that_cannot_be_captured_is_made_without_a_graph(
    bundle: Bundle, patched: Any, feeds: Arrays
) -> None:
    size: Any = {"size_hw": (64, 96), "batch": 2}
    sessions = patched(Sessions(provider="CUDAExecutionProvider", captures=False))
    with gpu(bundle, "cuda", **size) as engine, cpu(bundle, "generator", **size) as reference:
        expected = reference.infer(feeds)["generated"]
        for _ in range(2):
            assert np.array_equal(engine.infer(feeds)["generated"], expected)
        assert engine.uncaptured.endswith("not permitted when stream is capturing")
    asked = [providers[0] for providers in sessions.asked if len(providers) > 1]
    assert [options.get("enable_cuda_graph") for _, options in asked] == ["1", None]


def test_a_run_that_fails_after_its_graph_was_captured_is_an_error(
    bundle: Bundle, patched: Any, feeds: Arrays
) -> None:
    sessions = patched(Sessions(provider="CUDAExecutionProvider"))
    with gpu(bundle, "cuda", size_hw=(64, 96), batch=2) as engine:
        engine.infer(feeds)
        engine._session.run_with_iobinding = refused
        with pytest.raises(AliAugError, match="failed while running: CUDA failure 900"):
            engine.infer(feeds)
    assert len(sessions.asked) == 1


def test_a_provider_that_is_a_plugin_is_seen_once_it_has_its_libraries(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """It cannot be loaded before CUDA's libraries are, and is not listed before."""
    gpu_here = GpuProbe((Gpu("H100", "9.0", 80.0),), None, "13.0")
    monkeypatch.setattr(engine_module, "probe_gpus", lambda: gpu_here)
    monkeypatch.setattr(engine_module, "nvidia_libraries", lambda: [Path("nvidia/cu13/lib")])
    loaded: list[str] = []

    def preload(directory: str = "") -> None:
        print("Failed to load libcudnn.so.9")
        loaded.append(directory)

    runtime = SimpleNamespace(
        preload_dlls=preload,
        get_available_providers=lambda: ["CUDAExecutionProvider"] if loaded else [],
    )
    assert engine_module._no_gpu(runtime, "cuda") is None
    assert loaded == ["nvidia/cu13/lib", ""]
    said = capsys.readouterr()
    assert (said.out, said.err) == ("", "Failed to load libcudnn.so.9\n")  # after the last place
    assert "has no TensorRT provider" in str(engine_module._no_gpu(runtime, "tensorrt"))


def test_an_engine_that_replays_a_graph_takes_no_addresses(bundle: Bundle, patched: Any) -> None:
    patched(Sessions(provider="CUDAExecutionProvider"))
    with (
        gpu(bundle, "cuda", size_hw=(64, 64), batch=1) as engine,
        pytest.raises(AliAugError, match="cuda_graph=False"),
    ):
        engine.run_on_device({})


def test_the_tensorrt_provider_keeps_what_it_builds(
    bundle: Bundle, patched: Any, tmp_path: Any
) -> None:
    sessions = patched(Sessions(provider="TensorrtExecutionProvider"))
    with gpu(bundle, "tensorrt", cache_dir=tmp_path, fp16=True) as engine:
        assert engine.name == "onnxruntime-tensorrt"
    (name, options), *rest = sessions.asked[0]
    assert name == "TensorrtExecutionProvider"
    assert options["trt_fp16_enable"] == "1"
    assert options["trt_engine_cache_path"] == str(tmp_path)
    assert [r[0] if isinstance(r, tuple) else r for r in rest] == [
        "CUDAExecutionProvider",
        "CPUExecutionProvider",
    ]


def test_what_the_tensorrt_provider_finds_is_what_it_left(
    bundle: Bundle,
    patched: Any,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Else a flipped byte or a strange file would be deserialised, which runs code."""
    cache, found = tmp_path / "engines", []
    sessions = patched(Sessions(provider="TensorrtExecutionProvider"))
    begin = sessions.open

    def builds(*arguments: Any, **more: Any) -> Any:
        found.append(sorted(path.name for path in cache.glob("*.*") if path.suffix != ".json"))
        (cache / "graph.engine").write_bytes(b"a plan")
        return begin(*arguments, **more)

    monkeypatch.setattr(sessions.module, "InferenceSession", builds)
    for _ in range(2):
        with gpu(bundle, "tensorrt", cache_dir=cache):
            (cache / "times.timing").write_bytes(b"at a run")
    assert found == [[], ["graph.engine", "times.timing"]]
    assert capsys.readouterr().err == ""
    (cache / "times.timing").write_bytes(b"at another")
    (cache / "strange.engine").symlink_to(cache / "graph.engine")
    with gpu(bundle, "tensorrt", cache_dir=cache):
        assert found[-1] == ["graph.engine"]
    said = capsys.readouterr().err
    assert "does not vouch for it: strange.engine, times.timing; it is built again" in said
    (cache / "vouched.json").write_text("[]")
    with gpu(bundle, "tensorrt", cache_dir=cache):
        assert found[-1] == []


def test_memory_that_runs_out_says_what_to_lower(bundle: Bundle, feeds: Arrays) -> None:
    with cpu(bundle, "generator") as engine:

        def fail(*_: Any) -> None:
            raise RuntimeError("Failed to allocate memory for requested buffer of size 4294967296")

        engine._session = SimpleNamespace(run=fail)
        with pytest.raises(AliAugError, match="out of memory: lower the batch or the size"):
            engine.infer(feeds)
