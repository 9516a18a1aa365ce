"""Runs of `ali-aug train`, whole: what they leave, how they continue, what they refuse."""

from __future__ import annotations

import json
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from aliaug_edge import files, lock
from aliaug_edge.data.load import load_pair
from aliaug_edge.data.reader import load_dataset
from aliaug_edge.errors import AliAugError, DataError, OutputError
from aliaug_edge.generation.backdrop import choose
from aliaug_edge.generation.part import borne_backdrops
from aliaug_edge.imaging import load_image
from aliaug_edge.model.base import save_base
from aliaug_edge.model.conditioning import CONDITIONINGS
from aliaug_edge.training import loop, trainer
from aliaug_edge.training.config import LABEL_CARRIERS, TrainConfig, config_document, load_config
from aliaug_edge.training.precision import autocast_for, cpu_has_bf16
from aliaug_edge.training.scenes import load_scenes
from aliaug_edge.training.step import train_step
from aliaug_edge.training.trainer import train
from tests.support.bases import micro_base, write_dataset

NewConfig = Callable[..., TrainConfig]
RESULT = (
    "adapters/unet/adapter_config.json",
    "adapters/unet/adapter_model.safetensors",
    "adapters/vae/adapter_config.json",
    "adapters/vae/adapter_model.safetensors",
    "appearances.json",
    "backdrop.json",
    "base.json",
    "classes.json",
    "conditioning.safetensors",
    "config.json",
    "masks.npz",
    "scenes/scene_0.png",
    "scenes/scene_0_mask.png",
    "scenes/scenes.json",
    "training_photos.npz",
)


def result_of(run_dir: Path) -> dict[str, bytes]:
    return {name: (run_dir / name).read_bytes() for name in RESULT}


def losses_of(run_dir: Path) -> list[dict[str, float]]:
    """The rows of metrics.jsonl without what depends on the clock."""
    rows = [json.loads(line) for line in (run_dir / "metrics.jsonl").read_text().splitlines()]
    return [{k: v for k, v in row.items() if k != "seconds_per_step"} for row in rows]


