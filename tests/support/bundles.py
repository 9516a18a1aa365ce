"""A real, runnable bundle in a few kilobytes: hand-built ONNX graphs with the generator's names.

The graphs stand in for a trained generator (conditioning `light`, latent factor 8):

    latent    = avgpool8(image), widened to 4 channels;   tap_i = avgpool(2^i)(image)
    denoised  = 0.1·latent + avgpool8(mask)·(gain·mean(prompt_embeds) + 0.2·(mean(colour) − 1)
                + 0.3·severity + 0.1·noise)
    generated = clip(tap_0 + mask·(mean over channels of upsample8(denoised) + 0.3·(colour − 1)))

So outside the mask the image is copied to the bit, and inside it prompt, colour, severity and noise
each change the pixels. The fused graph is the composition of the three stages.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import helper, numpy_helper

from aliaug_edge.bundle import MASKS, PROMPTS, ClassSpec, GraphSpec, save_manifest, spec_document
from aliaug_edge.tensors import TensorSpec

FACTOR = 8
LATENT_CHANNELS = 4
TOKENS = 77
TAPS = 4
FULL = ("height", "width")
COARSE = ("latent_height", "latent_width")


def make_bundle(
    folder: Path,
    *,
    name: str = "test-bundle",
    classes: Sequence[str] = ("crack", "stain"),
    sizes: Sequence[tuple[int, int]] = ((64, 64),),
    label_carrier: str = "text",
    masks_per_class: int = 3,
    prompt_width: int = 16,
    gain: float = 1.0,
) -> Path:
    """Write a bundle into the new folder `folder` and return it.

    `masks_per_class` 0 leaves `masks.npz` out. `gain` scales what the prompt does; NaN makes every
    generated image non-finite.
    """
    (folder / "onnx").mkdir(parents=True)
    specs = graph_specs(prompt_width)
    for graph, nodes in _nodes(gain).items():
        write_graph(folder / specs[graph].path, specs[graph], nodes)
    np.savez(folder / PROMPTS, embeds=_prompts(len(classes), prompt_width))
    if masks_per_class:
        np.savez(folder / MASKS, **_mask_shapes(len(classes), masks_per_class))
    save_manifest(folder, _manifest(name, classes, sizes, label_carrier, specs))
    return folder


def graph_specs(prompt_width: int) -> dict[str, GraphSpec]:
    """The four graphs' tensors, as `aliaug_edge.tensors` names them."""
    tensors = {
        "image": ("batch", 3, *FULL),
        "mask": ("batch", 1, *FULL),
        "colour": ("batch", 3),
        "noise": ("batch", LATENT_CHANNELS, *COARSE),
        "severity": ("batch", 1),
        "prompt_embeds": ("batch", TOKENS, prompt_width),
        "latent": ("batch", LATENT_CHANNELS, *COARSE),
        "denoised": ("batch", LATENT_CHANNELS, *COARSE),
        "generated": ("batch", 3, *FULL),
        "tap_0": ("batch", 3, *FULL),
        **{f"tap_{i}": ("batch", 3, f"height_{2**i}", f"width_{2**i}") for i in range(1, TAPS)},
    }
    taps = [f"tap_{i}" for i in range(TAPS)]
    condition = ["mask", "colour", "noise", "severity", "prompt_embeds"]
    sides = {
        "encoder": (["image"], ["latent", *taps]),
        "unet": (["latent", *condition], ["denoised"]),
        "decoder": (["denoised", "mask", "colour", *taps], ["generated"]),
        "generator": (["image", *condition], ["generated"]),
    }

    def specs(names: list[str]) -> tuple[TensorSpec, ...]:
        return tuple(TensorSpec(n, "float32", tensors[n]) for n in names)

    return {
        graph: GraphSpec(f"onnx/{graph}.onnx", specs(inputs), specs(outputs))
        for graph, (inputs, outputs) in sides.items()
    }


def write_graph(
    path: Path, spec: GraphSpec, nodes: Sequence[onnx.NodeProto], *, opset: int = 17
) -> None:
    """Write one checked ONNX file whose inputs and outputs are those of `spec`."""

    def info(tensor: TensorSpec) -> Any:
        kind = helper.np_dtype_to_tensor_dtype(np.dtype(tensor.dtype))
        return helper.make_tensor_value_info(tensor.name, kind, tensor.shape)

    graph = helper.make_graph(
        list(nodes), path.stem, [info(t) for t in spec.inputs], [info(t) for t in spec.outputs]
    )
    model = helper.make_model(
        graph, opset_imports=[helper.make_opsetid("", opset)], producer_name="aliaug-edge tests"
    )
    model.ir_version = 8
    onnx.checker.check_model(model)
    path.write_bytes(model.SerializeToString())


def constant(name: str, value: Any, dtype: type = np.float32) -> onnx.NodeProto:
    """A Constant node called `name`."""
    return helper.make_node(
        "Constant", [], [name], value=numpy_helper.from_array(np.asarray(value, dtype), name)
    )


def _nodes(gain: float) -> dict[str, list[onnx.NodeProto]]:
    encoder, unet, decoder = _encoder_nodes(), _unet_nodes(gain), _decoder_nodes()
    return {
        "encoder": encoder,
        "unet": unet,
        "decoder": decoder,
        "generator": encoder + unet + decoder,
    }


def _pool(source: str, target: str, factor: int) -> onnx.NodeProto:
    window = [factor, factor]
    return helper.make_node("AveragePool", [source], [target], kernel_shape=window, strides=window)


