"""Data of a single class, the commonest there are: every command has an answer for them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from support.bases import write_base
from support.commands import run_command

from aliaug_edge.bundle import load_bundle
from aliaug_edge.cli.generate import generate
from aliaug_edge.cli.judge import judge
from aliaug_edge.cli.report import report
from aliaug_edge.data.procedural import render_pair
from aliaug_edge.evaluation.judging.drawn_trial import Trial
from aliaug_edge.evaluation.judging.real_judge import RealJudgeSettings
from aliaug_edge.evaluation.judging.real_report import real_report_text
from aliaug_edge.evaluation.judging.real_trial import (
    ONE_CLASS,
    RealTrialSettings,
    judge_bundle_on_data,
)
from aliaug_edge.evaluation.judging.sides import read_sides
from aliaug_edge.evaluation.protocol import EvaluationSettings
from aliaug_edge.evaluation.report.tables import table_text
from aliaug_edge.evaluation.run import evaluate

MICRO = RealTrialSettings(
    per_class=2,
    repeated=1,
    seeds=2,
    engine="onnxruntime-cpu",
    judge=RealJudgeSettings(side=32, views=1, lessons=12),
)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Photos in one folder, masks in another, and good ones: the class is then called `defect`."""
    root = tmp_path_factory.mktemp("data") / "parts"
    for folder in ("images", "masks", "good"):
        (root / folder).mkdir(parents=True)
    for index in range(6):
        pair = render_pair(100 + index, 96, 128, defect_class="stain")
        Image.fromarray(pair.defect).save(root / "images" / f"{index:03d}.png")
        Image.fromarray(pair.mask).save(root / "masks" / f"{index:03d}.png")
    for index in range(8):
        Image.fromarray(render_pair(500 + index, 96, 128).good).save(root / f"good/{index}.png")
    return root


@pytest.fixture(scope="module")
def evaluated(data: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    out = tmp_path_factory.mktemp("out") / "evaluation"
    settings = EvaluationSettings(
        data=data,
        conditions=("classic", "copy-paste-1x", "nas-text-1x"),
        seeds=1,
        exchange=False,
        detector_steps=2,
        generator_steps=2,
        base=str(write_base(tmp_path_factory.mktemp("bases") / "micro")),
        quick=True,
    )
    return out, evaluate(settings, out, workers=1, say=quietly)


@pytest.fixture(scope="module")
def bundle_dir(evaluated: tuple[Path, dict[str, Any]]) -> Path:
    return evaluated[0] / "generators" / "fold-0" / "text" / "bundle"


@pytest.fixture(scope="module")
def trial(bundle_dir: Path, data: Path) -> Trial:
    sides = read_sides(data, pool="train", judge_pool="train")
    return judge_bundle_on_data(load_bundle(bundle_dir), sides, MICRO, quietly)


def quietly(line: str) -> None:
    del line


def test_an_evaluation_trains_exports_and_tries_every_condition(
    evaluated: tuple[Path, dict[str, Any]], bundle_dir: Path
) -> None:
    _, document = evaluated
    assert load_bundle(bundle_dir).class_names == ("defect",)
    assert not document["discarded"] and not document["missing"]
    assert all(row["ap"] is not None for row in document["conditions"])
    assert document["left_out_class"] is None
    text = table_text(document)
    assert "nas-text-1x" in text and "without defect" not in text


def test_a_judge_tells_the_class_from_good_surface_and_chance_is_even(trial: Trial) -> None:
    found = trial.report
    assert found["classes"] == ["defect"]
    assert found["chance"] == 0.5
    for key in ("ceiling", "pasted", "blank", "made"):
        row = found[key]
        assert row["share"] == pytest.approx(1 - row["empty"], abs=1e-3)
        assert set(row["confusion"]["defect"]) == {"defect", "good"}
    text = real_report_text(found)
    assert "chance 0.50 (guessing between the class and good surface)" in text


def test_a_swap_test_of_one_class_is_left_out_and_says_why(trial: Trial) -> None:
    assert trial.report["swap"] is None
    assert trial.report["swap_left_out"] == ONE_CLASS
    text = real_report_text(trial.report)
    assert "no swap test: the data have one class" in text
    assert "the request wins" not in text


def test_what_needs_no_second_class_is_measured(trial: Trial) -> None:
    found = trial.report
    assert found["preservation"]["blended"]["count"] == 2
    assert found["diversity"]["seeds"] is not None
    assert found["memorisation"]["made"] > 0
    assert set(found["sharpness_inside"]) == {"defect"}


def test_the_commands_judge_generate_and_report(
    bundle_dir: Path, evaluated: tuple[Path, dict[str, Any]], data: Path, tmp_path: Path
) -> None:
    options = ("--quick", "--count", 1, "--engine", "onnxruntime-cpu", "--json")
    judged = run_command(judge, bundle_dir, "--data", data, *options)
    assert judged.exit_code == 0, judged.stderr
    assert json.loads(judged.stdout)["swap"] is None
    assert "inserting 1 defects\n" in judged.stderr
    made = tmp_path / "made"
    asked = ("--images", data / "good", "--count", 2, "--quality", "off", "--out", made)
    run = run_command(generate, bundle_dir, *asked)
    assert run.exit_code == 0, run.stderr
    page = tmp_path / "report.html"
    learned = evaluated[0] / "generators" / "fold-0" / "text" / "run"
    shown = run_command(
        report, "--run", learned, "--bundle", bundle_dir, "--dataset", made, "-o", page
    )
    assert shown.exit_code == 0, shown.stderr
    assert "defect" in page.read_text()


def test_drawn_defects_need_two_classes_and_the_way_on_is_named(bundle_dir: Path) -> None:
    refused = run_command(judge, bundle_dir)
    assert refused.exit_code == 1
    assert "with --data it judges on real defects, of one class too" in refused.stderr
