"""`ali-aug train` and `ali-aug pretrain` as a user meets them."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path

import pytest

from aliaug_edge.cli.train import pretrain, train
from aliaug_edge.training.config import TrainConfig, load_config
from tests.support.commands import run_command

SMALL = ("--steps", 1, "--batch-size", 1, "--size", 32, "--precision", "fp32", "--quiet")


@pytest.fixture
def run(base_dir: Path, data_dir: Path, tmp_path: Path) -> Path:
    """A run that the command line has made."""
    done = run_command(train, data_dir, "-o", tmp_path / "run", "--base", base_dir, *SMALL)
    assert done.exit_code == 0, done.output
    return tmp_path / "run"


def test_it_names_the_next_command_and_keeps_quiet(run: Path) -> None:
    done = run_command(train, "--config", run / "config.json", "--quiet")
    assert done.exit_code == 0
    assert done.stdout == f"saved {run}; next: ali-aug export {run} -o BUNDLE\n"
    assert done.stderr == ""


def test_options_reach_the_config(base_dir: Path, data_dir: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    options = {
        "base": str(base_dir),
        "conditioning": "paper",
        "label_carrier": "colour",
        "steps": 1,
        "batch_size": 1,
        "size": 32,
        "rank_unet": 2,
        "alpha_unet": 4.0,
        "rank_vae": 3,
        "alpha_vae": 1.5,
        "precision": "fp32",
        "learning_rate": 0.002,
        "seed": 9,
    }
    words = [w for k, v in options.items() for w in (f"--{k.replace('_', '-')}", v)]
    done = run_command(train, data_dir, "-o", out, "--classes", "stain", "-q", *words)
    assert done.exit_code == 0, done.output
    wanted = TrainConfig(data=str(data_dir), classes=("stain",), **options)  # type: ignore[arg-type]
    assert load_config(out / "config.json") == wanted


def test_blanks_around_the_names_of_classes_do_not_matter(
    data_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[TrainConfig] = []
    monkeypatch.setattr(
        "aliaug_edge.training.trainer.train", lambda *given, **_: asked.append(given[0])
    )
    done = run_command(train, data_dir, "-o", tmp_path / "run", "--classes", "crack, stain,")
    assert done.exit_code == 0, done.output
    assert asked[0].classes == ("crack", "stain")


def test_progress_goes_to_stderr(base_dir: Path, data_dir: Path, tmp_path: Path) -> None:
    loud = [word for word in SMALL if word != "--quiet"]
    done = run_command(train, data_dir, "-o", tmp_path / "run", "--base", base_dir, *loud)
    assert "step 1/1  loss" in done.stderr
    assert done.stdout.count("\n") == 1


def test_config_runs_it_again_somewhere_else(run: Path, tmp_path: Path) -> None:
    done = run_command(train, "--config", run / "config.json", "-o", tmp_path / "again", "-q")
    assert done.exit_code == 0, done.output
    name = "adapters/vae/adapter_model.safetensors"
    assert (tmp_path / "again" / name).read_bytes() == (run / name).read_bytes()


def test_paths_are_kept_whole_so_that_another_folder_can_continue(
    base_dir: Path, data_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(base_dir, tmp_path / "base")
    shutil.copytree(data_dir, tmp_path / "parts")
    monkeypatch.chdir(tmp_path)
    assert run_command(train, "parts", "-o", "run", "--base", "base", *SMALL).exit_code == 0
    kept = json.loads(Path("run/config.json").read_text())
    assert (kept["data"], kept["base"]) == (str(tmp_path / "parts"), str(tmp_path / "base"))


@pytest.mark.parametrize(
    "words",
    [
        [],
        ["{data}"],
        ["-o", "{out}"],
        ["{data}", "-o", "{out}", "--config", "{config}"],
        ["--config", "{config}", "-o", "{out}", "--steps", "4"],
        ["{data}", "-o", "{out}", "--steps", "many"],
        ["{data}", "-o", "{out}", "--no-such-flag"],
    ],
    ids=" ".join,
)
def test_wrong_usage_is_2(words: list[str], data_dir: Path, tmp_path: Path) -> None:
    places = {"data": data_dir, "out": tmp_path / "out", "config": tmp_path / "config.json"}
    done = run_command(train, *(word.format(**places) for word in words))
    assert done.exit_code == 2
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    "words, said",
    [
        (["{tmp}/none", "-o", "{tmp}/out"], "none does not exist"),
        (["{tmp}", "-o", "{tmp}/out"], "has none of the known layouts"),
        (["{data}", "-o", "{tmp}/out", "--conditioning", "heavy"], "conditioning 'heavy'"),
        (["{data}", "-o", "{tmp}/out", "--classes", "dent"], "unknown class dent"),
        (["{data}", "-o", "{tmp}/out", "--base", "{tmp}/none"], "is not a folder"),
        (["--config", "{tmp}/none.json", "-o", "{tmp}/out"], "none.json cannot be read"),
    ],
)
def test_a_user_s_mistake_is_one_line_and_1(
    words: list[str], said: str, data_dir: Path, tmp_path: Path
) -> None:
    done = run_command(train, *(w.format(tmp=tmp_path, data=data_dir) for w in words))
    assert done.exit_code == 1
    assert done.stderr.startswith("error: ")
    assert said in done.stderr
    assert done.stderr.count("\n") == 1
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("command", [train, pretrain])
def test_without_torch_it_says_how_to_get_it(
    command: object, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "peft", None)
    done = run_command(command, "-o", tmp_path / "out")  # type: ignore[arg-type]
    assert done.exit_code == 1
    assert "needs peft" in done.stderr
    assert "pip install 'aliaug-edge[train]'" in done.stderr


def test_pretrain_refuses_a_foreign_folder_and_odd_numbers(tmp_path: Path) -> None:
    (tmp_path / "letter.txt").write_text("mine")
    done = run_command(pretrain, "-o", tmp_path, "--steps", 1)
    assert (done.exit_code, done.stderr.count("\n")) == (1, 1)
    assert "is not a pretraining" in done.stderr
    assert run_command(pretrain, "-o", tmp_path / "x", "--steps", 0).exit_code == 1
    assert run_command(pretrain).exit_code == 2
    assert sorted(p.name for p in tmp_path.iterdir()) == ["letter.txt"]
