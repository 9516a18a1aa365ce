"""Proof that nothing changed on the way: torch with its adapters against the exported graphs.

The reference is the *unmerged* generator, so the proof covers the merge as well. Inputs are real
image files, decoded and cropped as at generation; each stage is fed with the reference's tensors,
so that an error shows where it arises; the fused graph is judged on the final pixels.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from aliaug_edge import crops, imaging
from aliaug_edge.appearances import drawn
from aliaug_edge.bundle import GraphSpec
from aliaug_edge.engines.onnxruntime import OnnxRuntimeEngine
from aliaug_edge.errors import AliAugError, ParityError
from aliaug_edge.export.stages import stage_of
from aliaug_edge.export.torch_engine import TorchEngine
from aliaug_edge.generation.feeds import model_feeds
from aliaug_edge.model.generator import Generator
from aliaug_edge.tensors import Arrays, require_finite

TOLERANCES: dict[str, dict[str, float]] = {
    "fp32": {"max_grey": 1.0, "psnr_db": 60.0},
    "fp16": {"psnr_db": 45.0},
}
PSNR_CAP_DB = 150.0  # of tensors that are equal to the last bit
PIXELS = "final_pixels"


@dataclass(frozen=True)
class Scene:
    """A real input: an image file, a mask of its size (H, W) of 0 and 255, a class's index."""

    image_path: Path
    mask: NDArray[np.uint8]
    class_index: int


@dataclass(frozen=True)
class Conditions:
    """What the classes feed: prompt embeddings (N, 77, D) float32, mask colours (N, 3) and the
    appearances that each has learned (defects, 8)."""

    embeds: NDArray[np.float32]
    colours: NDArray[np.float32]
    appearances: Sequence[NDArray[np.float32]]


def scene_feeds(
    scene: Scene, conditions: Conditions, size_hw: tuple[int, int], seed: int, channels: int
) -> Arrays:
    """The generator's inputs (batch 1) for a scene, from the image file on."""
    box = crops.mask_box(scene.mask)
    image = imaging.load_image(scene.image_path)
    window = crops.window_around(box, image.shape[:2], size_hw)
    crop = crops.resize(crops.cut(image, window), size_hw)
    mask = crops.resize_mask(crops.cut(scene.mask, window), size_hw)
    severity = 0.25 + 0.5 * (seed % 2)
    return model_feeds(
        crop[None],
        mask[None],
        colours=conditions.colours[scene.class_index][None],
        prompt_embeds=conditions.embeds[scene.class_index][None],
        looks=[drawn(conditions.appearances[scene.class_index], severity, seed)],
        seeds=[seed],
        severities=[severity],
        latent_channels=channels,
    )


def measure_parity(
    reference: Generator,
    graphs: Mapping[str, GraphSpec],
    folder: Path,
    feeds: Sequence[tuple[tuple[int, int], int, Arrays]],
) -> list[dict[str, Any]]:
    """Rows of {tensor, size, seed, max_abs, psnr_db, max_grey} for every (size, seed, feeds).

    `max_grey`, in grey levels, is given for the final pixels alone; the PSNR of another tensor is
    relative to its own range.

    Raises:
        ParityError: a tensor of the reference or of a graph is not finite.
    """
    rows = []
    for size_hw, seed, given in feeds:
        where = {"size": list(size_hw), "seed": seed}
        tensors = reference_tensors(reference, given)
        _require_finite("torch", tensors)
        for name, spec in graphs.items():
            inputs = {t.name: tensors[t.name].astype(t.dtype, copy=False) for t in spec.inputs}
            with OnnxRuntimeEngine(folder / spec.path, spec, provider="cpu", size_hw=size_hw) as e:
                outputs = e.infer(inputs)
            _require_finite(name, outputs)
            for tensor, value in outputs.items():
                shown = f"{name}.{tensor}"
                rows.append({"tensor": shown, **where, **_difference(tensors[tensor], value)})
        rows.append({"tensor": PIXELS, **where, **_pixels(tensors["generated"], outputs)})
    return rows


