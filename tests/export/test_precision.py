"""FP16 in a graph: what half precision cannot hold stays FP32, and nothing becomes infinite.

ONNX Runtime's CPU computes most of FP16 in FP32 and would hide an overflow; ONNX's own reference
evaluator rounds every tensor as its type says.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from onnx.reference import ReferenceEvaluator

from aliaug_edge.errors import ParityError
from aliaug_edge.export.half import island_line
from aliaug_edge.export.precision import FP16_LIMIT, HEADROOM, to_fp16, too_large
from aliaug_edge.export.ranges import activation_peaks

SIDE = 24  # so that the weights, 24 x 24, are large enough to lie beside the graph


def write_graph(path: Path, gain: float, *, weight: float = 1.0) -> None:
    """image → product → · gain → + itself → / gain → tap_0, and a square root → latent."""
    rng = np.random.default_rng(0)
    values = (rng.random((SIDE, SIDE)) * weight / SIDE).astype(np.float32)

    def scalar(name: str, value: float) -> TensorProto:
        return numpy_helper.from_array(np.array(value, np.float32), name)

    nodes = [
        helper.make_node("MatMul", ["image", "w"], ["product"], "product"),
        helper.make_node("Mul", ["product", "gain"], ["loud"], "amplify"),
        helper.make_node("Add", ["loud", "loud"], ["louder"], "double"),
        helper.make_node("Div", ["louder", "gain"], ["tap_0"], "back"),
        helper.make_node("Sqrt", ["tap_0"], ["latent"], "root"),
    ]
    shape = ["batch", SIDE]
    graph = helper.make_graph(
        nodes,
        "encoder",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info(n, TensorProto.FLOAT, shape) for n in ("latent", "tap_0")],
        [numpy_helper.from_array(values, "w"), scalar("gain", gain)],
    )
    onnx.save(
        helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9),
        path,
        save_as_external_data=True,
        location=f"{path.name}.data",
    )


def feed(seed: int = 0) -> dict[str, np.ndarray]:
    return {"image": np.random.default_rng(seed).random((2, SIDE), dtype=np.float32)}


def by_the_letter(path: Path, feeds: dict[str, np.ndarray]) -> list[np.ndarray]:
    with np.errstate(over="ignore"):
        return list(ReferenceEvaluator(onnx.load(path)).run(None, feeds))


def halved(path: Path, **more: object) -> dict[str, object]:
    return to_fp16(path, activation_peaks(path, [feed(0), feed(1)]), 0.07, **more)  # type: ignore[arg-type]


def test_the_peak_of_every_tensor_is_measured_over_all_inputs(tmp_path: Path) -> None:
    write_graph(tmp_path / "g.onnx", 5e4, weight=8.0)
    peaks = activation_peaks(tmp_path / "g.onnx", [feed(0), feed(1)])
    weights = numpy_helper.to_array(onnx.load(tmp_path / "g.onnx").graph.initializer[0])
    product = max(float((feed(s)["image"] @ weights).max()) for s in (0, 1))
    assert set(peaks) == {"image", "product", "loud", "louder", "tap_0", "latent"}
    assert peaks["product"] == pytest.approx(product)
    assert peaks["louder"] == pytest.approx(1e5 * product, rel=1e-5)
    assert peaks["image"] == max(feed(s)["image"].max() for s in (0, 1))
    assert not list(tmp_path.glob(".probe*"))


def test_an_activation_that_overflows_becomes_an_island_and_stays_right(tmp_path: Path) -> None:
    path = tmp_path / "g.onnx"
    write_graph(path, 5e4, weight=8.0)
    wanted = by_the_letter(path, feed(2))
    report = halved(path)
    assert report["out_of_range"] == ["amplify", "back", "double"]  # who makes or reads it
    largest = report["largest_activations"][0]  # type: ignore[index]
    assert largest["tensor"] == "louder"
    assert largest["peak"] > 65504
    for ours, theirs in zip(by_the_letter(path, feed(2)), wanted, strict=True):
        assert ours.dtype == np.float32
        np.testing.assert_allclose(ours, theirs, rtol=5e-3)
    made = onnx.load(path)
    half = [t.name for t in made.graph.initializer if t.data_type == TensorProto.FLOAT16]
    assert half == ["w"]
    line = island_line(report)
    assert "3 nodes out of range (amplify, back, double)" in line
    assert "at louder" in line


def test_without_the_measurement_the_same_graph_is_infinite(tmp_path: Path) -> None:
    path = tmp_path / "g.onnx"
    write_graph(path, 5e4, weight=8.0)
    report = to_fp16(path, dict.fromkeys(("loud", "louder"), 1.0), 0.07)
    assert report["out_of_range"] == []
    assert not np.isfinite(by_the_letter(path, feed(2))[0]).all()


def test_what_fits_is_half_through_and_through(tmp_path: Path) -> None:
    path = tmp_path / "g.onnx"
    write_graph(path, 2.0)
    wanted = by_the_letter(path, feed(2))
    assert halved(path)["out_of_range"] == []
    casts = [n for n in onnx.load(path).graph.node if n.op_type == "Cast"]
    assert len(casts) == 3  # one input and two outputs
    for ours, theirs in zip(by_the_letter(path, feed(2)), wanted, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-2)
        assert not np.array_equal(ours, theirs)


def test_a_seam_asked_for_in_half_is_half_and_the_others_are_not(tmp_path: Path) -> None:
    path = tmp_path / "g.onnx"
    write_graph(path, 2.0)
    halved(path, half_seams={"tap_0"})
    graph = onnx.load(path).graph
    kinds = {v.name: v.type.tensor_type.elem_type for v in (*graph.input, *graph.output)}
    half, whole = TensorProto.FLOAT16, TensorProto.FLOAT
    assert kinds == {"image": whole, "latent": whole, "tap_0": half}


def test_a_weight_beyond_half_precision_keeps_its_node_in_fp32(tmp_path: Path) -> None:
    path = tmp_path / "g.onnx"
    write_graph(path, 1e-5, weight=3e6)
    wanted = by_the_letter(path, feed(2))
    assert "product" in halved(path)["out_of_range"]  # type: ignore[operator]
    for ours, theirs in zip(by_the_letter(path, feed(2)), wanted, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=5e-3)


def test_an_activation_that_is_not_finite_is_named(tmp_path: Path) -> None:
    write_graph(tmp_path / "g.onnx", 1.0, weight=-1.0)  # roots of negative numbers
    with pytest.raises(ParityError, match=r"g\.onnx: activation latent is not finite"):
        activation_peaks(tmp_path / "g.onnx", [feed()])


def test_the_margin_stands_between_a_measured_peak_and_the_limit() -> None:
    assert float(np.finfo(np.float16).max) > FP16_LIMIT
    assert too_large(1.01 * FP16_LIMIT / HEADROOM)
    assert not too_large(0.99 * FP16_LIMIT / HEADROOM)
