"""The TensorRT engine on a GPU in numpy (`support.gpu`), which computes what ONNX Runtime does."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support.gpu.full import make_full_bundle, make_paper_bundle
from support.gpu.rig import STAGED, rig

from aliaug_edge.bundle import Bundle, load_bundle
from aliaug_edge.engines.onnxruntime import OnnxRuntimeEngine
from aliaug_edge.tensors import Arrays


def on_cpu(bundle: Bundle, feeds: Arrays) -> Arrays:
    """The three stages one after another on the CPU."""
    known = dict(feeds)
    for graph in STAGED:
        engine = OnnxRuntimeEngine(
            bundle.graph_path(graph), bundle.graphs[graph], provider="cpu", threads=1
        )
        with engine:
            known |= engine.infer({spec.name: known[spec.name] for spec in engine.inputs})
    return known


@pytest.mark.parametrize("eager", [False, True])
@pytest.mark.parametrize("version", ["8.6", "10.3", "11.4"])
def test_the_stages_on_the_device_give_what_they_give_on_the_cpu(
    bundle: Bundle, feeds: Arrays, version: str, eager: bool
) -> None:
    expected = on_cpu(bundle, feeds)["generated"]
    with rig(version=version, eager=eager) as gpu, gpu.engine(bundle) as engine:
        for _ in range(3):  # plain, then as a graph
            assert np.array_equal(engine.infer(feeds)["generated"], expected)
        assert engine.graphs.captures == 1
        assert gpu.machine.trace.count("graph") == 2


@pytest.mark.parametrize("make", [make_full_bundle, make_paper_bundle])
@pytest.mark.parametrize("stages", [STAGED, ("generator",)])
def test_inputs_that_no_stage_reads_are_taken_and_painted_with(
    make: Any, stages: tuple[str, ...], feeds: Arrays, tmp_path: Path
) -> None:
    bundle = load_bundle(make(tmp_path / "bundle"))
    spec = bundle.graphs["generator"]
    given = {tensor.name: feeds[tensor.name] for tensor in spec.inputs}
    with OnnxRuntimeEngine(bundle.graph_path("generator"), spec, provider="cpu", threads=1) as cpu:
        expected = cpu.infer(given)["generated"]
        other = cpu.infer({**given, "colour": given["colour"] / 2})["generated"]
    assert not np.allclose(expected, other, atol=1e-3)
    with rig() as gpu, gpu.engine(bundle, stages) as engine:
        for _ in range(2):  # plain, then as a graph
            assert np.allclose(engine.infer(given)["generated"], expected, atol=1e-5)
