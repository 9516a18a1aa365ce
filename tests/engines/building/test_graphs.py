"""ONNX graphs read without `onnx`, and what each TensorRT's parser takes of them."""

from __future__ import annotations

import collections
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from aliaug_edge.assets import tiny_bundle_dir
from aliaug_edge.engines.building.onnx_facts import read_onnx
from aliaug_edge.engines.building.parser_limits import check_parsable, newest_opset
from aliaug_edge.engines.plan import EngineError

GRAPHS = ("encoder", "unet", "decoder", "generator")
SUPPORTED = ("10.3.0", "10.13.3.9", "10.16.1.11", "11.4.0.106")


def tiny(graph: str) -> Path:
    return tiny_bundle_dir() / "onnx" / f"{graph}.onnx"


def model(*nodes: onnx.NodeProto, opset: int = 20) -> onnx.ModelProto:
    value = helper.make_tensor_value_info
    graph = helper.make_graph(
        list(nodes),
        "g",
        [value("x", TensorProto.FLOAT, [1])],
        [value("y", TensorProto.FLOAT, [1])],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)])


@pytest.mark.parametrize("graph", GRAPHS)
def test_facts_are_those_that_onnx_reads(graph: str) -> None:
    loaded = onnx.load(tiny(graph))
    facts = read_onnx(tiny(graph))
    assert facts.opset == loaded.opset_import[0].version
    assert facts.operators == collections.Counter(node.op_type for node in loaded.graph.node)
    assert facts.weight_bytes == sum(len(tensor.raw_data) for tensor in loaded.graph.initializer)


@pytest.mark.parametrize("graph", GRAPHS)
@pytest.mark.parametrize("tensorrt", SUPPORTED)
def test_the_shipped_graphs_suit_every_supported_parser(graph: str, tensorrt: str) -> None:
    check_parsable(graph, read_onnx(tiny(graph)), tensorrt)


@pytest.mark.parametrize("graph", GRAPHS)
def test_attention_and_group_norm_are_primitives(graph: str) -> None:
    operators = set(read_onnx(tiny(graph)).operators)
    assert not operators & {"Attention", "GroupNormalization", "If", "Loop", "Scan"}
    assert {"InstanceNormalization", "Softmax", "MatMul"} <= operators


@pytest.mark.parametrize("tensorrt", ["8.5.2", "8.6.1"])
def test_the_legacy_parsers_refuse_the_opset_in_one_line(tensorrt: str) -> None:
    with pytest.raises(
        EngineError, match=rf"opset 20, TensorRT {tensorrt} takes up to 17: .*--opset 17"
    ):
        check_parsable("unet", read_onnx(tiny("unet")), tensorrt)


@pytest.mark.parametrize(
    ("tensorrt", "opset"),
    [("8.6.1", 17), ("10.3.0", 20), ("10.13.3.9", 21), ("10.16.1.11", 23), ("11.4.0.106", 24)],
)
def test_the_newest_opset_of_each(tensorrt: str, opset: int) -> None:
    assert newest_opset(tensorrt) == opset


def test_a_tensorrt_before_8_5_is_too_old() -> None:
    with pytest.raises(EngineError, match=r"TensorRT 8\.4\.1 is too old"):
        newest_opset("8.4.1")


def node(name: str, domain: str = "") -> onnx.NodeProto:
    return helper.make_node(name, ["x"], ["y"], domain=domain)


@pytest.mark.parametrize(
    ("operator", "opset", "tensorrt", "taken"),
    [
        ("Gelu", 20, "10.3.0", True),
        ("Gelu", 17, "8.6.1", False),
        ("LayerNormalization", 17, "8.6.1", True),
        ("LayerNormalization", 17, "8.5.2", False),
        ("GroupNormalization", 20, "10.3.0", False),
        ("GroupNormalization", 21, "10.13.3.9", True),
        ("Attention", 23, "10.16.1.11", True),
        ("FFT", 20, "11.4.0.106", False),
    ],
)
def test_operators_are_taken_from_the_version_that_has_them(
    tmp_path: Path, operator: str, opset: int, tensorrt: str, taken: bool
) -> None:
    path = tmp_path / "g.onnx"
    onnx.save(model(node(operator), opset=opset), path)
    if taken:
        check_parsable("g", read_onnx(path), tensorrt)
        return
    with pytest.raises(EngineError, match=f"does not take: {operator}"):
        check_parsable("g", read_onnx(path), tensorrt)


def test_an_operator_of_another_domain_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "g.onnx"
    onnx.save(model(node("Add", "com.microsoft")), path)
    with pytest.raises(EngineError, match=r"does not take: com\.microsoft\.Add"):
        check_parsable("g", read_onnx(path), "10.3.0")


def test_control_flow_is_refused_and_read_inside(tmp_path: Path) -> None:
    branch = helper.make_graph([node("Gelu")], "b", [], [])
    path = tmp_path / "g.onnx"
    chosen = helper.make_node("If", ["x"], ["y"], then_branch=branch, else_branch=branch)
    onnx.save(model(chosen), path)
    facts = read_onnx(path)
    assert facts.operators == {"If": 1, "Gelu": 2}
    with pytest.raises(EngineError, match="graph g has If: control flow is not built"):
        check_parsable("g", facts, "11.4.0")


def with_weights(folder: Path, values: list[float], other: list[float]) -> Path:
    """A graph whose weights are the first half of a file that another graph's follow."""
    loaded = model(helper.make_node("Add", ["x", "w"], ["y"]))
    raw = numpy_helper.from_array(np.array(values, "float32"), "w")
    tensor = TensorProto(name="w", data_type=TensorProto.FLOAT, dims=[len(values)])
    tensor.data_location = TensorProto.EXTERNAL
    for key, value in (("location", "w.bin"), ("offset", "0"), ("length", str(4 * len(values)))):
        tensor.external_data.add(key=key, value=value)
    loaded.graph.initializer.append(tensor)
    folder.mkdir()
    rest = np.array(other, "float32").tobytes()
    (folder / "w.bin").write_bytes(raw.raw_data + rest)
    (folder / "g.onnx").write_bytes(loaded.SerializeToString())
    return folder / "g.onnx"


def test_the_hash_covers_a_graphs_own_weights_and_no_others(tmp_path: Path) -> None:
    first = read_onnx(with_weights(tmp_path / "a", [1, 2], [3]))
    same = read_onnx(with_weights(tmp_path / "b", [1, 2], [4]))
    changed = read_onnx(with_weights(tmp_path / "c", [1, 9], [3]))
    assert first.sha256 == same.sha256 != changed.sha256
    assert first.weight_bytes == 8


def test_weights_that_are_cut_off_or_outside_are_refused(tmp_path: Path) -> None:
    path = with_weights(tmp_path / "a", [1, 2], [])
    (path.parent / "w.bin").write_bytes(b"1234")
    with pytest.raises(EngineError, match=r"w\.bin ends before byte 8"):
        read_onnx(path)
    path.write_bytes(path.read_bytes().replace(b"w.bin", b"../.."))
    with pytest.raises(EngineError, match="outside its folder; refused"):
        read_onnx(path)


@pytest.mark.parametrize("data", [b"", b"not a graph", b"\xff" * 64, b"\x3a\xff\xff\xff\x7f"])
def test_what_is_no_onnx_file_is_one_line(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "g.onnx"
    path.write_bytes(data)
    with pytest.raises(EngineError, match="export the bundle again") as caught:
        read_onnx(path)
    assert "\n" not in str(caught.value)
