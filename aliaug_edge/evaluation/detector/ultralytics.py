"""YOLO-seg of the ultralytics package as a detector, where the user has installed it.

ultralytics is licensed AGPL-3.0 (or commercially), so it is no dependency and no part of any extra;
it is imported here alone. It works offline: the network is built from a description inside the
package and trained from nothing, unless a file of weights is named. The user's settings of
ultralytics are neither read nor changed; its reports to others and its self-updates are off.
Tried with ultralytics 8.4.190 on a CPU; a GPU was never tried.
"""

from __future__ import annotations

import atexit
import importlib
import importlib.util
import math
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from aliaug_edge.errors import AliAugError, MissingDependencyError
from aliaug_edge.evaluation.detector.base import (
    Detector,
    DetectorDivergedError,
    Lesson,
    Predict,
    Progress,
)
from aliaug_edge.evaluation.detector.yolo_folder import EpochPlan, write_lesson

PACKAGE = "ultralytics"
LOWEST_CONFIDENCE = 0.001  # below it an instance is not answered, as in COCO evaluations of YOLO
MOST_INSTANCES = 100
FLOOR = -16.0  # the logit of a pixel where no instance was found
AUGMENTATIONS = (
    *("hsv_h", "hsv_s", "hsv_v", "degrees", "translate", "scale", "shear", "perspective"),
    *("flipud", "fliplr", "bgr", "mosaic", "mixup", "copy_paste"),
)


@dataclass(frozen=True)
class YoloSettings:
    """How YOLO is trained: the same for every condition.

    `weights`: a description that ships with ultralytics, such as yolov8n-seg.yaml, or a path to a
    .pt file, to be fine-tuned. `imgsz`: pixels that the longer side of a photo is scaled to, a
    multiple of 32. `device`: cpu, cuda:0 …; empty takes a GPU if there is one. `epoch`: what an
    epoch holds; its steps times `epochs` are trained.
    """

    weights: str = "yolov8n-seg.yaml"
    imgsz: int = 320
    epochs: int = 20
    learning_rate: float = 1e-3
    device: str = ""
    epoch: EpochPlan = field(default_factory=EpochPlan)


def settings_for(steps: int) -> YoloSettings:
    """The plan that trains `steps` steps, in epochs of about a hundred."""
    epochs = max(1, round(steps / EpochPlan.steps))
    return YoloSettings(epochs=epochs, epoch=EpochPlan(steps=max(1, round(steps / epochs))))


def ultralytics_detector(settings: YoloSettings | None = None) -> Detector:
    """A `Detector` that trains a YOLO-seg model; that it can be had is looked at here, not later.

    Raises:
        MissingDependencyError: ultralytics is not installed, or does not load.
        AliAugError: `settings.weights` is neither a description nor a file that exists.
    """
    settings = settings or YoloSettings()
    library = _library()
    _check_weights(settings.weights)

    def train(lesson: Lesson, seed: int, progress: Progress | None = None) -> Predict:
        return fit(library, lesson, seed, settings, progress)

    return train


def fit(
    library: Any, lesson: Lesson, seed: int, settings: YoloSettings, progress: Progress | None
) -> Predict:
    """Train on `lesson` with the package `library`; the weights of the last epoch answer.

    Raises:
        AliAugError: no defects or no good photos to learn from, no segmentation model, or training
            failed.
    """
    if not (lesson.real or lesson.synthetic) or not lesson.good:
        raise AliAugError(
            f"a detector learns from defects and from good photos: got {len(lesson.real)} real and "
            f"{len(lesson.synthetic)} synthetic defects, {len(lesson.good)} good photos"
        )
    with tempfile.TemporaryDirectory(prefix="aliaug-yolo-") as name, _undisturbed():
        folder = Path(name)
        data = write_lesson(folder / "data", lesson, settings.epoch, seed)
        model = library.YOLO(settings.weights)
        if model.task != "segment":
            raise AliAugError(
                f"{settings.weights} is a model for {model.task!r}, expected one for 'segment'; "
                "its name ends in -seg"
            )
        model.add_callback("on_train_epoch_end", lambda trainer: _report(trainer, progress))
        try:
            model.train(**train_arguments(data, folder, lesson, seed, settings))
        except (RuntimeError, ValueError, OSError) as error:
            raise AliAugError(f"{PACKAGE} could not train {settings.weights}: {error}") from error
        last = library.YOLO(str(folder / "run" / "weights" / "last.pt"))
    return lambda image: predict(last, image, settings)


