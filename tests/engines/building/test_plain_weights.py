"""TensorRT parses graphs whose weights are of the type that they are computed with."""

from __future__ import annotations

import functools
import shutil
from collections import Counter
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper

from aliaug_edge.assets import tiny_bundle_dir
from aliaug_edge.bundle import load_bundle
from aliaug_edge.engines.building import BuildOptions, build_bundle
from aliaug_edge.engines.building.machine import Machine
from aliaug_edge.engines.building.plain_weights import PLAIN, with_plain_weights
from aliaug_edge.engines.plan import EngineError
from aliaug_edge.export.weights import STORED, share_weights
from aliaug_edge.generation.trial import trial_feeds

SHAPE = (1, 3, 16, 16)


def write_graph(folder: Path, *, exact: bool, read_twice: bool = False) -> Path:
    """A convolution whose kernel is `exact` in half, stored as bundles store it."""
    rng = np.random.default_rng(0)
    kernel = rng.standard_normal((32, 3, 3, 3)).astype(np.float16 if exact else np.float32)
    nodes = [helper.make_node("Conv", ["image", "kernel"], ["made"], pads=[1, 1, 1, 1])]
    outputs = [helper.make_tensor_value_info("made", TensorProto.FLOAT, (1, 32, 16, 16))]
    path = folder / "unet.onnx"
    weights = [numpy_helper.from_array(kernel.astype(np.float32), "kernel")]
    image = helper.make_tensor_value_info("image", TensorProto.FLOAT, SHAPE)
    graph = helper.make_graph(nodes, "unet", [image], outputs, weights)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])
    onnx.save(model, path, save_as_external_data=True, size_threshold=0, location="unet.data")
    share_weights([path])
    if read_twice:
        model = onnx.load(path, load_external_data=False)
        model.graph.node.append(helper.make_node("Shape", ["kernel" + STORED], ["size"]))
        model.graph.output.append(helper.make_tensor_value_info("size", TensorProto.INT64, (4,)))
        path.write_bytes(model.SerializeToString())
    return path


def made_by(path: Path) -> list[np.ndarray]:
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    rng = np.random.default_rng(1)
    return list(session.run(None, {"image": rng.standard_normal(SHAPE).astype(np.float32)}))


def operators(path: Path) -> Counter[str]:
    return Counter(node.op_type for node in onnx.load(path, load_external_data=False).graph.node)


def test_a_weight_stored_in_half_is_a_plain_one_again_with_the_same_values(tmp_path: Path) -> None:
    path = write_graph(tmp_path, exact=True)
    before = {p.name: p.read_bytes() for p in tmp_path.iterdir()}
    assert operators(path) == {"Cast": 1, "Conv": 1}
    work = tmp_path / "work"
    work.mkdir()
    plain = with_plain_weights(path, work)
    assert operators(plain) == {"Conv": 1}
    onnx.checker.check_model(str(plain), full_check=True)
    (kernel,) = onnx.load(plain).graph.initializer
    assert (kernel.name, kernel.data_type) == ("kernel", TensorProto.FLOAT)
    assert np.array_equal(made_by(plain)[0], made_by(path)[0])
    assert {p.name: p.read_bytes() for p in tmp_path.iterdir() if p.is_file()} == before


def test_the_copy_is_the_same_to_the_byte(tmp_path: Path) -> None:
    path = write_graph(tmp_path, exact=True)
    made = []
    for name in ("first", "second"):
        (tmp_path / name).mkdir()
        with_plain_weights(path, tmp_path / name)
        made.append({p.name: p.read_bytes() for p in (tmp_path / name).iterdir()})
    assert made[0] == made[1]


def test_a_graph_without_such_weights_is_not_copied(tmp_path: Path) -> None:
    path = write_graph(tmp_path, exact=False)
    work = tmp_path / "work"
    work.mkdir()
    assert with_plain_weights(path, work) == path
    assert list(work.iterdir()) == []


def test_a_half_that_something_else_reads_too_stays_one(tmp_path: Path) -> None:
    path = write_graph(tmp_path, exact=True, read_twice=True)
    assert with_plain_weights(path, tmp_path) == path


def test_weights_that_end_early_are_one_line(tmp_path: Path) -> None:
    path = write_graph(tmp_path, exact=True)
    weights = tmp_path / "weights.bin"
    weights.write_bytes(weights.read_bytes()[:-8])
    work = tmp_path / "work"
    work.mkdir()
    with pytest.raises(EngineError, match=r"weights.bin: weight kernel/stored ends after"):
        with_plain_weights(path, work)


def test_every_graph_of_the_shipped_bundle_has_plain_kernels_and_equal_outputs(
    tmp_path: Path,
) -> None:
    bundle = load_bundle(tiny_bundle_dir())
    for name in bundle.graphs:
        work = tmp_path / name
        work.mkdir()
        plain = with_plain_weights(bundle.graph_path(name), work)
        assert plain == work / PLAIN
        model = onnx.load(plain, load_external_data=False)
        weights = {tensor.name for tensor in model.graph.initializer}
        kernels = [node.input[1] for node in model.graph.node if node.op_type == "Conv"]
        assert kernels and weights.issuperset(kernels)
        assert not any(name.endswith(STORED) for name in weights)


def test_the_shipped_bundle_is_built_from_plain_weights_and_proven(
    machine: Machine, tmp_path: Path
) -> None:
    """The toolchain refuses a convolution whose kernel is another node's output."""
    folder = Path(shutil.copytree(tiny_bundle_dir(), tmp_path / "tiny"))
    bundle = load_bundle(folder)
    before = sorted(p.name for p in (folder / "onnx").iterdir())
    options = BuildOptions(graphs=("encoder",), sizes=((128, 128),))
    (outcome,) = build_bundle(bundle, options, machine, functools.partial(trial_feeds, bundle))
    assert outcome.header.parity is not None and outcome.header.parity["psnr_db"] >= 120
    assert outcome.header.onnx_sha256  # of the bundle's graph, which is what is vouched for
    assert sorted(p.name for p in (folder / "onnx").iterdir()) == before
    assert not [p for p in outcome.folder.iterdir() if p.name.startswith("plain")]