@pytest.fixture(scope="module")
def finished(new_config: NewConfig, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return train(new_config(), tmp_path_factory.mktemp("runs") / "run", progress=False)


@pytest.mark.parametrize("carrier", LABEL_CARRIERS)
@pytest.mark.parametrize("conditioning", CONDITIONINGS)
def test_every_conditioning_trains_with_every_carrier(
    new_config: NewConfig, tmp_path: Path, conditioning: str, carrier: str
) -> None:
    config = new_config(conditioning=conditioning, label_carrier=carrier, steps=3)
    run = train(config, tmp_path / "run", progress=False)
    assert {name for name in RESULT if (run / name).is_file()} == set(RESULT)
    assert load_config(run / "config.json") == config
    classes = json.loads((run / "classes.json").read_text())
    white = [c["colour"] == [1.0, 1.0, 1.0] for c in classes]
    assert [c["name"] for c in classes] == ["crack", "stain"]
    assert not any(white) if carrier in ("colour", "both") else all(white)
    assert len({c["prompt"] for c in classes}) == (2 if carrier in ("text", "both") else 1)


def test_a_finished_run_holds_its_result_logs_and_samples(finished: Path) -> None:
    assert not [p for p in finished.rglob("*") if p.name.endswith(".tmp")]
    assert [row["step"] for row in losses_of(finished)] == [4]
    assert list((finished / "tensorboard").glob("events.out.tfevents.*"))
    strips = sorted(p.name for p in (finished / "samples").iterdir())
    assert strips[-1] == "000004.png"
    with Image.open(finished / "samples" / strips[-1]) as strip:
        assert strip.size == (4 * 32, 2 * 32)  # input | mask | generated | target, batch of two
    with np.load(finished / "masks.npz", allow_pickle=False) as masks:
        assert {key.split("/")[0] for key in masks.files} == {"0", "1"}
    assert json.loads((finished / "classes.json").read_text())[0]["train_defects"] > 0


def test_a_run_notes_by_which_rule_the_parts_in_its_own_photos_stand_out(
    finished: Path, new_config: NewConfig
) -> None:
    dataset = load_dataset(Path(new_config().data))
    photos = [load_pair(sample) for sample in dataset.defects("train")]
    expected = choose(borne_backdrops(image, mask) for image, mask in photos)
    assert json.loads((finished / "backdrop.json").read_text()) == {"backdrop": expected}


def test_the_same_config_gives_the_same_bytes(
    finished: Path, new_config: NewConfig, tmp_path: Path
) -> None:
    other = train(new_config(), tmp_path / "again", progress=False)
    assert result_of(other) == result_of(finished)
    assert losses_of(other) == losses_of(finished)


def test_another_seed_gives_other_adapters(
    finished: Path, new_config: NewConfig, tmp_path: Path
) -> None:
    other = result_of(train(new_config(seed=1), tmp_path / "other", progress=False))
    name = "adapters/unet/adapter_model.safetensors"
    assert other[name] != result_of(finished)[name]


def test_a_finished_run_again_changes_nothing(
    finished: Path, new_config: NewConfig, tmp_path: Path
) -> None:
    run = Path(shutil.copytree(finished, tmp_path / "run"))
    train(new_config(), run, progress=False)
    assert result_of(run) == result_of(finished)
    assert losses_of(run) == losses_of(finished)


def test_another_config_in_the_same_folder_is_refused(
    finished: Path, new_config: NewConfig
) -> None:
    before = result_of(finished)
    with pytest.raises(OutputError, match=r"holds a run with another configuration.*--config"):
        train(new_config(steps=5), finished, progress=False)
    assert result_of(finished) == before


def test_a_folder_with_something_else_is_refused_and_left_alone(
    new_config: NewConfig, tmp_path: Path
) -> None:
    (tmp_path / "letter.txt").write_text("mine")
    with pytest.raises(OutputError, match="not a training run"):
        train(new_config(), tmp_path, progress=False)
    with pytest.raises(OutputError, match="not a training run"):
        train(new_config(), tmp_path / "letter.txt", progress=False)
    assert [p.name for p in tmp_path.iterdir()] == ["letter.txt"]


@pytest.mark.parametrize(
    "changes, said",
    [
        ({"data": "/no/such/data"}, "does not exist"),
        ({"base": "/no/such/base"}, "is not a folder"),
        ({"classes": ("dent",)}, "unknown class dent"),
        ({"targets_unet": ("nothing",)}, "targets_unet: .*nothing"),
        ({"groups": "/no/such/groups.csv"}, "groups.csv"),
    ],
)
def test_what_cannot_be_trained_leaves_no_folder(
    new_config: NewConfig, tmp_path: Path, changes: dict[str, object], said: str
) -> None:
    with pytest.raises(AliAugError, match=said):
        train(new_config(**changes), tmp_path / "run", progress=False)
    assert not (tmp_path / "run").exists()


def test_a_taken_folder_is_refused_before_anything_is_loaded(
    new_config: NewConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "letter.txt").write_text("mine")
    monkeypatch.setattr(trainer, "load_dataset", lambda *_, **__: pytest.fail("loaded"))
    with pytest.raises(OutputError, match="not a training run"):
        train(new_config(), tmp_path, progress=False)


def test_a_folder_that_another_run_is_writing_to_is_refused_and_left_alone(
    new_config: NewConfig, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    with lock.exclusive(run), pytest.raises(OutputError, match="another run is writing to"):
        train(new_config(steps=1), run, progress=False)
    assert list(run.iterdir()) == []
    train(new_config(steps=1), run, progress=False)  # it is free again
    with lock.exclusive(run):  # and so it is after a run
        pass


def test_an_empty_folder_that_a_failed_run_had_claimed_is_empty_again(
    new_config: NewConfig, tmp_path: Path
) -> None:
    with pytest.raises(AliAugError, match="is not a folder"):
        train(new_config(base="/no/such/base"), tmp_path, progress=False)
    assert list(tmp_path.iterdir()) == []


def test_a_run_goes_on_with_its_own_base_alone(new_config: NewConfig, tmp_path: Path) -> None:
    save_base(micro_base(seed=0), tmp_path / "base", half=False)
    run = train(new_config(base=str(tmp_path / "base"), steps=1), tmp_path / "run", progress=False)
    before = result_of(run)
    shutil.rmtree(tmp_path / "base")
    save_base(micro_base(seed=1), tmp_path / "base", half=False)
    with pytest.raises(AliAugError, match=r"trained on a base with weights \w{12}, base .* now"):
        train(new_config(base=str(tmp_path / "base"), steps=1), run, progress=False)
    assert result_of(run) == before


def test_scenes_are_kept_one_class_in_turn(finished: Path) -> None:
    scenes = load_scenes(finished, classes=2)
    assert [index for _, _, index in scenes] == [0, 1, 0]
    for path, mask, _ in scenes:
        assert load_image(path).shape[:2] == mask.shape
        assert mask.any()


@pytest.mark.parametrize("damage", ["not json", '[{"image": "scene_0.png"}]'])
def test_damaged_scenes_are_one_clear_line(finished: Path, tmp_path: Path, damage: str) -> None:
    run = Path(shutil.copytree(finished, tmp_path / "run"))
    (run / "scenes" / "scenes.json").write_text(damage)
    with pytest.raises(AliAugError, match=r"scenes\.json cannot be read .*train again"):
        load_scenes(run, classes=2)
    with pytest.raises(AliAugError, match=r"class 1 of 1"):
        load_scenes(finished, classes=1)


def test_what_is_not_the_run_s_is_never_swept(
    finished: Path, new_config: NewConfig, tmp_path: Path
) -> None:
    """`--config` beside other things makes their folder the run's."""
    run = Path(shutil.copytree(finished, tmp_path / "run"))
    theirs = [".editor.tmp", "work/.draft.tmp", "samples/.note.tmp", ".cache.d.tmp/file"]
    mine = [".masks.npz.x1.tmp", "samples/.000004.png.x1.tmp", "scenes/.scene_0.png.x1.tmp"]
    mine.append("adapters/vae/.adapter_config.json.x1.tmp")
    for name in (*theirs, *mine):
        (run / name).parent.mkdir(parents=True, exist_ok=True)
        (run / name).write_text("x")
    train(new_config(), run, progress=False)
    assert all((run / name).is_file() for name in theirs)
    assert not any((run / name).exists() for name in mine)


def test_a_damaged_photo_is_refused_by_name(new_config: NewConfig, tmp_path: Path) -> None:
    data = write_dataset(tmp_path / "parts", defects=3, goods=1)
    for path in (data / "test" / "crack").glob("*.png"):
        path.write_bytes(path.read_bytes()[:200])
    with pytest.raises(DataError, match=r"crack.*\.png"):
        train(new_config(data=str(data)), tmp_path / "run", progress=False)
    assert not (tmp_path / "run").exists()


def test_a_run_without_good_photos_works(new_config: NewConfig, tmp_path: Path) -> None:
    data = write_dataset(tmp_path / "parts", defects=2, goods=0)
    train(new_config(data=str(data), steps=1), tmp_path / "run", progress=False)
    assert (tmp_path / "run" / "classes.json").is_file()


@pytest.mark.parametrize("changes", [{"ema_decay": 0.0}, {"precision": "bf16"}, {"size": 48}])
def test_variants_train(new_config: NewConfig, tmp_path: Path, changes: dict[str, object]) -> None:
    run = train(new_config(**changes), tmp_path / "run", progress=False)
    assert all(np.isfinite(list(row.values())).all() for row in losses_of(run))


def test_the_average_is_saved_where_it_is_asked_for(
    finished: Path, new_config: NewConfig, tmp_path: Path
) -> None:
    plain = train(new_config(ema_decay=0.0), tmp_path / "plain", progress=False)
    assert losses_of(plain) == losses_of(finished)  # averaging does not touch training
    name = "conditioning.safetensors"
    assert result_of(plain)[name] != result_of(finished)[name]


@pytest.mark.parametrize("share, expected", [(0.5, "...D" + "G" * 4), (1.0, "." * 8)])
def test_the_discriminator_learns_ahead_of_the_generator(
    new_config: NewConfig, tmp_path: Path, share: float, expected: str
) -> None:
    """Per step: nobody asks it (.), it learns alone (D), the generator learns from it too (G)."""
    seen = []

    def watch(*given: Any, adversarial: bool, discriminate: bool | None = None) -> Any:
        seen.append("G" if adversarial else "D" if discriminate else ".")
        return train_step(*given, adversarial=adversarial, discriminate=discriminate)

    config = new_config(steps=8, adversarial_from=share)
    train(config, tmp_path / "run", step_once=watch, progress=False)
    assert "".join(seen) == expected


def test_the_loss_falls(new_config: NewConfig, tmp_path: Path) -> None:
    config = new_config(steps=40, batch_size=4, adversarial_from=1.0, learning_rate=5e-3)
    first, last = losses_of(train(config, tmp_path / "run", progress=False))
    assert (first["step"], last["step"]) == (20, 40)
    assert last["loss"] < 0.95 * first["loss"]
    assert last["preserve"] < first["preserve"]


def test_a_run_that_diverges_stops_with_one_line(new_config: NewConfig, tmp_path: Path) -> None:
    with pytest.raises(AliAugError, match=r"training diverged at step .*lower the learning rate"):
        train(new_config(learning_rate=1e30, steps=200), tmp_path / "run", progress=False)
    state = tmp_path / "run" / "checkpoint.pt"
    assert not state.exists()


def test_a_damaged_checkpoint_is_refused(
    finished: Path, new_config: NewConfig, tmp_path: Path
) -> None:
    run = Path(shutil.copytree(finished, tmp_path / "run"))
    path = run / "checkpoint.pt"
    path.write_bytes(path.read_bytes()[:1000])
    with pytest.raises(AliAugError, match=r"checkpoint\.pt cannot be read .*remove it"):
        train(new_config(), run, progress=False)


def reshape(state: dict[str, Any]) -> None:
    state["parameters"][0] = state["parameters"][0][..., :1]


def shorten(state: dict[str, Any]) -> None:
    state["parameters"].pop()


def forget(state: dict[str, Any]) -> None:
    del state["discriminator_optimizer"]


def rename(state: dict[str, Any]) -> None:
    state["discriminator"]["other.weight"] = state["discriminator"].popitem()[1]


def regroup(state: dict[str, Any]) -> None:
    state["optimizer"]["param_groups"] = []


@pytest.mark.parametrize("damage", [reshape, shorten, forget, rename, regroup, dict.clear])
def test_a_checkpoint_of_another_run_is_one_clear_line(
    finished: Path,
    new_config: NewConfig,
    tmp_path: Path,
    damage: Callable[[dict[str, Any]], None],
) -> None:
    run = Path(shutil.copytree(finished, tmp_path / "run"))
    state = torch.load(run / "checkpoint.pt", weights_only=True)
    damage(state)
    torch.save(state, run / "checkpoint.pt")
    said = r"checkpoint\.pt is of another run or version: .*remove it to start"
    with pytest.raises(AliAugError, match=said) as error:
        train(new_config(), run, progress=False)
    assert "\n" not in str(error.value)


class Killed(BaseException):
    """Stands for the end of the process: nothing but a `finally` runs after it."""


def test_killed_at_any_write_it_ends_as_if_uninterrupted(
    new_config: NewConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = loop.LoopSettings
    monkeypatch.setattr(trainer, "LoopSettings", lambda **k: settings(**k, checkpoint_every=2))
    config = new_config(steps=5, batch_size=1)
    whole = train(config, tmp_path / "whole", progress=False)
    written, limit = 0, 0
    write = files.write_bytes

    def write_until_killed(path: Path, data: bytes) -> None:
        nonlocal written
        written += 1
        if written == limit:
            path.parent.mkdir(parents=True, exist_ok=True)
            (path.parent / f".{path.name}.x.tmp").write_bytes(data[: len(data) // 2])
            raise Killed
        write(path, data)

    monkeypatch.setattr(files, "write_bytes", write_until_killed)
    run = tmp_path / "run"
    for kills in range(1, 100):  # every restart gets one write further than the last
        written, limit = 0, kills
        try:
            train(config, run, progress=False)
            break
        except Killed:
            continue
    assert kills > 8
    assert result_of(run) == result_of(whole)
    assert losses_of(run) == losses_of(whole)
    assert not [p.name for p in run.rglob("*.tmp")]


SCRIPT = """
import functools, sys
from pathlib import Path
import torch
torch.set_num_threads(1)
from aliaug_edge.training import trainer
from aliaug_edge.training.config import load_config
trainer.LoopSettings = functools.partial(trainer.LoopSettings, checkpoint_every=3)
trainer.train(load_config(Path(sys.argv[1])), Path(sys.argv[2]), progress=False)
"""


def test_killed_by_the_system_it_ends_as_if_uninterrupted(
    new_config: NewConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = loop.LoopSettings
    monkeypatch.setattr(trainer, "LoopSettings", lambda **k: settings(**k, checkpoint_every=3))
    config = new_config(steps=16)
    whole = train(config, tmp_path / "whole", progress=False)
    run, rng = tmp_path / "run", random.Random(5)
    files.write_json(tmp_path / "c.json", json.loads((whole / "config.json").read_text()))
    for _ in range(2):
        before = checkpoint_age(run)
        process = subprocess.Popen([sys.executable, "-c", SCRIPT, tmp_path / "c.json", run])
        wait_for(lambda last=before: checkpoint_age(run) != last, process)
        time.sleep(rng.uniform(0, 0.5))
        process.send_signal(signal.SIGKILL)
        process.wait()
    train(config, run, progress=False)
    assert result_of(run) == result_of(whole)
    assert losses_of(run) == losses_of(whole)


def test_ctrl_c_is_130_and_the_run_continues(new_config: NewConfig, tmp_path: Path) -> None:
    config = new_config(steps=2000)
    code = "import torch; torch.set_num_threads(1); from aliaug_edge.cli import main; main()"
    run = tmp_path / "run"
    files.write_json(tmp_path / "c.json", config_document(config))
    command = [sys.executable, "-c", code, "train", "--config", tmp_path / "c.json", "-o", run]
    process = subprocess.Popen(list(map(str, command)), stderr=subprocess.PIPE, text=True)
    wait_for(lambda: (run / "tensorboard").exists(), process)
    process.send_signal(signal.SIGINT)
    _, stderr = process.communicate()
    assert process.returncode == 130
    assert stderr.splitlines()[-1] == "interrupted"
    assert "Traceback" not in stderr
    assert load_config(run / "config.json") == config


def checkpoint_age(run: Path) -> int | None:
    path = run / "checkpoint.pt"
    return path.stat().st_mtime_ns if path.exists() else None


def wait_for(condition: Callable[[], bool], process: subprocess.Popen[str]) -> None:
    deadline = time.monotonic() + 120
    while not condition():
        assert process.poll() is None, "the process ended by itself"
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_the_device_s_own_precision_is_chosen_by_auto() -> None:
    with autocast_for("auto", torch.device("cpu"))():
        result = torch.ones(2, 2) @ torch.ones(2, 2)
    expected = torch.bfloat16 if cpu_has_bf16() else torch.float32
    assert result.dtype == expected
