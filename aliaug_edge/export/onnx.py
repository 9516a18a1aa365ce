"""Torch → ONNX: one graph a stage and the fused generator, with fixed names and free sizes."""

from __future__ import annotations

import contextlib
import io
import logging
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import onnx
import torch
from torch.export import Dim

from aliaug_edge.bundle import GraphSpec
from aliaug_edge.export.graph_files import load_graph, save_graph
from aliaug_edge.export.stages import LATENT_FACTOR, Stage, example_inputs
from aliaug_edge.tensors import TensorSpec

OPSET = 20  # the newest that TensorRT 10.3 (JetPack 6) parses
BATCH_LIMIT = 63  # while tracing: diffusers' up-sampling asks for another memory layout from 64 on


def export_stage(stage: Stage, multiple: int, path: Path, opset: int = OPSET) -> GraphSpec:
    """Write the graph of `stage` to `path`, its weights beside it; sizes and batch stay free.

    `multiple` is that of `stages.size_multiple`; height and width must be multiples of it.
    """
    stage.module.eval()
    shapes = tuple(_dynamic_shape(spec, multiple) for spec in stage.inputs)
    with torch.no_grad(), _quiet():
        program = torch.onnx.export(
            stage.module,
            tuple(example_inputs(stage, multiple)),
            dynamo=True,
            opset_version=opset,
            input_names=[spec.name for spec in stage.inputs],
            output_names=[spec.name for spec in stage.outputs],
            dynamic_shapes={"tensors": shapes},
            external_data=False,
            verbose=False,
        )
    assert program is not None
    path.parent.mkdir(parents=True, exist_ok=True)
    program.save(path, external_data=True)
    model = load_graph(path)
    _name_dimensions(model, stage)
    _strip_origins(model)
    save_graph(model, path)
    return GraphSpec(f"onnx/{path.name}", stage.inputs, stage.outputs)


def _dynamic_shape(spec: TensorSpec, multiple: int) -> dict[int, Any]:
    """torch.export wants each free side as (unit · factor) of one shared unit per axis."""
    units = {"height": Dim("uh", min=1, max=512), "width": Dim("uw", min=1, max=512)}
    shape: dict[int, Any] = {}
    for index, dimension in enumerate(spec.shape):
        if dimension == "batch":
            shape[index] = Dim("batch", min=1, max=BATCH_LIMIT)
        elif isinstance(dimension, str):
            axis = "height" if "height" in dimension else "width"
            shape[index] = _factor(dimension, multiple) * units[axis]
    return shape


def _factor(dimension: str, multiple: int) -> int:
    if dimension.startswith("latent_"):
        return multiple // LATENT_FACTOR
    level = dimension.rpartition("_")[2]
    return multiple // int(level) if level.isdigit() else multiple


def _name_dimensions(model: onnx.ModelProto, stage: Stage) -> None:
    """Give the free dimensions of inputs and outputs our names instead of the exporter's terms."""
    specs = {spec.name: spec for spec in (*stage.inputs, *stage.outputs)}
    for value in (*model.graph.input, *model.graph.output):
        dims = value.type.tensor_type.shape.dim
        for dim, wanted in zip(dims, specs[value.name].shape, strict=True):
            dim.Clear()
            if isinstance(wanted, str):
                dim.dim_param = wanted
            else:
                dim.dim_value = wanted
    del model.graph.value_info[:]  # they repeat the exporter's terms; runtimes infer them again


def _strip_origins(model: onnx.ModelProto) -> None:
    """Drop stack traces and local paths: equal models must be equal files on every machine."""
    del model.metadata_props[:]
    model.doc_string = ""
    for node in model.graph.node:
        del node.metadata_props[:]
        node.doc_string = ""
    for value in (*model.graph.input, *model.graph.output):
        del value.metadata_props[:]
    del model.graph.metadata_props[:]
    model.graph.doc_string = ""


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """The exporter talks on stdout and through warnings about what no user can change."""
    level = logging.getLogger("torch.onnx").level
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)
    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore")
        try:
            yield
        finally:
            logging.getLogger("torch.onnx").setLevel(level)
