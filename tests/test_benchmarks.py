"""Every script in benchmarks/ still runs, at the smallest size that it has: no figure decides."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from aliaug_edge.data.make import make_dataset

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"
HEAVY = {"sd_turbo_export"}  # five minutes and 11 GiB


def last_line_of(name: str, *arguments: str) -> dict[str, Any]:
    """What the script's last line says; it must have ended well."""
    done = subprocess.run(
        [sys.executable, str(BENCHMARKS / f"{name}.py"), *arguments],
        capture_output=True,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    assert done.returncode == 0, done.stderr[-2000:]
    said: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    assert said["benchmark"] == name
    assert {"cpu", "python", "torch"} <= said["machine"].keys()
    return said


@pytest.fixture(scope="module")
def line(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("line") / "data"
    return str(make_dataset(folder, goods=24, defects_per_class=8))


def test_our_training_step_is_compared_with_the_released_loop() -> None:
    smallest = ("--size", "64", "--batch", "2", "--rounds", "1", "--block", "1")
    said = last_line_of("released_loop", *smallest)
    theirs, ours = (said["seconds_per_step"][name] for name in ("released", "ours"))
    assert said["ratio"] == pytest.approx(theirs / ours, rel=0.01)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("cold_start", ("tiny", "--runs", "1")),
        ("generate_overhead", ("tiny", "--count", "2", "--small", "2", "--large", "4")),
        ("generator_speed", ("tiny", "--sizes", "128", "--rounds", "1")),
        ("session_settings", ()),
        ("untuned_rejects", ("tiny", "--count", "1")),
        ("conditionings", ("--steps", "2", "--count", "2", "--pairs", "12")),
    ],
)
def test_a_benchmark_of_drawn_parts_runs_to_its_last_line(
    name: str, arguments: tuple[str, ...]
) -> None:
    last_line_of(name, *arguments)


@pytest.mark.slow
def test_benchmarks_of_real_photos_run_to_their_last_line_on_a_folder_of_photos(line: str) -> None:
    last_line_of("preservation", "tiny", line)
    last_line_of("quality_limits", line)


@pytest.mark.slow
def test_trainers_are_compared_habit_by_habit_and_by_what_detectors_gain(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    folder = tmp_path_factory.mktemp("trainers")
    classes = ("scratch", "blowhole")
    data = str(make_dataset(folder / "data", classes=classes, goods=24, defects_per_class=8))
    shortest = ("--out", str(folder / "habits"), "--steps", "3", "--size", "64", "--seeds", "1")
    habits = last_line_of("released_habits", data, *shortest)
    assert {"ours", "gradients leak", "another background, paper"} <= habits["rows"].keys()
    shortest = ("--out", str(folder / "nas"), "--ours", "2", "--released", "2", "--seeds", "1")
    gained = last_line_of("time_to_nas", data, *shortest, "--detector-steps", "2")
    assert [(row["loop"], len(row["ap"])) for row in gained["rows"]] == [
        ("ours", 1),
        ("released", 1),
    ]


def test_no_benchmark_is_left_out_here() -> None:
    helpers = {"common", "released"}  # what several of them share
    scripts = {path.stem for path in BENCHMARKS.glob("*.py")} - helpers
    tried = Path(__file__).read_text(encoding="utf-8")
    assert {name for name in scripts if f'"{name}"' not in tried} == set()
