"""YOLO-seg: how it is called, and what becomes of its answers.

The package itself is AGPL and not part of any extra. Where it is installed the last test trains it;
elsewhere a double that records its calls stands in for it.
"""

from __future__ import annotations

import importlib.util
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from support.lessons import marked_photo, small_lesson

from aliaug_edge.errors import AliAugError, MissingDependencyError
from aliaug_edge.evaluation.detector.base import Lesson
from aliaug_edge.evaluation.detector.ultralytics import (
    AUGMENTATIONS,
    FLOOR,
    YoloSettings,
    settings_for,
    ultralytics_detector,
)
from aliaug_edge.evaluation.detector.yolo_folder import EpochPlan

PLAN = EpochPlan(steps=5, real=4, good=3)


class Double:
    """Stands in for the package: `YOLO` objects that note what is done with them."""

    def __init__(self, task: str = "segment", losses: Sequence[float] = (2.0, 1.0)) -> None:
        self.task, self.losses = task, losses
        self.opened: list[str] = []
        self.trained: dict[str, Any] = {}
        self.data: list[str] = []
        self.asked: dict[str, Any] = {}
        self.pixel: list[int] = []
        self.found: list[tuple[float, tuple[slice, slice]]] = []
        self.fault: Exception | None = None

    def YOLO(self, weights: str) -> Any:
        self.opened.append(weights)
        assert weights.endswith(".yaml") or Path(weights).is_file()
        model = SimpleNamespace(task=self.task, callback=None)

        def add_callback(event: str, call: Any) -> None:
            assert event == "on_train_epoch_end"
            model.callback = call

        def train(**arguments: Any) -> None:
            if self.fault is not None:
                raise self.fault
            self.trained = arguments
            self.data = sorted(p.name for p in Path(arguments["data"]).parent.iterdir())
            for epoch, loss in enumerate(self.losses):
                model.callback(SimpleNamespace(epoch=epoch, epochs=2, loss=torch.tensor(loss)))
            written = Path(arguments["project"]) / arguments["name"] / "weights"
            written.mkdir(parents=True)
            for name in ("last.pt", "best.pt"):
                (written / name).write_bytes(b"weights")

        def predict(image: Any, **options: Any) -> list[Any]:
            self.asked, self.pixel = options, image[0, 0].tolist()
            masks = np.zeros((len(self.found), *image.shape[:2]), np.float32)
            for mask, (_, where) in zip(masks, self.found, strict=True):
                mask[where] = 1
            conf = torch.tensor([value for value, _ in self.found])
            held = SimpleNamespace(data=torch.from_numpy(masks)) if self.found else None
            return [SimpleNamespace(boxes=SimpleNamespace(conf=conf), masks=held)]

        model.add_callback, model.train, model.predict = add_callback, train, predict
        return model


@pytest.fixture
def double(monkeypatch: pytest.MonkeyPatch) -> Double:
    double = Double()
    monkeypatch.setitem(sys.modules, "ultralytics", double)  # type: ignore[arg-type]
    return double


@pytest.mark.parametrize(("steps", "plan"), [(1600, (16, 100)), (150, (2, 75)), (7, (1, 7))])
def test_it_trains_as_many_steps_as_are_asked_for(steps, plan):
    settings = settings_for(steps)
    assert (settings.epochs, settings.epoch.steps) == plan


def quick(**changes: Any) -> YoloSettings:
    return YoloSettings(imgsz=64, epochs=2, epoch=PLAN, **changes)


def test_the_last_weights_answer_and_every_epoch_reports(double: Double) -> None:
    heard: list[tuple[int, int, str]] = []
    ultralytics_detector(quick())(small_lesson(), 7, lambda *told: heard.append(told))
    assert double.opened[0] == "yolov8n-seg.yaml"
    assert Path(double.opened[1]).parts[-3:] == ("run", "weights", "last.pt")
    assert not Path(double.opened[1]).exists()  # nothing is left behind
    assert heard == [(1, 2, "loss 2.000"), (2, 2, "loss 1.000")]
    assert {"epoch.txt", "images", "labels", "lesson.yaml", "val.txt"} <= set(double.data)


def test_training_is_fixed_by_its_seed_downloads_nothing_and_sees_every_step(
    double: Double,
) -> None:
    ultralytics_detector(quick(device="cpu"))(small_lesson(), 7)
    expected = {"seed": 7, "deterministic": True, "amp": False, "plots": False, "patience": 0}
    expected |= {"batch": 9, "nbs": 9, "epochs": 2, "imgsz": 64, "device": "cpu"}
    expected |= {"pretrained": False, "val": False}
    assert {key: double.trained[key] for key in expected} == expected


def test_a_lesson_without_augmentation_switches_off_every_one(double: Double) -> None:
    detector = ultralytics_detector(quick())
    detector(small_lesson(), 7)
    assert not set(AUGMENTATIONS) & set(double.trained)
    detector(small_lesson(augment=False), 7)
    assert {double.trained[name] for name in AUGMENTATIONS} == {0.0}


def test_a_pixel_scores_the_logit_of_the_surest_instance_over_it(double: Double) -> None:
    double.found = [
        (0.8, (slice(0, 10), slice(0, 10))),
        (0.3, (slice(5, 20), slice(0, 10))),
    ]
    image = np.zeros((30, 44, 3), np.uint8)
    image[0, 0] = (1, 2, 3)
    scores = ultralytics_detector(quick())(small_lesson(), 7)(image)
    assert scores.shape == (30, 44) and scores.dtype == np.float32
    assert scores[7, 5] == pytest.approx(np.log(0.8 / 0.2), abs=1e-5)
    assert scores[15, 5] == pytest.approx(np.log(0.3 / 0.7), abs=1e-5)
    assert (scores[20:] == FLOOR).all()
    assert double.pixel == [3, 2, 1]  # arrays are taken as BGR
    assert double.asked["conf"] == 0.001 and double.asked["retina_masks"]