def _require_finite(subject: str, tensors: Arrays) -> None:
    """NaN compares as neither better nor worse, so it is looked for by itself."""
    try:
        require_finite(subject, tensors)
    except AliAugError as error:
        raise ParityError(f"{error} on a real input; nothing was written") from error


def reference_tensors(reference: Generator, feeds: Arrays) -> Arrays:
    """Every tensor of the contract from one torch forward: inputs, stages and result."""
    tensors = {**feeds}
    with torch.no_grad(), TorchEngine(stage_of(reference, "encoder")) as encoder:
        tensors |= encoder.infer({"image": feeds["image"]})
        if reference.conditioning != "light":
            painted = feeds["mask"] * feeds["colour"][:, :, None, None]
            of_mask = encoder.infer({"image": painted})
            tensors |= {f"mask_{name}": value for name, value in of_mask.items()}
    for name in ("unet", "decoder"):
        with TorchEngine(stage_of(reference, name)) as engine:
            tensors |= engine.infer({s.name: tensors[s.name] for s in engine.inputs})
    return tensors


def judge_parity(rows: Sequence[Mapping[str, Any]], precision: str) -> dict[str, Any]:
    """The manifest's parity entry: verdict, tolerance, rows.

    Raises:
        ParityError: the final pixels of some row are out of tolerance.
    """
    tolerance = TOLERANCES[precision]
    for row in rows:
        if row["tensor"] == PIXELS and not _within(row, tolerance):
            raise ParityError(
                f"{precision} export out of tolerance at {row['size']}, seed {row['seed']}: final "
                f"pixels differ by up to {row['max_grey']:.0f} grey levels, "
                f"{row['psnr_db']:.1f} dB; expected {tolerance}. Nothing was written; "
                "export with --precision fp32"
            )
    return {"verdict": "passed", "tolerance": tolerance, "rows": list(rows)}


def parity_lines(rows: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """The rows as text, worst value per tensor over sizes and seeds."""
    names = list(dict.fromkeys(row["tensor"] for row in rows))
    yield f"{'tensor':<24} {'max |diff|':>12} {'min PSNR dB':>12} {'max grey':>9}"
    for name in names:
        mine = [row for row in rows if row["tensor"] == name]
        grey = mine[0]["max_grey"]
        worst = "" if grey is None else f"{max(row['max_grey'] for row in mine):.0f}"
        yield (
            f"{name:<24} {max(row['max_abs'] for row in mine):>12.2e} "
            f"{min(row['psnr_db'] for row in mine):>12.1f} {worst:>9}"
        )


def _within(row: Mapping[str, Any], tolerance: Mapping[str, float]) -> bool:
    grey_ok = row["max_grey"] <= tolerance.get("max_grey", 255.0)
    return bool(grey_ok and row["psnr_db"] >= tolerance["psnr_db"])


def _pixels(reference: NDArray[Any], outputs: Arrays) -> dict[str, Any]:
    ours = imaging.tensor_to_images(reference).astype(np.float64)
    theirs = imaging.tensor_to_images(outputs["generated"]).astype(np.float64)
    grey = float(np.abs(ours - theirs).max())
    psnr = _psnr_db(float(((ours - theirs) ** 2).mean()), 255.0)
    return {"max_abs": round(grey / 127.5, 6), "psnr_db": psnr, "max_grey": grey}


def _difference(ours: NDArray[Any], theirs: NDArray[Any]) -> dict[str, Any]:
    error = theirs.astype(np.float64) - ours
    peak = float(ours.max() - ours.min()) or 1.0
    return {
        "max_abs": float(f"{np.abs(error).max():.3e}"),
        "psnr_db": _psnr_db(float((error**2).mean()), peak),
        "max_grey": None,
    }


def _psnr_db(mse: float, peak: float) -> float:
    if mse <= 0:
        return PSNR_CAP_DB
    return round(min(PSNR_CAP_DB, 10 * float(np.log10(peak**2 / mse))), 2)
