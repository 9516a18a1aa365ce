"""The three graphs in a row must give what the fused graph gives, for every conditioning."""

import dataclasses
import json

import numpy as np
import pytest
from onnx import helper
from support.bundles import (
    _decoder_nodes,
    _encoder_nodes,
    _pool,
    _unet_nodes,
    make_bundle,
    write_graph,
)

from aliaug_edge.bundle import load_bundle, save_manifest, spec_document
from aliaug_edge.errors import BundleError
from aliaug_edge.profiling.stages import STAGED, Bench, scene_feeds
from aliaug_edge.profiling.wiring import encode, encoder_passes, run_graph
from aliaug_edge.tensors import TensorSpec

SIZE = (64, 64)


def with_mask_passes(folder, *, latent: bool):
    """Rewrite a `light` bundle so that its decoder takes mask_tap_0 (and its U-Net mask_latent):
    the painted mask's taps are added to the result, its latent to the denoised one."""
    bundle = load_bundle(folder)
    node = helper.make_node
    extra = {"decoder": "mask_tap_0", "unet": "mask_latent"}
    like = {"decoder": "tap_0", "unet": "latent"}
    result = {"decoder": "generated", "unet": "denoised"}
    nodes = {"decoder": _decoder_nodes(), "unet": _unet_nodes(1.0)}
    graphs = dict(bundle.graphs)
    for graph in ("decoder", "unet") if latent else ("decoder",):
        inner = nodes[graph]
        inner[-1].output[0] = "before"
        inner.append(node("Add", ["before", extra[graph]], [result[graph]]))
        shape = next(s.shape for s in graphs[graph].inputs if s.name == like[graph])
        inputs = (*graphs[graph].inputs, TensorSpec(extra[graph], "float32", shape))
        graphs[graph] = dataclasses.replace(graphs[graph], inputs=inputs)
        write_graph(folder / graphs[graph].path, graphs[graph], inner)
    fused = [
        node("Unsqueeze", ["colour", "planes"], ["colour_planes"]),
        node("Mul", ["mask", "colour_planes"], ["mask_tap_0"]),
        _pool("mask_tap_0", "pooled_painted", 8),
        node("Conv", ["pooled_painted", "widen"], ["mask_latent"]),
    ]
    planes = helper.make_node("Constant", [], ["planes"], value_ints=[2, 3])
    everything = [*_encoder_nodes(), planes, *fused, *nodes["unet"], *nodes["decoder"]]
    if latent:  # both Adds call their first operand "before"
        nodes["unet"][-1].input[0] = nodes["unet"][-2].output[0] = "before_unet"
    write_graph(folder / graphs["generator"].path, graphs["generator"], everything)
    document = json.loads((folder / "bundle.json").read_text())
    document["graphs"] = {name: spec_document(spec) for name, spec in graphs.items()}
    save_manifest(folder, document)
    return load_bundle(folder)


@pytest.fixture(params=["light", "paper", "full"])
def bundle(request, tmp_path):
    folder = make_bundle(tmp_path / "bundle", sizes=(SIZE,), label_carrier="colour")
    if request.param == "light":
        return load_bundle(folder)
    return with_mask_passes(folder, latent=request.param == "full")


def test_the_graphs_in_a_row_give_what_the_fused_graph_gives(bundle, tmp_path):
    random = np.random.default_rng(1)
    shown = random.integers(0, 256, (*SIZE, 3)).astype(np.uint8)
    mask = np.zeros(SIZE, dtype=np.uint8)
    mask[20:40, 10:50] = 255
    feeds = scene_feeds(bundle, shown, mask, batch=1)
    with Bench(bundle, "onnxruntime-cpu", 1, SIZE, tmp_path / "work") as bench:
        known = encode(bench.engines, feeds)
        for graph in STAGED[1:]:
            known = run_graph(bench.engines, graph, known)
        fused = run_graph(bench.engines, "generator", feeds)
    assert np.allclose(known["generated"], fused["generated"], atol=1e-5)
    assert np.abs(fused["generated"] - feeds["image"]).max() > 0.05


def test_the_mask_is_encoded_only_where_a_graph_asks_for_it(bundle, tmp_path):
    asked = any(s.name.startswith("mask_") for s in bundle.graphs["decoder"].inputs)
    with Bench(bundle, "onnxruntime-cpu", 1, SIZE, tmp_path / "work") as bench:
        assert encoder_passes(bench.engines) == (2 if asked else 1)


def test_an_input_that_no_graph_makes_is_named(tmp_path):
    bundle = load_bundle(make_bundle(tmp_path / "bundle", sizes=(SIZE,)))
    with (
        Bench(bundle, "onnxruntime-cpu", 1, SIZE, tmp_path / "work") as bench,
        pytest.raises(BundleError, match=r"unet asks for \['latent'"),
    ):
        run_graph(bench.engines, "unet", {})