def _encoder_nodes() -> list[onnx.NodeProto]:
    widen = np.concatenate([np.eye(3), np.full((1, 3), 1 / 3)])[:, :, None, None]
    return [
        _pool("image", "pooled_image", FACTOR),
        constant("widen", widen),
        helper.make_node("Conv", ["pooled_image", "widen"], ["latent"]),
        helper.make_node("Identity", ["image"], ["tap_0"]),
        *(_pool("image", f"tap_{i}", 2**i) for i in range(1, TAPS)),
    ]


def _unet_nodes(gain: float) -> list[onnx.NodeProto]:
    node = helper.make_node
    return [
        *(constant(n, v) for n, v in _UNET_CONSTANTS.items()),
        constant("gain", gain),
        constant("as_plane", [0, -1, 1, 1], np.int64),
        node("ReduceMean", ["prompt_embeds"], ["prompt_mean"], axes=[1, 2], keepdims=1),
        node("Mul", ["prompt_mean", "gain"], ["prompt_cube"]),
        node("Reshape", ["prompt_cube", "as_plane"], ["prompt_part"]),
        node("ReduceMean", ["colour"], ["colour_mean"], axes=[1], keepdims=1),
        node("Sub", ["colour_mean", "unet_one"], ["colour_shift"]),
        node("Mul", ["colour_shift", "colour_gain"], ["colour_scaled"]),
        node("Reshape", ["colour_scaled", "as_plane"], ["colour_part"]),
        node("Mul", ["severity", "severity_gain"], ["severity_scaled"]),
        node("Reshape", ["severity_scaled", "as_plane"], ["severity_part"]),
        node("Mul", ["noise", "noise_gain"], ["noise_part"]),
        node("Sum", ["prompt_part", "colour_part", "severity_part", "noise_part"], ["shift"]),
        _pool("mask", "coverage", FACTOR),
        node("Mul", ["shift", "coverage"], ["masked_shift"]),
        node("Mul", ["latent", "latent_gain"], ["faded_latent"]),
        node("Add", ["faded_latent", "masked_shift"], ["denoised"]),
    ]


_UNET_CONSTANTS = {
    "unet_one": 1.0,
    "colour_gain": 0.2,
    "severity_gain": 0.3,
    "noise_gain": 0.1,
    "latent_gain": 0.1,
}


def _decoder_nodes() -> list[onnx.NodeProto]:
    node = helper.make_node
    return [
        constant("decoder_one", 1.0),
        constant("tint_gain", 0.3),
        constant("colour_shape", [0, 3, 1, 1], np.int64),
        constant("low", -1.0),
        constant("high", 1.0),
        constant("scales", [1, 1, FACTOR, FACTOR]),
        node("ReduceMean", ["denoised"], ["grey"], axes=[1], keepdims=1),
        node("Resize", ["grey", "", "scales"], ["grown"], mode="nearest"),
        node("Sub", ["colour", "decoder_one"], ["tint"]),
        node("Mul", ["tint", "tint_gain"], ["tint_scaled"]),
        node("Reshape", ["tint_scaled", "colour_shape"], ["tint_part"]),
        node("Add", ["grown", "tint_part"], ["change"]),
        node("Mul", ["change", "mask"], ["masked_change"]),
        node("Add", ["tap_0", "masked_change"], ["unclipped"]),
        node("Min", ["unclipped", "high"], ["below_high"]),  # Min and Max keep NaN, Clip may not
        node("Max", ["below_high", "low"], ["generated"]),
    ]


def _prompts(count: int, width: int) -> np.ndarray:
    """(count, 77, width) float32; class i has mean +0.5, −0.5, +0.7, −0.7, …"""
    means = [(0.5 + 0.2 * (i // 2)) * (1 if i % 2 == 0 else -1) for i in range(count)]
    ripple = np.sin(np.arange(TOKENS * width, dtype=np.float64)).reshape(TOKENS, width)
    ripple -= ripple.mean()
    return np.stack([ripple + mean for mean in means]).astype(np.float32)


def _mask_shapes(count: int, per_class: int) -> dict[str, np.ndarray]:
    """Tight ellipses, larger and longer from one to the next."""
    shapes = {}
    for index in range(count):
        for number in range(per_class):
            height, width = 9 + 2 * number, 13 + 4 * number + 2 * index
            y, x = np.mgrid[-1 : 1 : height * 1j, -1 : 1 : width * 1j]
            shapes[f"{index}/{number}"] = np.where(y**2 + x**2 <= 1, 255, 0).astype(np.uint8)
    return shapes


def _manifest(
    name: str,
    classes: Sequence[str],
    sizes: Sequence[tuple[int, int]],
    label_carrier: str,
    specs: dict[str, GraphSpec],
) -> dict[str, Any]:
    white = (1.0, 1.0, 1.0)
    colours = [((i * 0.37) % 1.0, (i * 0.61 + 0.3) % 1.0, 0.9) for i in range(len(classes))]
    return {
        "name": name,
        "conditioning": "light",
        "label_carrier": label_carrier,
        "precision": "fp32",
        "classes": [
            spec_document(
                ClassSpec(c, f"a {c} on a part", colour if label_carrier == "colour" else white)
            )
            for c, colour in zip(classes, colours, strict=True)
        ],
        "sizes": [list(size) for size in sizes],
        "latent": {"channels": LATENT_CHANNELS, "factor": FACTOR},
        "preprocessing": {"colour_order": "RGB", "value_range": [-1.0, 1.0]},
        "graphs": {graph: spec_document(spec) for graph, spec in specs.items()},
        "parity": {"max_grey_levels": 0, "psnr_db": 99.0},
        "provenance": {"made_by": "tests/support/bundles.py", "training": None},
    }
