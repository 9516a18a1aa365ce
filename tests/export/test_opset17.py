"""The shipped graphs in opset 17: what TensorRT 8.5 parses, and the numbers that they were."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import onnx
import onnx.reference
import onnxruntime
import pytest
from onnx import TensorProto, helper

from aliaug_edge.assets import tiny_bundle_dir
from aliaug_edge.engines.building.onnx_facts import read_onnx
from aliaug_edge.engines.building.parser_limits import check_parsable
from aliaug_edge.export.opset17 import lower_to_17

SIZES = {"batch": 2, "height": 64, "width": 96, "latent_height": 8, "latent_width": 12}
SIZES |= {f"{axis}_{n}": SIZES[axis] // n for axis in ("height", "width") for n in (2, 4, 8)}


def outputs(path: Path) -> list[np.ndarray]:
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    rng = np.random.default_rng(0)
    feeds = {
        value.name: rng.random([SIZES.get(d, d) for d in value.shape], dtype=np.float32)
        for value in session.get_inputs()
    }
    made: list[np.ndarray] = session.run(None, feeds)
    return made


@pytest.mark.parametrize("graph", ["encoder", "unet", "decoder"])
def test_a_shipped_graph_is_the_same_in_opset_17(graph: str, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(tiny_bundle_dir() / "onnx", tmp_path / "onnx"))
    path = folder / f"{graph}.onnx"
    wanted = outputs(path)
    lower_to_17(path)
    facts = read_onnx(path)
    assert facts.opset == 17
    for tensorrt in ("8.5.2", "8.6.1", "10.3.0"):
        check_parsable(graph, facts, tensorrt)
    for ours, theirs in zip(outputs(path), wanted, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-3, atol=2e-5)


def write(path: Path, node: onnx.NodeProto, kind: int = TensorProto.FLOAT) -> Path:
    values = [helper.make_tensor_value_info(n, kind, ["batch", 4]) for n in "xy"]
    graph = helper.make_graph([node], "g", values[:1], values[1:])
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)]), path)
    return path


def test_gelu_keeps_the_type_that_it_has(tmp_path: Path) -> None:
    path = write(tmp_path / "g.onnx", helper.make_node("Gelu", ["x"], ["y"]), TensorProto.FLOAT16)
    x = np.linspace(-3, 3, 8, dtype=np.float16).reshape(2, 4)
    before = onnx.reference.ReferenceEvaluator(onnx.load(path)).run(None, {"x": x})
    lower_to_17(path)
    after = onnx.reference.ReferenceEvaluator(onnx.load(path)).run(None, {"x": x})
    assert after[0].dtype == np.float16
    np.testing.assert_allclose(after[0], before[0], atol=4e-3)


def test_what_opset_17_does_not_know_is_refused(tmp_path: Path) -> None:
    newer = helper.make_node("Mish", ["x"], ["y"])
    with pytest.raises(Exception, match="Mish"):
        lower_to_17(write(tmp_path / "mish.onnx", newer))
    tanh = helper.make_node("Gelu", ["x"], ["y"], approximate="tanh", name="gate")
    with pytest.raises(ValueError, match="gate: Gelu with approximate is not lowered"):
        lower_to_17(write(tmp_path / "gelu.onnx", tanh))