@pytest.mark.usefixtures("double")
def test_a_photo_without_instances_is_at_the_floor() -> None:
    scores = ultralytics_detector(quick())(small_lesson(), 7)(np.zeros((8, 9, 3), np.uint8))
    assert scores.shape == (8, 9) and (scores == FLOOR).all()


def test_certainty_stays_finite(double: Double) -> None:
    double.found = [(1.0, (slice(0, 8), slice(0, 9)))]
    scores = ultralytics_detector(quick())(small_lesson(), 7)(np.zeros((8, 9, 3), np.uint8))
    assert (scores == -FLOOR).all()


def test_divergence_is_told(double: Double) -> None:
    double.losses = (1.0, float("nan"))
    with pytest.raises(AliAugError, match="diverged in epoch 2"):
        ultralytics_detector(quick())(small_lesson(), 7)


def test_what_the_package_raises_is_one_line_of_ours(double: Double) -> None:
    double.fault = RuntimeError("CUDA out of memory")
    with pytest.raises(AliAugError, match=r"could not train yolov8n-seg.yaml: CUDA out of memory"):
        ultralytics_detector(quick())(small_lesson(), 7)


def test_a_model_that_marks_no_pixels_is_refused(double: Double) -> None:
    double.task = "detect"
    with pytest.raises(AliAugError, match="'detect', expected one for 'segment'"):
        ultralytics_detector(quick(weights="yolov8n.yaml"))(small_lesson(), 7)


@pytest.mark.usefixtures("double")
@pytest.mark.parametrize("weights", ["yolov8n-seg.pt", "https://example.org/a.pt", "yolov8n-seg"])
def test_weights_that_would_be_downloaded_are_refused(weights: str) -> None:
    with pytest.raises(AliAugError, match="nothing is downloaded"):
        ultralytics_detector(quick(weights=weights))


def test_weights_of_the_users_own_are_fine_tuned(double: Double, tmp_path: Path) -> None:
    mine = tmp_path / "mine.pt"
    mine.write_bytes(b"weights")
    ultralytics_detector(quick(weights=str(mine)))(small_lesson(), 7)
    assert double.opened[0] == str(mine) and double.trained["pretrained"]


@pytest.mark.usefixtures("double")
def test_a_lesson_without_defects_or_without_good_photos_is_refused() -> None:
    detector = ultralytics_detector(quick())
    with pytest.raises(AliAugError, match="0 real and 0 synthetic"):
        detector(small_lesson(0, real=False), 7)
    with pytest.raises(AliAugError, match="0 good"):
        detector(Lesson(small_lesson().real, [], [], 0, True), 7)


def test_absence_is_told_with_the_install_line_and_the_licence(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "ultralytics", None)  # type: ignore[arg-type]
    monkeypatch.delitem(sys.modules, "ultralytics")
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    with pytest.raises(MissingDependencyError, match=r"pip install ultralytics.*AGPL-3.0"):
        ultralytics_detector()


@pytest.fixture
def package(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """The `__init__.py` of a package by that name, about to be imported for the first time."""
    (tmp_path / "ultralytics").mkdir()
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setitem(sys.modules, "ultralytics", None)  # type: ignore[arg-type]
    monkeypatch.delitem(sys.modules, "ultralytics")
    for name in ("CONFIG_DIR", "OFFLINE", "AUTOINSTALL", "VERBOSE"):
        monkeypatch.setenv(f"YOLO_{name}", "the user's own")
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    monkeypatch.delenv("OMP_NUM_THREADS")
    return tmp_path / "ultralytics" / "__init__.py"


def test_it_is_imported_offline_with_settings_apart_and_every_switch_off(package: Path) -> None:
    package.write_text(
        "import os\n"
        "seen = dict(os.environ)\n"
        "os.environ.setdefault('OMP_NUM_THREADS', '1')\n"
        "settings = {'sync': True, 'wandb': False, 'mlflow': True, 'uuid': 'x'}\n"
        "YOLO = object\n"
    )
    ultralytics_detector()
    library = sys.modules["ultralytics"]
    assert library.settings == {"sync": False, "wandb": False, "mlflow": False, "uuid": "x"}
    assert Path(library.seen["YOLO_CONFIG_DIR"]).is_dir()
    assert library.seen["YOLO_OFFLINE"] == "true" and library.seen["YOLO_AUTOINSTALL"] == "false"
    assert "OMP_NUM_THREADS" not in os.environ


def test_an_installation_that_does_not_load_is_told(package: Path) -> None:
    package.write_text("raise ImportError('libGL.so.1: cannot open shared object file')\n")
    with pytest.raises(MissingDependencyError, match="does not load: libGL"):
        ultralytics_detector()


@pytest.mark.slow
def test_the_real_package_learns_alike_from_equal_lessons() -> None:
    pytest.importorskip("ultralytics")
    settings = YoloSettings(imgsz=64, epochs=1, device="cpu", epoch=EpochPlan(3, 2, 2))
    image = marked_photo(1, "crack").image
    maps = [ultralytics_detector(settings)(small_lesson(), seed=5)(image) for _ in range(2)]
    assert maps[0].shape == (40, 52) and np.isfinite(maps[0]).all()
    assert np.array_equal(*maps)
