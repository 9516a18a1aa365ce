"""How near a generator's answers come to held-out truth: the yardstick that studies share."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from diffusers import AutoencoderKL
from numpy.typing import NDArray
from torch import Tensor

from aliaug_edge import imaging
from aliaug_edge.evaluation.judging.real_judge import Verdict, chance_of
from aliaug_edge.evaluation.studies.scene_judge import train_scene_judge
from aliaug_edge.evaluation.studies.scenes import Scene, scenes_of
from aliaug_edge.evaluation.studies.study import Measure, Say, StudySettings, Values
from aliaug_edge.generation.blend import blend
from aliaug_edge.model.base import load_base
from aliaug_edge.model.vae import encode_with_taps

UInt8 = NDArray[np.uint8]
Judge = Callable[[Sequence[UInt8], Sequence[UInt8]], list[Verdict]]

MEASURES = (
    Measure("l1", "L1 under the mask, grey levels", "lower", 2),
    Measure("features", "feature distance under the mask", "lower"),
    Measure("fidelity", "label fidelity", "higher"),
    Measure("outside", "change outside the mask, grey levels", "lower", 2),
)
GUESSING, GUESSING_ONE = "guessing the class", "guessing the class or nothing"
FIDELITY = (
    "Fidelity is a judge's, taught once for all rows: with the train pool's real defects, under "
    "masks of any class's outline. Its ceiling is the row `the real photo`; what masks alone give "
    f"away is that of `nothing inserted`, and chance that of `{GUESSING}`."
)
FIDELITY_ONE = (
    "There is one class, so fidelity is the share in which it is likelier than good surface: "
    "whether a defect is seen at all, and not which. The judge is taught once for all rows: with "
    "the train pool's real defects, under masks of their outlines. Its ceiling is the row `the "
    "real photo`; what masks alone give away is that of `nothing inserted`, and chance that of "
    f"`{GUESSING_ONE}`."
)


@dataclass(frozen=True, eq=False)
class Yardstick:
    """Held-out `scenes`, the base's frozen encoder `vae`, and a `judge` that says what it sees of
    `classes` in images (S, S, 3) under masks (S, S)."""

    classes: tuple[str, ...]
    scenes: tuple[Scene, ...]
    judge: Judge
    vae: AutoencoderKL


def new_yardstick(settings: StudySettings, say: Say) -> Yardstick:
    """The yardstick of a study: scenes of the test side, a judge of the train pool. It is the same
    for every run of the study.

    Raises:
        DataError: the data are unusable, or a class has no held-out defect.
        AliAugError: the base cannot be loaded.
    """
    dataset = settings.dataset()
    classes, budget = settings.classes or dataset.classes, settings.budget
    say("reading held-out defects")
    scenes = scenes_of(dataset, classes, "test", size=budget.size, per_class=budget.scenes)
    learned = scenes_of(dataset, classes, "train", size=budget.size, per_class=None)
    say(f"training the judge on {len(learned)} real defects")
    judge = train_scene_judge(learned, budget.size, budget.judge_views, settings.seed)
    vae = load_base(settings.base).vae.requires_grad_(False).eval()
    return Yardstick(classes, scenes, judge, vae)


def marks(
    yardstick: Yardstick, scenes: Sequence[Scene], raw: NDArray[np.float32], mode: str = "feather"
) -> Values:
    """One number per measure for the raw output (N, S, S, 3) on `scenes`, blended in by `mode`.

    A class weighs as much as any other, however many scenes it has.
    """
    made = [
        blend(scene.good, scene.mask, scene.good, answer, mode=mode)
        for scene, answer in zip(scenes, raw, strict=True)
    ]
    return marks_of(yardstick, scenes, made)


def marks_of(yardstick: Yardstick, scenes: Sequence[Scene], made: Sequence[UInt8]) -> Values:
    """As `marks`, for finished windows (S, S, 3)."""
    seen = yardstick.judge(made, [scene.mask for scene in scenes])
    pairs = list(zip(scenes, made, strict=True))
    per_scene = {
        "l1": [grey_levels(image, s.truth, s.mask > 0) for s, image in pairs],
        "features": feature_distances(yardstick.vae, scenes, made),
        "fidelity": [float(v.is_of(s.defect_class)) for v, s in zip(seen, scenes, strict=True)],
        "outside": [grey_levels(image, s.good, s.mask == 0) for s, image in pairs],
    }
    return {key: [_class_mean(scenes, values)] for key, values in per_scene.items()}


def references(yardstick: Yardstick) -> dict[str, Values]:
    """What stands at either end: windows without any defect, and the photos themselves. Guessing
    has a fidelity alone."""
    scenes, classes = yardstick.scenes, yardstick.classes
    guessing = GUESSING_ONE if len(classes) == 1 else GUESSING
    return {
        "nothing inserted": marks_of(yardstick, scenes, [s.good for s in scenes]),
        "the real photo": marks_of(yardstick, scenes, [s.truth for s in scenes]),
        guessing: {"fidelity": [chance_of(len(classes))]},
    }


def fidelity_note(classes: Sequence[str]) -> str:
    """What a study says of the column of label fidelity."""
    return FIDELITY_ONE if len(classes) == 1 else FIDELITY


def grey_levels(a: UInt8, b: UInt8, where: NDArray[np.bool_]) -> float:
    """Mean |a − b| in grey levels (0 … 255) over the pixels of `where` (S, S)."""
    if not where.any():
        return 0.0
    return float(np.abs(a[where].astype(np.int16) - b[where]).mean())


@torch.no_grad()
def feature_distances(
    vae: AutoencoderKL, scenes: Sequence[Scene], made: Sequence[UInt8]
) -> list[float]:
    """Per scene the mean over the encoder's layers of |a − b| under the mask, relative to |b|.

    `vae` is the base's, unchanged by any run: all runs are measured alike. The finest layer is left
    out, for it is L1 again.
    """
    distances = []
    for scene, image in zip(scenes, made, strict=True):
        pair = imaging.images_to_tensor(np.stack([image, scene.truth]))
        latent, taps = encode_with_taps(vae, torch.from_numpy(pair))
        mask = torch.from_numpy(imaging.masks_to_tensor(scene.mask[None]))
        layers = [*taps[1:], latent]
        distances.append(float(np.mean([_relative(layer, mask) for layer in layers])))
    return distances


def _relative(layer: Tensor, mask: Tensor) -> float:
    touched = F.max_pool2d(mask, mask.shape[-1] // layer.shape[-1])
    difference = ((layer[0] - layer[1]).abs() * touched[0]).sum()
    return float(difference / (layer[1].abs() * touched[0]).sum().clamp(min=1e-6))


def _class_mean(scenes: Sequence[Scene], values: Sequence[float]) -> float:
    by_class: dict[str, list[float]] = {}
    for scene, value in zip(scenes, values, strict=True):
        by_class.setdefault(scene.defect_class, []).append(value)
    return float(np.mean([np.mean(entries) for entries in by_class.values()]))
