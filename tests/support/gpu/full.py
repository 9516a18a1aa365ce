"""A bundle of conditioning `full`: the mask goes through the encoder as well."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
from onnx import helper

from aliaug_edge.bundle import MANIFEST, GraphSpec, save_manifest, spec_document
from aliaug_edge.tensors import TensorSpec
from support.bundles import _decoder_nodes, constant, graph_specs, make_bundle, write_graph


def make_full_bundle(folder: Path) -> Path:
    """`make_bundle`'s, whose decoder adds a tenth of `mask_tap_0` (colour bundles: the mask in its
    class's colour) to what it gives."""
    make_bundle(folder, label_carrier="colour")
    specs = graph_specs(16)
    decoder = specs["decoder"]
    tap = TensorSpec("mask_tap_0", "float32", ("batch", 3, "height", "width"))
    full = GraphSpec(decoder.path, (*decoder.inputs, tap), decoder.outputs)
    nodes = _decoder_nodes()
    nodes[-1] = helper.make_node("Max", ["below_high", "low"], ["before"])
    nodes += [
        constant("tenth", np.float32(0.1)),
        helper.make_node("Mul", ["mask_tap_0", "tenth"], ["painted_part"]),
        helper.make_node("Add", ["before", "painted_part"], ["generated"]),
    ]
    write_graph(folder / full.path, full, nodes)
    document = json.loads((folder / MANIFEST).read_text())
    document["graphs"]["decoder"] = spec_document(full)
    del document["files"]
    save_manifest(folder, document)
    return folder
