"""The ONNX Runtime engine, on real sessions."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from onnx import helper
from support.bundles import constant, write_graph

from aliaug_edge.bundle import Bundle, GraphSpec
from aliaug_edge.engines import installed, open_engine
from aliaug_edge.engines.onnxruntime import OnnxRuntimeEngine
from aliaug_edge.errors import AliAugError, BundleError, MissingDependencyError
from aliaug_edge.tensors import Arrays, TensorSpec


def cpu(bundle: Bundle, graph: str = "generator", **options: Any) -> OnnxRuntimeEngine:
    return OnnxRuntimeEngine(
        bundle.graph_path(graph), bundle.graphs[graph], provider="cpu", **options
    )


def small_engine(
    folder: Path, nodes: list[Any], inputs: list[TensorSpec], outputs: list[TensorSpec]
) -> OnnxRuntimeEngine:
    spec = GraphSpec("small.onnx", tuple(inputs), tuple(outputs))
    write_graph(folder / spec.path, spec, nodes)
    return OnnxRuntimeEngine(folder / spec.path, spec, provider="cpu")


def test_the_image_changes_inside_the_mask_and_nowhere_else(bundle: Bundle, feeds: Arrays) -> None:
    with cpu(bundle) as engine:
        generated = engine.infer(feeds)["generated"]
    outside = np.broadcast_to(feeds["mask"] == 0, generated.shape)
    assert generated.dtype == np.float32
    assert np.array_equal(generated[outside], feeds["image"][outside])
    assert np.abs(generated - feeds["image"])[~outside].min() > 0.1


@pytest.mark.parametrize("name", ["prompt_embeds", "severity", "noise", "colour"])
def test_each_condition_changes_the_pixels(bundle: Bundle, feeds: Arrays, name: str) -> None:
    with cpu(bundle) as engine:
        before = engine.infer(feeds)["generated"]
        after = engine.infer({**feeds, name: feeds[name] * np.float32(0.2)})["generated"]
    assert np.abs(before - after).max() > 0.02


def test_the_three_stages_in_a_row_give_what_the_fused_graph_gives(
    bundle: Bundle, feeds: Arrays
) -> None:
    tensors = dict(feeds)
    for graph in ("encoder", "unet", "decoder"):
        with cpu(bundle, graph) as stage:
            tensors |= stage.infer({spec.name: tensors[spec.name] for spec in stage.inputs})
    with cpu(bundle) as engine:
        fused = engine.infer(feeds)["generated"]
    assert np.allclose(tensors["generated"], fused, atol=1e-6)


def test_equal_feeds_give_equal_bytes_in_every_session_and_at_every_thread_count(
    bundle: Bundle, feeds: Arrays
) -> None:
    results = set()
    for threads in (1, 2, 2):
        with cpu(bundle, threads=threads) as engine:
            results |= {engine.infer(feeds)["generated"].tobytes() for _ in range(2)}
    assert len(results) == 1


def test_the_next_call_leaves_an_earlier_result_alone(bundle: Bundle, feeds: Arrays) -> None:
    with cpu(bundle) as engine:
        first = engine.infer(feeds)["generated"]
        kept = first.copy()
        engine.infer({**feeds, "image": -feeds["image"]})
    assert np.array_equal(first, kept)


def test_strided_feeds_are_read_in_the_right_order(bundle: Bundle, feeds: Arrays) -> None:
    channels_last = np.ascontiguousarray(feeds["image"].transpose(0, 2, 3, 1))
    with cpu(bundle) as engine:
        strided = engine.infer({**feeds, "image": channels_last.transpose(0, 3, 1, 2)})
        assert np.array_equal(strided["generated"], engine.infer(feeds)["generated"])


def test_infer_outside_the_with_block_is_refused(bundle: Bundle, feeds: Arrays) -> None:
    engine = cpu(bundle)
    with pytest.raises(AliAugError, match="not open: call infer inside `with engine:`"):
        engine.infer(feeds)
    with engine:
        engine.infer(feeds)
    with pytest.raises(AliAugError, match="not open"):
        engine.infer(feeds)
    with engine:  # entering again works
        engine.infer(feeds)


def test_wrong_feeds_are_refused_with_what_was_expected(bundle: Bundle, feeds: Arrays) -> None:
    without_noise = {name: array for name, array in feeds.items() if name != "noise"}
    with cpu(bundle) as engine:
        with pytest.raises(AliAugError, match=r"onnxruntime-cpu \| wrong inputs: missing .'noise'"):
            engine.infer(without_noise)
        with pytest.raises(AliAugError, match="input mask: expected dtype float32, got uint8"):
            engine.infer({**feeds, "mask": feeds["mask"].astype(np.uint8)})
        with pytest.raises(AliAugError, match=r"input mask: expected shape .*height=64.*32, 96"):
            engine.infer({**feeds, "mask": feeds["mask"][:, :, :32]})


def test_a_fixed_size_reaches_every_shape_and_refuses_others(bundle: Bundle, feeds: Arrays) -> None:
    with cpu(bundle, size_hw=(64, 96), batch=2) as engine:
        shapes = {spec.name: spec.shape for spec in (*engine.inputs, *engine.outputs)}
        assert shapes["image"] == shapes["generated"] == (2, 3, 64, 96)
        assert shapes["noise"] == (2, 4, 8, 12)
        seen_by_runtime = {i.name: tuple(i.shape) for i in engine._session.get_inputs()}
        assert seen_by_runtime == {spec.name: spec.shape for spec in engine.inputs}
        assert engine.infer(feeds)["generated"].shape == (2, 3, 64, 96)
        with pytest.raises(AliAugError, match=r"expected shape \[2, 3, 64, 96\]"):
            engine.infer({**feeds, "image": feeds["image"][:1]})


def test_a_size_that_the_latent_cannot_have_is_refused(bundle: Bundle) -> None:
    with pytest.raises(AliAugError, match="height 60 is not a multiple of 8"):
        cpu(bundle, size_hw=(60, 64))
    with pytest.raises(AliAugError, match="batch must be at least 1, got 0"):
        cpu(bundle, batch=0)


def test_dimensions_of_other_names_stay_free(tmp_path: Path) -> None:
    x, y = TensorSpec("x", "float32", ("n", "rows")), TensorSpec("y", "float32", ("n", "rows"))
    small_engine(tmp_path, [helper.make_node("Neg", ["x"], ["y"])], [x], [y])
    spec = GraphSpec("small.onnx", (x,), (y,))
    engine = OnnxRuntimeEngine(
        tmp_path / spec.path, spec, provider="cpu", size_hw=(64, 64), batch=1
    )
    with engine:
        assert engine.infer({"x": np.ones((3, 5), np.float32)})["y"].shape == (3, 5)


def test_a_graph_of_another_dtype_than_the_bundle_says_is_refused(
    bundle: Bundle,
) -> None:
    graph = bundle.graphs["generator"]
    halves = tuple(dataclasses.replace(spec, dtype="float16") for spec in graph.inputs)
    wrong = dataclasses.replace(graph, inputs=halves)
    engine = OnnxRuntimeEngine(bundle.graph_path("generator"), wrong, provider="cpu")
    with pytest.raises(BundleError, match=r"not the graph that bundle.json describes.*float16"):
        engine.__enter__()


def test_a_graph_with_other_tensors_than_the_bundle_says_is_refused(bundle: Bundle) -> None:
    engine = OnnxRuntimeEngine(
        bundle.graph_path("encoder"), bundle.graphs["generator"], provider="cpu"
    )
    with pytest.raises(BundleError, match=r"expected inputs .*noise.*the file has"):
        engine.__enter__()


@pytest.mark.parametrize("shape", [("batch", 3, "height"), ("batch", 4, "height", "width")])
def test_a_graph_with_other_shapes_than_the_bundle_says_is_refused(
    bundle: Bundle, shape: tuple[int | str, ...]
) -> None:
    spec = bundle.graphs["encoder"]
    told = dataclasses.replace(spec, inputs=(TensorSpec("image", "float32", shape),))
    engine = OnnxRuntimeEngine(bundle.graph_path("encoder"), told, provider="cpu")
    with pytest.raises(BundleError, match=r"expected input image of shape .*; export the bundle"):
        engine.__enter__()


@pytest.mark.parametrize("content", [b"", b"not a graph", b"\x08\x08"])
def test_a_file_that_is_no_graph_is_one_line(
    bundle: Bundle, tmp_path: Path, content: bytes, capfd: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "broken.onnx"
    path.write_bytes(content)
    engine = OnnxRuntimeEngine(path, bundle.graphs["generator"], provider="cpu")
    with pytest.raises(BundleError, match=r"broken.onnx cannot be loaded.*export") as caught:
        engine.__enter__()
    assert "\n" not in str(caught.value)
    assert capfd.readouterr() == ("", "")  # the runtime's own log says nothing beside


def test_a_failure_inside_the_runtime_is_one_line_and_the_engine_lives_on(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    x, y = TensorSpec("x", "float32", ("n",)), TensorSpec("y", "float32", ("rows", 4))
    nodes = [constant("rows_of_4", [-1, 4], np.int64)]
    nodes.append(helper.make_node("Reshape", ["x", "rows_of_4"], ["y"]))
    with small_engine(tmp_path, nodes, [x], [y]) as engine:
        with pytest.raises(AliAugError, match=r"small.onnx failed .*Reshape") as caught:
            engine.infer({"x": np.ones(6, np.float32)})
        assert "\n" not in str(caught.value)
        assert engine.infer({"x": np.ones(8, np.float32)})["y"].shape == (2, 4)
    assert capfd.readouterr() == ("", "")


@pytest.mark.skipif(installed.onnxruntime_has_cuda(), reason="this onnxruntime has CUDA")
def test_cuda_that_is_not_there_is_refused_with_the_line_that_installs_it(bundle: Bundle) -> None:
    line = r"pip uninstall -y onnxruntime onnxruntime-gpu && pip install 'aliaug-edge\[cuda\]'"
    with pytest.raises(AliAugError, match=f"has no CUDA provider.*{line}"):
        open_engine(bundle, engine="onnxruntime-cuda")


@pytest.mark.skipif(installed.onnxruntime_has_cuda(), reason="this onnxruntime has CUDA")
def test_auto_says_on_stderr_why_it_took_the_cpu(
    bundle: Bundle, capfd: pytest.CaptureFixture[str]
) -> None:
    with open_engine(bundle) as engine:
        assert engine.name == "onnxruntime-cpu"
    said = capfd.readouterr()
    assert said.out == ""
    assert said.err == (
        "engine: onnxruntime-cpu (the installed onnxruntime has no CUDA provider)\n"
    )


def test_without_onnxruntime_the_install_line_is_given(
    bundle: Bundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.path", [str(tmp_path)])
    monkeypatch.delitem(__import__("sys").modules, "onnxruntime", raising=False)
    with pytest.raises(MissingDependencyError, match=r"pip install 'aliaug-edge\[cpu\]'"):
        open_engine(bundle)


@pytest.fixture
def cuda_that_does_not_start(monkeypatch: pytest.MonkeyPatch) -> None:
    """The probe finds nothing wrong, and yet ONNX Runtime silently opens the session on the CPU."""
    monkeypatch.setattr("aliaug_edge.engines.onnxruntime._no_gpu", lambda *_: None)


@pytest.mark.skipif(installed.onnxruntime_has_cuda(), reason="this onnxruntime has CUDA")
@pytest.mark.filterwarnings("ignore:Specified provider")
@pytest.mark.usefixtures("cuda_that_does_not_start")
def test_cuda_that_silently_fell_back_is_found_out(
    bundle: Bundle, feeds: Arrays, capfd: pytest.CaptureFixture[str]
) -> None:
    engine = open_engine(bundle, engine="onnxruntime-cuda")
    with pytest.raises(AliAugError, match=r"did not start; its libraries: pip install 'onnxr"):
        engine.__enter__()
    with open_engine(bundle, engine="auto") as automatic:
        assert automatic.name == "onnxruntime-cpu"
        assert automatic.infer(feeds)["generated"].shape == feeds["image"].shape
    said = capfd.readouterr()
    assert said.out == ""
    assert said.err.startswith("engine: onnxruntime-cpu (the CUDA provider did not start")
