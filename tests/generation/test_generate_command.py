"""`ali-aug generate` as a user meets it: what it prints, and how it ends."""

from __future__ import annotations

import json

import pytest
import typer
from typer.testing import CliRunner

from aliaug_edge.cli.app import ErrorBoundary
from aliaug_edge.cli.generate import generate


@pytest.fixture
def run(bundle_dir, good_dir):
    app = typer.Typer(cls=ErrorBoundary, pretty_exceptions_enable=False)
    app.callback()(lambda: None)
    app.command("generate")(generate)

    def call(*arguments: object, images: bool = True, bundle: object = bundle_dir):
        given = ["--images", str(good_dir)] if images else []
        words = ["generate", str(bundle), *given, *map(str, arguments)]
        return CliRunner().invoke(app, words)

    return call


def test_it_ends_with_the_contact_sheet_and_the_next_command(run, tmp_path):
    out = tmp_path / "out"
    done = run("-o", out, "-n", 4, "--seed", 1)
    assert done.exit_code == 0, done.output
    assert "4 requested = " in done.stdout
    last = done.stdout.splitlines()[-1]
    assert last.startswith(f"look at {out / 'contact_sheet.png'}, then: ali-aug ")
    assert last.endswith(f"data check {out / 'mvtec' / 'generated'}")
    assert (out / "contact_sheet.png").is_file()


def test_json_is_one_document_on_stdout(run, tmp_path):
    done = run("-o", tmp_path / "out", "-n", 3, "--json")
    document = json.loads(done.stdout)
    assert document["requested"] == 3
    assert document["requested"] == document["kept"] + document["rejected"] + document["failed"]
    assert document["engine_s"] > 0


def test_a_dry_run_prints_the_plan_and_writes_nothing(run, tmp_path):
    done = run("-o", tmp_path / "out", "-n", 7, "--classes", "stain", "--dry-run")
    assert done.exit_code == 0
    assert "7 samples from 6 good images" in done.stdout
    assert "class stain: 7" in done.stdout
    assert "masks from bank: 7" in done.stdout
    assert not (tmp_path / "out").exists()
    plan = json.loads(run("-o", tmp_path / "out", "-n", 7, "--dry-run", "--json").stdout)
    assert plan["per_class"] == {"crack": 4, "stain": 3}


def test_a_dry_run_refuses_a_folder_as_the_run_would(run, good_dir, tmp_path, hash_of):
    taken, other = tmp_path / "taken", tmp_path / "other"
    taken.mkdir()
    (taken / "thesis.tex").write_text("years of work")
    assert run("-o", other, "-n", 2).exit_code == 0
    before = hash_of(tmp_path)
    for out, message in (
        (taken, "holds something else (thesis.tex)"),
        (other, "holds another request: settings.count was 2, now 3"),
        (good_dir / "out", "lies in the input folder"),
    ):
        wet, dry = run("-o", out, "-n", 3), run("-o", out, "-n", 3, "--dry-run")
        assert (dry.exit_code, dry.stderr) == (1, wet.stderr)
        assert message in dry.stderr
        assert dry.stdout == ""
    assert hash_of(tmp_path) == before
    assert run("-o", other, "-n", 2, "--dry-run").exit_code == 0


def test_a_finished_folder_is_said_to_be_complete(run, tmp_path):
    first = run("-o", tmp_path / "out", "-n", 3)
    again = run("-o", tmp_path / "out", "-n", 3)
    assert "images/s" in first.stderr
    assert again.exit_code == 0
    assert again.stdout == first.stdout
    assert "already complete" in again.stderr
    assert "images/s" not in again.stderr


def test_classes_may_say_how_many(run, tmp_path):
    asked = ["--classes", "crack:2,stain:5", "--dry-run", "--json"]
    plan = json.loads(run("-o", tmp_path / "out", *asked).stdout)
    assert (plan["requested"], plan["per_class"]) == (7, {"crack": 2, "stain": 5})


def test_nothing_kept_is_exit_1_with_the_first_reason(run, tmp_path):
    done = run("-o", tmp_path / "out", "-n", 3, "--min-change", 250)
    assert done.exit_code == 1
    assert "error: no sample was kept: 3 rejected, 0 failed" in done.stderr
    assert "empty insertion" in done.stderr


def test_nothing_but_corrupt_images_is_exit_1(run, good_dir, tmp_path):
    for path in good_dir.iterdir():
        path.write_text("not an image")
    done = run("-o", tmp_path / "out", "-n", 3)
    assert done.exit_code == 1
    assert "no sample was kept: 0 rejected, 3 failed; first reason: " in done.stderr
    assert "Traceback" not in done.output


@pytest.mark.parametrize(
    ("arguments", "message", "code"),
    [
        (["--classes", "rust"], "unknown defect class 'rust'", 1),
        (["--label-carrier", "colour"], "names its classes by text, asked for 'colour'", 1),
        (["--label-carrier", "smell"], "names its classes by text, asked for 'smell'", 1),
        (["--classes", "crack:2,stain"], "give every class a count", 1),
        (["--classes", "crack:2,stain:1", "-n", "9"], "add up to 3; leave --count out", 1),
        (["--classes", "crack:two"], "expected NAME:COUNT, got 'crack:two'", 2),
        (["--blend", "soft"], "--blend must be one of", 1),
        (["--labels", "pascal"], "unknown label format 'pascal'", 1),
        (["--engine", "abacus"], "unknown engine 'abacus'", 1),
        (["--severity", "0.9:0.1"], "--severity expects LOW:HIGH", 1),
        (["--area", "much"], "expected LOW:HIGH, got 'much'", 2),
        (["--count", "0"], "--count", 2),
        (["--count", "many"], "--count", 2),
    ],
)
def test_wrong_values_are_one_clear_error_and_write_nothing(
    run, tmp_path, arguments, message, code
):
    done = run("-o", tmp_path / "out", *arguments)
    assert done.exit_code == code
    assert message in " ".join(done.stderr.replace("│", " ").split())
    assert not (tmp_path / "out").exists()


def test_images_may_be_left_out_only_with_tiny(run, tmp_path):
    done = run("-o", tmp_path / "out", images=False)
    assert done.exit_code == 2
    assert "--images" in done.stderr


def test_a_bundle_that_is_none_is_one_line(run, tmp_path):
    done = run("-o", tmp_path / "out", bundle=tmp_path)
    assert done.exit_code == 1
    assert "is not a bundle" in done.stderr
