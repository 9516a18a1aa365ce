"""Where NaN or infinity began inside an ONNX graph, found by ONNX Runtime itself."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import helper, numpy_helper
from support.bundles import constant, make_bundle

from aliaug_edge.bundle import load_bundle
from aliaug_edge.engines import open_engine
from aliaug_edge.engines.origin import first_broken_node
from aliaug_edge.tensors import Arrays

node = helper.make_node
INF = float("inf")


@pytest.fixture
def begins(tmp_path: Path) -> Any:
    """Where it says that the values of a graph y = nodes(x) began."""

    def find(
        nodes: Sequence[onnx.NodeProto],
        x: Any,
        weights: dict[str, Any] | None = None,
        *,
        dtype: type = np.float32,
        beside: bool = False,
    ) -> str:
        kind = helper.np_dtype_to_tensor_dtype(np.dtype(dtype))
        sides = [helper.make_tensor_value_info(name, kind, None) for name in "xy"]
        held = [
            numpy_helper.from_array(np.asarray(v, dtype), n) for n, v in (weights or {}).items()
        ]
        graph = helper.make_graph(list(nodes), "g", sides[:1], sides[1:], held)
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])
        model.ir_version = 8
        path = tmp_path / "graphs" / "graph.onnx"
        path.parent.mkdir()
        onnx.save(
            model, path, save_as_external_data=beside, location="weights.bin", size_threshold=0
        )
        assert (path.parent / "weights.bin").exists() == beside
        return first_broken_node(onnxruntime, path, {"x": np.asarray(x, dtype)}, 1)

    return find


def test_the_first_node_that_breaks_is_named_and_not_those_behind_it(begins: Any) -> None:
    nodes = [
        node("Mul", ["x", "gain"], ["large"], name="/up.1/norm/Mul"),
        node("Exp", ["large"], ["huge"], name="/up.1/act/Exp"),
        node("Sub", ["huge", "huge"], ["none"], name="/up.1/Sub"),
        node("Add", ["none", "x"], ["y"]),
    ]
    weights = {"gain": [100.0]}
    assert begins(nodes, [1.0, 2.0], weights) == "output huge of /up.1/act/Exp (Exp)"


def test_a_weight_that_is_broken_is_told_by_the_node_that_reads_it(begins: Any) -> None:
    nodes = [
        node("Mul", ["x", "fine"], ["a"], name="first"),
        node("Identity", ["spoilt"], ["stored"]),
        node("Mul", ["a", "stored"], ["y"], name="second"),
    ]
    weights = {"fine": [2.0], "spoilt": [INF]}
    assert begins(nodes, [1.0], weights, beside=True) == "output y of second (Mul)"


def test_what_no_output_feels_is_passed_over(begins: Any) -> None:
    """Attention is masked with infinity, and a softmax makes zeros of it."""
    nodes = [
        node("Add", ["x", "mask"], ["masked"], name="mask"),
        node("Softmax", ["masked"], ["soft"], axis=-1),
        node("Log", ["soft"], ["unused"], name="unused"),
        node("Sqrt", ["x"], ["root"], name="root"),
        node("Mul", ["soft", "root"], ["y"]),
    ]
    mask = {"mask": [0.0, -INF, 0.0]}
    assert begins(nodes, [1.0, 1.0, -4.0], mask) == "output root of root (Sqrt)"


def test_a_finite_graph_has_no_such_node(begins: Any) -> None:
    assert begins([node("Mul", ["x", "x"], ["y"])], [1.0, 2.0]) == ""


def test_an_input_that_is_not_finite_is_named_as_that(begins: Any) -> None:
    assert begins([node("Mul", ["x", "x"], ["y"])], [1.0, INF]) == "input x"


def test_halves_overflow_where_they_are_stored(begins: Any) -> None:
    """As on a GPU, although the CPU computes in FP32 and could carry the value on."""
    nodes = [
        node("Mul", ["x", "x"], ["square"], name="square"),
        node("Mul", ["square", "less"], ["y"]),
    ]
    weights = {"less": [0.001]}
    assert begins(nodes, [300.0], weights, dtype=np.float16) == "output square of square (Mul)"


def test_tensors_of_other_kinds_between_the_nodes_are_carried_on(begins: Any) -> None:
    """Shapes in int64, a condition in bool, an input that is left out, two outputs at once."""
    nodes = [
        node("Shape", ["x"], ["shape"]),
        node("ConstantOfShape", ["shape"], ["zeros"]),
        node("Less", ["x", "zeros"], ["below"]),
        node("Where", ["below", "zeros", "x"], ["positive"]),
        constant("most", 3.0),
        node("Clip", ["positive", "", "most"], ["clipped"]),
        node("Split", ["clipped"], ["left", "right"], axis=0),
        node("Div", ["left", "right"], ["y"]),
    ]
    assert begins(nodes, [1.0, -2.0]) == "output y of a node (Div)"


def test_an_engine_tells_it_of_its_own_graph(tmp_path: Path, feeds: Arrays) -> None:
    broken = load_bundle(make_bundle(tmp_path / "nan", gain=float("nan")))
    with open_engine(broken, engine="onnxruntime-cpu", size_hw=(64, 96), batch=2) as engine:
        assert not np.isfinite(engine.infer(feeds)["generated"]).all()
        assert engine.culprit(feeds) == "output prompt_cube of a node (Mul)"  # type: ignore[attr-defined]


@pytest.mark.parametrize("content", [None, b"", b"no graph \xff\xff"])
def test_where_it_cannot_be_found_that_is_no_error(
    tmp_path: Path, feeds: Arrays, content: bytes | None
) -> None:
    broken = load_bundle(make_bundle(tmp_path / "nan", gain=float("nan")))
    path = broken.graph_path("generator")
    with open_engine(broken, engine="onnxruntime-cpu") as engine:
        path.unlink() if content is None else path.write_bytes(content)
        assert engine.culprit(feeds) == ""  # type: ignore[attr-defined]
