"""Training `DefectNet` on a lesson, and asking it about whole photos."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from aliaug_edge.errors import AliAugError
from aliaug_edge.evaluation.detector.base import DetectorDivergedError, Lesson, Predict, Progress
from aliaug_edge.evaluation.detector.batches import CropPlan, LessonCrops
from aliaug_edge.evaluation.detector.network import STRIDE, DefectNet
from aliaug_edge.training.precision import autocast_for

REPORT_EVERY = 50
RISE = 0.2  # of the steps, in which the learning rate rises
RISE_OF_FEW = 0.3  # of under ten: with 0.2 of five, torch's schedule divides by zero


@dataclass(frozen=True)
class FitSettings:
    """How `DefectNet` is trained: the same for every condition.

    `crops` per step, `steps` of AdamW with a one-cycle schedule up to `learning_rate`. `precision`:
    auto | fp32 | bf16.
    """

    steps: int = 1600
    learning_rate: float = 3e-3
    crops: CropPlan = field(default_factory=CropPlan)
    precision: str = "auto"


def unet_detector(settings: FitSettings | None = None) -> Callable[..., Predict]:
    """A `Detector` that trains a `DefectNet`."""
    settings = settings or FitSettings()

    def train(lesson: Lesson, seed: int, progress: Progress | None = None) -> Predict:
        return fit(lesson, seed, settings, progress)

    return train


def fit(
    lesson: Lesson, seed: int, settings: FitSettings, progress: Progress | None = None
) -> Predict:
    """Train on `lesson` to the last step.

    Raises:
        AliAugError: no defects or no good photos to learn from. DetectorDivergedError: so it did.
    """
    if not (lesson.real or lesson.synthetic) or not lesson.good:
        raise AliAugError(
            f"a detector learns from defects and from good photos: got {len(lesson.real)} real and "
            f"{len(lesson.synthetic)} synthetic defects, {len(lesson.good)} good photos"
        )
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    autocast = autocast_for(settings.precision, device)
    crops = LessonCrops(lesson, settings.crops, seed)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = DefectNet()
    network = network.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    optimizer = torch.optim.AdamW(network.parameters(), settings.learning_rate, weight_decay=1e-4)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer,
        settings.learning_rate,
        total_steps=settings.steps,
        pct_start=RISE if settings.steps >= 10 else RISE_OF_FEW,
    )
    since = 0.0
    for step in range(settings.steps):
        images, masks = crops.batch(step)
        with autocast():
            logits = network(_laid_out(images, device))
        loss = segmentation_loss(logits, masks.to(device))
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
        schedule.step()
        since += loss.item()
        if (step + 1) % REPORT_EVERY == 0:
            if not math.isfinite(since):
                raise DetectorDivergedError(f"diverged before step {step + 1}: loss {since}")
            if progress is not None:
                progress(step + 1, settings.steps, f"loss {since / REPORT_EVERY:.3f}")
            since = 0.0
    network.eval()
    return lambda image: predict(network, image)


def segmentation_loss(logits: Tensor, masks: Tensor) -> Tensor:
    """Binary cross entropy, and half the soft Dice loss of the crops that show a defect."""
    bce = F.binary_cross_entropy_with_logits(logits, masks)
    held = masks.flatten(1).any(dim=1)
    if not bool(held.any()):
        return bce
    found, wanted = torch.sigmoid(logits[held]).flatten(1), masks[held].flatten(1)
    dice = 2 * (found * wanted).sum(1) / (found.sum(1) + wanted.sum(1)).clamp(min=1.0)
    return bce + 0.5 * (1 - dice).mean()


@torch.no_grad()
def predict(network: DefectNet, image: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Logits (H, W) float32 of a photo (H, W, 3) uint8; it is reflected where its size asks so.

    In FP32 always: BF16 has too few values to rank sixty thousand pixels.
    """
    height, width = image.shape[:2]
    pad = ((0, -height % STRIDE), (0, -width % STRIDE), (0, 0))
    whole = np.pad(image, pad, mode="symmetric").transpose(2, 0, 1)
    device = next(network.parameters()).device
    tensor = torch.from_numpy(np.ascontiguousarray(whole))[None].float() / 127.5 - 1
    logits = network(_laid_out(tensor, device))[0, 0, :height, :width]
    scores: NDArray[np.float32] = logits.cpu().numpy()
    if not np.isfinite(scores).all():
        raise DetectorDivergedError("its scores are not finite")
    return scores


def _laid_out(images: Tensor, device: torch.device) -> Tensor:
    return images.to(device).contiguous(memory_format=torch.channels_last)
