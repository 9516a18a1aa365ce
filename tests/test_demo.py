"""scripts/demo.sh with an `ali-aug` that only makes the folders: what is run, noted and said."""

from __future__ import annotations

import os
import shlex
import subprocess
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[1] / "scripts/demo.sh"
STAND_IN = """#!/usr/bin/env bash
echo "$1 $2" >> "$LOG"
case "$1 $2" in
  "$FAILS "*) exit 1 ;;
  "data make") mkdir -p "$3/train/good"; touch "$3/train/good/0.png" ;;
  "export "*) mkdir -p "$4" ;;
esac
"""
STEPS = ["make", "check", "train", "export", "generate", "profile", "report"]


@pytest.fixture
def demo(tmp_path):
    """Runs the script in `tmp_path`; gives its result and the words of the commands it ran."""
    program = tmp_path / "bin/ali-aug"
    program.parent.mkdir()
    program.write_text(STAND_IN)
    program.chmod(0o755)
    log = tmp_path / "log"

    def run(*arguments, fails="nothing"):
        log.write_text("")
        path = f"{program.parent}{os.pathsep}{os.environ['PATH']}"
        result = subprocess.run(
            ["bash", str(SCRIPT), *map(str, arguments)],
            cwd=tmp_path,
            env={**os.environ, "PATH": path, "LOG": str(log), "FAILS": fails},
            capture_output=True,
            text=True,
            timeout=60,
        )
        return result, [step_of(line.split()) for line in log.read_text().splitlines()]

    return run


def step_of(words):
    return words[1] if words[0] == "data" else words[0]


def noted(out):
    """The commands in commands.txt as words, `ali-aug` left out."""
    lines = (out / "commands.txt").read_text().splitlines()
    return [shlex.split(line)[1:] for line in lines]


def test_it_runs_every_step_and_says_where_the_report_is_and_what_is_next(demo, tmp_path):
    result, ran = demo("out")
    assert result.returncode == 0, result.stderr
    assert ran == STEPS
    assert [step_of(words) for words in noted(tmp_path / "out")] == STEPS
    assert "report:   out/report.html" in result.stderr
    assert "Next:" in result.stderr and "make demo DATA=" in result.stderr


def test_continued_it_skips_what_is_done_and_still_notes_every_command(demo, tmp_path):
    demo("out")
    first = noted(tmp_path / "out")
    _, ran = demo("out")
    assert ran == [step for step in STEPS if step not in ("make", "export")]
    assert noted(tmp_path / "out") == first


def test_a_run_that_fails_leaves_the_noted_commands_alone(demo, tmp_path):
    demo("out")
    first = noted(tmp_path / "out")
    result, _ = demo("out", "elsewhere", fails="train")
    assert result.returncode != 0
    assert noted(tmp_path / "out") == first


def test_noted_commands_can_be_run_again_whatever_the_folders_are_called(demo, tmp_path):
    name = "line 1 & 'b'"
    (tmp_path / name / "good").mkdir(parents=True)
    (tmp_path / name / "good/0.png").touch()
    result, ran = demo("my out", name)
    assert result.returncode == 0, result.stderr
    assert ran == STEPS[1:]
    commands = noted(tmp_path / "my out")
    assert commands[0] == ["data", "check", name]
    generate = commands[3]
    assert generate[generate.index("--images") + 1] == f"{name}/good"
    following = result.stderr.partition("more images:")[2].splitlines()[0]
    assert f"{name}/good" in shlex.split(following)


@pytest.mark.parametrize("folders", [(), ("train/good",), ("defects",)])
def test_without_good_photos_it_ends_before_training_with_one_line(demo, tmp_path, folders):
    for folder in ("photos", *(f"photos/{name}" for name in folders)):
        (tmp_path / folder).mkdir(parents=True)
    result, ran = demo("out", "photos")
    assert result.returncode == 1
    assert ran == ["check"]
    assert result.stderr.splitlines()[-1].startswith("error: photos has no photos of good parts")


@pytest.mark.parametrize("folder", ["train/good", "good", "images/good", "train_C"])
def test_good_photos_are_found_in_every_layout(demo, tmp_path, folder):
    (tmp_path / "photos" / folder).mkdir(parents=True)
    (tmp_path / "photos" / folder / "0.png").touch()
    demo("out", "photos")
    generate = noted(tmp_path / "out")[3]
    assert generate[generate.index("--images") + 1] == f"photos/{folder}"
