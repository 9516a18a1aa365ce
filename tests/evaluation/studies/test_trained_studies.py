"""Studies that train: whole, on a micro base, with their reports and their command."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from aliaug_edge.cli.study import study
from aliaug_edge.errors import AliAugError
from aliaug_edge.evaluation.studies import ablations as ablations_module
from aliaug_edge.evaluation.studies import lora as lora_module
from aliaug_edge.evaluation.studies.ablations import VARIANTS, ablations
from aliaug_edge.evaluation.studies.lora import cases
from aliaug_edge.evaluation.studies.run import run_study
from aliaug_edge.evaluation.studies.study import Measure, StudySettings, claim
from aliaug_edge.training.config import load_config
from tests.support.commands import run_command

NewSettings = Callable[..., StudySettings]


def quiet(line: str) -> None:
    del line


def test_every_variant_differs_from_the_default_in_one_thing(new_settings: NewSettings) -> None:
    plain = new_settings().config()
    seen = set()
    for variant in VARIANTS[1:]:
        config = new_settings().config(**variant.changes)
        differing = {k for k in vars(plain) if getattr(plain, k) != getattr(config, k)}
        assert len(differing) + (variant.blend != "feather") == 1, variant.name
        seen.add((config, variant.blend))
    assert len(seen) == len(VARIANTS) - 1
    assert len({v.name for v in VARIANTS}) == len(VARIANTS)


def test_ablations_train_score_and_share_the_plain_run(
    tmp_path: Path, new_settings: NewSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    chosen = [v for v in VARIANTS if v.name in ("plain", "no-skips", "blend-none")]
    monkeypatch.setattr(ablations_module, "VARIANTS", chosen)
    settings = new_settings()
    parts = claim(tmp_path / "out", "ablations", settings)
    asked: list[str] = []

    def score(run_dir: Path) -> dict[str, float]:
        asked.append(run_dir.name)
        return {"nas": 0.5}

    result = ablations(settings, parts, quiet, score, (Measure("nas", "NAS", "higher"),))
    trained = sorted(p.name for p in (tmp_path / "out" / "runs").iterdir())
    assert trained == ["no-skips-seed-0", "plain-seed-0"]
    assert not load_config(parts.run_dir("no-skips-seed-0") / "config.json").skips
    rows = {row.label: row.values for row in result.rows}
    assert rows["no skips"]["nas"] == [0.5]
    assert rows["none"]["outside"] != rows[VARIANTS[0].label]["outside"]
    before = list(asked)
    assert ablations(settings, parts, quiet, score, ()).rows == result.rows
    assert asked == before  # nothing finished is scored again


def test_lora_s_cases_leave_out_what_the_data_cannot_answer() -> None:
    names = [case.name for case in cases(("crack", "stain"), 12)]
    assert names == [
        "rank-2", "rank-4", "rank-8", "rank-16",
        "class-crack", "class-stain", "defects-5", "defects-10", "rank-8",
    ]  # fmt: skip
    assert "defects-5" not in [c.name for c in cases(tuple("abcdef"), 12)]
    assert not [c for c in cases(("crack",), 60) if c.only]


def test_lora_s_plain_rank_is_the_default(new_settings: NewSettings) -> None:
    plain = new_settings().config()
    for case in cases(("crack", "stain"), 12):
        if case.name == "rank-8":
            assert new_settings().config(**case.changes) == plain


@pytest.mark.slow
def test_lora_judges_a_class_on_its_own_scenes(
    tmp_path: Path, new_settings: NewSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lora_module, "RANKS", (2,))
    monkeypatch.setattr(lora_module, "SIZES", (3,))
    document = run_study("lora", new_settings(), tmp_path / "out", quiet)
    labels = [row["label"] for row in document["rows"]]
    assert labels[3:] == ["rank 2", "crack alone", "stain alone", "3 defects", labels[-1]]
    run = tmp_path / "out" / "runs"
    assert load_config(run / "class-crack-seed-0" / "config.json").classes == ("crack",)
    assert load_config(run / "defects-3-seed-0" / "config.json").max_defects == 3
    assert load_config(run / "rank-2-seed-0" / "config.json").rank_vae == 1


@pytest.mark.parametrize(
    ("name", "said"),
    [("ablations", "rows under `label` say"), ("lora", "no rows compare kinds of defect")],
)
def test_one_class_has_a_study_that_says_what_it_cannot_tell(
    tmp_path: Path,
    new_settings: NewSettings,
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    said: str,
) -> None:
    monkeypatch.setattr(ablations_module, "VARIANTS", VARIANTS[:1])
    monkeypatch.setattr(lora_module, "RANKS", ())
    settings = new_settings(classes=("stain",))
    document = run_study(name, settings, tmp_path / "out", quiet)
    rows = {row["label"]: row["summary"]["fidelity"]["middle"] for row in document["rows"]}
    assert rows.pop("guessing the class or nothing") == 0.5
    assert len(rows) == 3 and all(0 <= value <= 1 for value in rows.values())
    assert any(said in note for note in document["notes"])
    assert any("likelier than good surface" in note for note in document["notes"])


def test_steps_side_by_side_with_their_time(tmp_path: Path, new_settings: NewSettings) -> None:
    document = run_study("steps", new_settings(), tmp_path / "out", quiet)
    rows = {row["label"]: row["summary"] for row in document["rows"]}
    assert "4 steps (t = 999, 749, 499, 249)" in rows
    times = [s["ms"]["middle"] for label, s in rows.items() if "step" in label]
    assert len(times) == 4 and min(times) > 0
    assert rows["the real photo"]["ms"] is None
    assert rows.pop("guessing the class")["fidelity"]["middle"] == 0.5
    assert len({s["l1"]["middle"] for s in rows.values()}) == 6


def test_the_report_is_whole_self_contained_and_the_same_again(
    tmp_path: Path, new_settings: NewSettings
) -> None:
    document = run_study("mask-size", new_settings(), tmp_path / "a", quiet)
    run_study("mask-size", new_settings(), tmp_path / "b", quiet)
    for name in ("results.json", "table.txt", "report.html", "study.json"):
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()
    page = (tmp_path / "a" / "report.html").read_text()
    assert "decide nothing" in page and "decide nothing" in (tmp_path / "a/table.txt").read_text()
    assert page.count("<svg") == len(document["measures"])
    assert 'src="http' not in page and "<script" not in page
    assert str(tmp_path) not in page and str(Path(new_settings().data).parent) not in page
    assert json.loads((tmp_path / "a" / "results.json").read_text()) == document


def test_the_command_prints_one_document_and_speaks_on_stderr(
    tmp_path: Path, new_settings: NewSettings
) -> None:
    settings = new_settings()
    options = ["--data", settings.data, "--base", settings.base, "--quick", "--json"]
    options += ["--size", "32", "--steps", "2", "--seeds", "1", "--out", tmp_path / "out"]
    result = run_command(study, "mask-size", *options)
    assert result.exit_code == 0, result.stderr
    document = json.loads(result.stdout)
    assert (document["study"], document["quick"], document["decides"]) == ("mask-size", True, False)
    assert "training plain: 2 steps" in result.stderr


@pytest.mark.parametrize(
    "name, options, said",
    [
        ("colour", [], "unknown study 'colour': expected one of mask-size, steps"),
        ("lora", ["--run", "x"], "drop --run, which is for mask-size and steps"),
        ("steps", ["--seeds", "0"], "--seeds 0: expected at least 1"),
        ("steps", ["--size", "33"], "size 33: expected a multiple of 8"),
        ("steps", ["--run", "nowhere"], "nowhere is not a finished run"),
        ("steps", ["--classes", "dent"], "unknown class dent"),
    ],
)
def test_what_cannot_be_asked_is_one_line(
    tmp_path: Path, new_settings: NewSettings, name: str, options: list[str], said: str
) -> None:
    settings = new_settings()
    given = ["--data", settings.data, "--base", settings.base, "--quick", "--out", tmp_path / "o"]
    result = run_command(study, name, *given, *options)
    assert result.exit_code == AliAugError.exit_code
    assert said in result.stderr
    assert len(result.stderr.strip().splitlines()[-1:]) == 1
    assert "Traceback" not in result.stderr