def train_arguments(
    data: Path, folder: Path, lesson: Lesson, seed: int, settings: YoloSettings
) -> dict[str, Any]:
    """What `YOLO.train` is called with: everything that is not the same by default everywhere.

    `nbs`, the batch that gradients are gathered for, is the batch itself: one step, one update.
    """
    batch = settings.epoch.batch(lesson)
    arguments: dict[str, Any] = {
        "data": str(data),
        "imgsz": settings.imgsz,
        "epochs": settings.epochs,
        "batch": batch,
        "nbs": batch,
        "optimizer": "AdamW",
        "lr0": settings.learning_rate,
        "patience": 0,
        "close_mosaic": settings.epochs // 10,
        "pretrained": settings.weights.endswith(".pt"),
        "seed": seed % 2**31,
        "deterministic": True,
        "amp": False,  # its check downloads a model
        "val": False,
        "plots": False,
        "verbose": False,
        "project": str(folder),
        "name": "run",
    }
    if settings.device:
        arguments["device"] = settings.device
    if not lesson.augment:
        arguments.update(dict.fromkeys(AUGMENTATIONS, 0.0))
        if importlib.util.find_spec("albumentations") is not None:
            arguments["augmentations"] = []  # else its blurs and greys come on unasked
    return arguments


def predict(model: Any, image: NDArray[np.uint8], settings: YoloSettings) -> NDArray[np.float32]:
    """Scores (H, W) of a photo (H, W, 3) uint8: the logit of the highest confidence among the
    instances that cover a pixel, `FLOOR` where there are none."""
    options = {"device": settings.device} if settings.device else {}
    with _undisturbed():
        (result,) = model.predict(
            np.ascontiguousarray(image[..., ::-1]),  # arrays are taken as BGR
            imgsz=settings.imgsz,
            conf=LOWEST_CONFIDENCE,
            max_det=MOST_INSTANCES,
            retina_masks=True,  # masks of the photo's own size
            verbose=False,
            **options,
        )
    confidence = np.zeros(image.shape[:2], np.float64)
    if result.masks is not None:
        found = zip(result.boxes.conf.cpu().numpy(), result.masks.data.cpu().numpy(), strict=True)
        for value, mask in found:
            np.maximum(confidence, value, out=confidence, where=mask > 0.5)
    with np.errstate(divide="ignore"):
        logits = np.log(confidence) - np.log1p(-confidence)
    return np.clip(logits, FLOOR, -FLOOR).astype(np.float32)


def _library() -> Any:
    """The installed package, told before its import to stay offline and where its settings lie."""
    if PACKAGE in sys.modules:
        return sys.modules[PACKAGE]
    if importlib.util.find_spec(PACKAGE) is None:
        raise MissingDependencyError(
            f"{PACKAGE} is not installed; `pip install {PACKAGE}` beside this package's torch, "
            "and read its licence first: AGPL-3.0 or commercial, which is why it is no dependency"
        )
    settings_folder = tempfile.mkdtemp(prefix="aliaug-yolo-settings-")
    atexit.register(shutil.rmtree, settings_folder, ignore_errors=True)
    os.environ["YOLO_CONFIG_DIR"] = settings_folder
    os.environ.update(YOLO_OFFLINE="true", YOLO_AUTOINSTALL="false", YOLO_VERBOSE="false")
    threads = os.environ.get("OMP_NUM_THREADS")
    try:
        library = importlib.import_module(PACKAGE)
        switches = [key for key, value in library.settings.items() if isinstance(value, bool)]
        library.settings.update(dict.fromkeys(switches, False))  # usage statistics, loggers, hints
        library.YOLO  # noqa: B018 - imports the rest, which reads the settings
    except ImportError as error:
        raise MissingDependencyError(
            f"{PACKAGE} is installed but does not load: {error}; it needs torchvision of the same "
            f"release as torch {torch.__version__}, and OpenCV"
        ) from error
    finally:
        if threads is None:
            os.environ.pop("OMP_NUM_THREADS", None)  # it sets 1, for what we start later as well
    return library


def _check_weights(weights: str) -> None:
    """Refuse what ultralytics would answer with a download."""
    if weights.endswith((".yaml", ".yml")) or (weights.endswith(".pt") and Path(weights).is_file()):
        return
    raise AliAugError(
        f"{weights}: expected a .pt file that exists, or a description such as "
        f"{YoloSettings.weights}; nothing is downloaded"
    )


def _report(trainer: Any, progress: Progress | None) -> None:
    loss = float(trainer.loss.detach())
    if not math.isfinite(loss):
        raise DetectorDivergedError(f"diverged in epoch {trainer.epoch + 1}: loss {loss}")
    if progress is not None:
        progress(trainer.epoch + 1, trainer.epochs, f"loss {loss:.3f}")


@contextmanager
def _undisturbed() -> Iterator[None]:
    """ultralytics sets the number of threads and seeds torch: both are put back."""
    threads = torch.get_num_threads()
    try:
        with torch.random.fork_rng(devices=[]):
            yield
    finally:
        torch.set_num_threads(threads)
