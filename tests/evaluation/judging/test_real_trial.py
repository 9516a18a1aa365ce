"""A bundle is judged on a data folder from end to end, by command, twice alike."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from PIL import Image
from support.bases import write_dataset
from support.bundles import make_bundle
from support.commands import run_command

from aliaug_edge import fingerprints, imaging
from aliaug_edge.bundle import load_bundle, save_manifest
from aliaug_edge.cli.judge import judge as command
from aliaug_edge.data.procedural import render_pair
from aliaug_edge.errors import AliAugError, DataError
from aliaug_edge.evaluation.judging.drawn_trial import Trial
from aliaug_edge.evaluation.judging.real_judge import RealJudgeSettings
from aliaug_edge.evaluation.judging.real_report import real_report_text
from aliaug_edge.evaluation.judging.real_trial import RealTrialSettings, judge_bundle_on_data
from aliaug_edge.evaluation.judging.sides import Sides, read_sides

MICRO = RealTrialSettings(
    per_class=2,
    repeated=1,
    seeds=2,
    engine="onnxruntime-cpu",
    judge=RealJudgeSettings(side=32, views=1, lessons=12),
)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = write_dataset(tmp_path_factory.mktemp("data") / "parts", defects=4, goods=4)
    (root / "test" / "good").mkdir()
    for index in range(2):
        surface = render_pair(900 + index, 96, 128).good
        Image.fromarray(surface).save(root / "test" / "good" / f"{index:03d}.png")
    return root


@pytest.fixture(scope="module")
def sides(data: Path) -> Sides:
    return read_sides(data, pool="train", judge_pool="train")


@pytest.fixture(scope="module")
def bundle_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_bundle(tmp_path_factory.mktemp("bundles") / "bundle")


@pytest.fixture(scope="module")
def trial(bundle_dir: Path, sides: Sides) -> Trial:
    return judge_bundle_on_data(load_bundle(bundle_dir), sides, MICRO, quietly)


def quietly(line: str) -> None:
    del line


def test_fidelity_stands_beside_ceiling_and_chance(trial: Trial, sides: Sides) -> None:
    report = trial.report
    assert report["classes"] == ["crack", "stain"]
    assert report["chance"] == 0.5
    assert report["ceiling"]["count"] == len(sides.test)
    assert report["made"]["count"] == report["pasted"]["count"] == 4
    for key in ("ceiling", "pasted", "blank", "made"):
        row = report[key]
        assert 0 <= row["low"] <= row["share"] <= row["high"] <= 1
        seen = sum(sum(counts.values()) for counts in row["confusion"].values())
        assert seen == row["count"]
        assert sum(c["good"] for c in row["confusion"].values()) == round(
            row["empty"] * row["count"]
        )
    if report["ceiling"]["share"]:
        ratio = report["made"]["share"] / report["ceiling"]["share"]
        assert report["made_of_ceiling"] == pytest.approx(ratio, abs=1e-3)


def test_a_swap_is_won_by_the_request_by_the_shape_or_by_neither_where_nothing_is_seen(
    trial: Trial,
) -> None:
    swap = trial.report["swap"]
    for row in (swap["made"], swap["real"]):
        count = row["request"]["count"]
        assert row["shape"]["count"] == count > 0
        # Two classes, as many places of each: what is no defect at all is the rest.
        if count == 4:
            rest = 1 - row["request"]["share"] - row["shape"]["share"]
            assert rest == pytest.approx(row["empty"], abs=1e-3)
    assert swap["chance"] == 0.5
    assert swap["reads"] == (swap["real"]["request"]["low"] > 0.5)


def test_a_swap_score_is_given_only_by_a_judge_that_reads_real_pixels(trial: Trial) -> None:
    row = trial.report["swap"]["real"]

    def told(low: float, of_real: float | None) -> str:
        real = {**row, "request": {**row["request"], "share": 0.8, "low": low}}
        made = {**row, "request": {**row["request"], "share": 0.6}}
        swap = {"made": made, "real": real, "chance": 0.5, "reads": low > 0.5}
        return real_report_text({**trial.report, "swap": {**swap, "made_of_real": of_real}})

    assert "made reaches 75 % of the ceiling" in told(0.6, 0.75)
    assert "the swap score means nothing" not in told(0.6, 0.75)
    assert "the swap score means nothing" in told(0.4, None)


def test_the_rest_of_the_photo_is_copied_by_a_bundle_that_copies(trial: Trial) -> None:
    found = trial.report["preservation"]
    assert found["raw"]["psnr_db"]["p5"] > 45  # what rounding to 8 bits leaves
    assert found["blended"]["count"] == 4
    assert set(trial.report["sharpness_inside"]) == {"crack", "stain"}


def test_seeds_and_train_defects_are_compared(trial: Trial) -> None:
    assert trial.report["diversity"]["seeds"] > 0
    assert trial.report["memorisation"]["real_test"] > 0
    assert 0 <= trial.report["memorisation"]["closer"] <= 1


def test_equal_arguments_give_an_equal_report(trial: Trial, bundle_dir: Path, sides: Sides) -> None:
    again = judge_bundle_on_data(load_bundle(bundle_dir), sides, MICRO, quietly)
    assert json.dumps(again.report) == json.dumps(trial.report)


def test_the_text_has_every_measure(trial: Trial) -> None:
    text = real_report_text(trial.report)
    for part in ("ceiling", "the request wins", "PSNR", "diversity", "nearest train defect"):
        assert part in text


def test_a_bundle_that_learned_from_the_test_photos_is_refused(
    bundle_dir: Path, sides: Sides, tmp_path: Path
) -> None:
    folder = tmp_path / "bundle"
    shutil.copytree(bundle_dir, folder)
    seen = fingerprints.describe((p.name, p.image) for p in sides.test)
    (folder / fingerprints.FILE).write_bytes(fingerprints.to_bytes(seen))
    document = json.loads((folder / "bundle.json").read_text())
    document.pop("files"), document.pop("schema_version")
    save_manifest(folder, document)
    with pytest.raises(DataError, match="was trained on photos that it would be tried on"):
        judge_bundle_on_data(load_bundle(folder), sides, MICRO, quietly)


def test_a_class_that_the_bundle_lacks_is_named(sides: Sides, tmp_path: Path) -> None:
    bundle = load_bundle(make_bundle(tmp_path / "bundle", classes=("crack", "dent")))
    with pytest.raises(AliAugError, match="unknown defect class 'stain'"):
        judge_bundle_on_data(bundle, sides, MICRO, quietly)


def test_the_command_prints_one_document_and_writes_what_it_is_asked_for(
    bundle_dir: Path, data: Path, tmp_path: Path
) -> None:
    written, sheet = tmp_path / "report.json", tmp_path / "sheet.png"
    options = ("--data", data, "--quick", "--count", 1, "--engine", "onnxruntime-cpu", "--json")
    result = run_command(command, bundle_dir, *options, "-o", written, "--sheet", sheet)
    assert result.exit_code == 0, result.stderr
    assert json.loads(result.stdout) == json.loads(written.read_text())
    assert imaging.is_marked_synthetic(sheet)
    assert "the judge learns from" in result.stderr


def test_no_insertion_is_no_trial(bundle_dir: Path, data: Path) -> None:
    result = run_command(command, bundle_dir, "--data", data, "--count", 0)
    assert result.exit_code == 1
    assert "--count 0: expected at least 1" in result.stderr
