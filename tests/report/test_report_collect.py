import json
import shutil

import numpy as np
import pytest
import typer
from support.bundles import make_bundle
from typer.testing import CliRunner

from aliaug_edge.bundle import load_bundle, save_manifest
from aliaug_edge.cli.app import ErrorBoundary
from aliaug_edge.cli.report import report
from aliaug_edge.files import write_json
from aliaug_edge.generation.request import RunSettings
from aliaug_edge.generation.run import generate_dataset
from aliaug_edge.imaging import encode_png
from aliaug_edge.profiling import Rules, profile_bundle
from aliaug_edge.report import collect_report, render_report

CLASSES = ("crack", "stain")


def photo(seed, hw=(96, 112)):
    return np.random.default_rng(seed).integers(60, 120, (*hw, 3)).astype(np.uint8)


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A small run, bundle, dataset and profile as the commands leave them."""
    root = tmp_path_factory.mktemp("made")
    for number in range(4):
        path = root / f"data/train/good/{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(encode_png(photo(number)))
    for name in CLASSES:
        for number in range(3):
            mask = np.zeros((96, 112), dtype=np.uint8)
            mask[20:40, 30 : 50 + number] = 255
            for folder, stem, array in (
                ("test", f"{name}{number}", photo(50 + number)),
                ("ground_truth", f"{name}{number}_mask", mask),
            ):
                path = root / f"data/{folder}/{name}/{stem}.png"
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(encode_png(array))
    bundle = load_bundle(with_parity(make_bundle(root / "bundle", classes=CLASSES)))
    settings = RunSettings(count=6, labels=())
    generate_dataset(bundle, settings, root / "dataset", images_dir=root / "data/train/good")
    rows = [{"step": s, "loss": 1 / s, "l1": 2.0, "seconds_per_step": 0.1} for s in range(1, 9)]
    (root / "run/samples").mkdir(parents=True)
    (root / "run/metrics.jsonl").write_text("".join(json.dumps(r) + "\n" for r in rows))
    write_json(root / "run/config.json", {"batch_size": 4, "steps": 8})
    (root / "run/samples/000008.png").write_bytes(encode_png(photo(9)))
    quick = Rules(warmup_ms=0, iterations=2)
    write_json(root / "profile.json", profile_bundle(bundle, ["onnxruntime-cpu"], None, quick))
    (root / "commands.txt").write_text("# the demo\nali-aug train data\n\nali-aug export run\n")
    return root


def with_parity(folder):
    document = json.loads((folder / "bundle.json").read_text())
    document["parity"] = {
        "verdict": "passed",
        "tolerance": {"max_grey": 1},
        "rows": [{"tensor": "generated", "size": [64, 64], "max_abs": 0.001, "max_grey": 0}],
    }
    save_manifest(folder, document)
    return folder


def collected(made, **changes):
    parts = {
        "run_dir": made / "run",
        "bundle_dir": made / "bundle",
        "dataset_dir": made / "dataset",
        "profile_json": made / "profile.json",
        "data_root": made / "data",
    }
    return collect_report(**{**parts, **changes})


def test_a_whole_run_fills_every_section(made):
    data = collected(made, commands=["ali-aug train data"])
    html = render_report(data)
    for title in ("Pictures", "Kept", "Training", "Parity", "Latency", "Commands", "Provenance"):
        assert f">{title}" in html
    assert data.notes == ()
    assert data.facts[0] == ("Model", "test-bundle, light conditioning, fp32")


def test_a_row_shows_good_mask_generated_difference_and_the_whole_photo(made):
    row = collected(made).classes[0].rows[0]
    assert [p.title for p in row.pictures] == [
        "good", "mask", "generated", "difference ×4", "whole photo",
    ]  # fmt: skip
    assert {(p.width, p.height) for p in row.pictures[:4]} == {(64, 64)}
    assert (row.pictures[4].width, row.pictures[4].height) == (112, 96)


def test_real_training_defects_stand_beside_at_the_same_size(made):
    data = collected(made)
    assert [entry.defect_class for entry in data.classes] == list(CLASSES)
    for entry in data.classes:
        assert entry.real
        assert {(p.width, p.height) for p in entry.real} == {(64, 64)}


def test_the_counts_add_up_to_the_requests(made):
    counts = collected(made).counts
    assert sum(sum(of_class.values()) for of_class in counts.values()) == 6


def test_curves_are_the_logged_values_without_step_and_seconds(made):
    assert [curve.name for curve in collected(made).curves] == ["loss", "l1"]


def test_drawn_surfaces_are_drawn_again(made, tmp_path):
    bundle = load_bundle(made / "bundle")
    settings = RunSettings(count=2, labels=(), procedural_hw=(80, 96))
    generate_dataset(bundle, settings, tmp_path / "drawn")
    data = collect_report(dataset_dir=tmp_path / "drawn")
    assert data.notes == ()
    assert data.classes[0].rows[0].pictures[0].title == "good"


@pytest.mark.parametrize("given", ["run_dir", "bundle_dir", "dataset_dir", "profile_json"])
def test_each_part_stands_alone(made, given):
    names = ("run_dir", "bundle_dir", "dataset_dir", "profile_json")
    missing = {name: None for name in names if name != given}
    assert "<h2" in render_report(collected(made, **missing))


def test_the_same_folders_give_the_same_bytes(made):
    assert render_report(collected(made)) == render_report(collected(made))


def test_rejected_samples_are_counted_with_their_reason(tmp_path):
    lines = [
        {"status": "rejected", "defect_class": "crack", "reason": "empty insertion: change 1.2"},
        {"status": "rejected", "defect_class": "crack", "reason": "empty insertion: change 0.7"},
        {"status": "failed", "defect_class": "stain", "reason": "NaN"},
    ]
    (tmp_path / "samples.jsonl").write_text("".join(json.dumps(x) + "\n" for x in lines))
    data = collect_report(dataset_dir=tmp_path)
    assert data.reasons == (("empty insertion", 2), ("NaN", 1))
    assert data.counts["crack"] == {"kept": 0, "rejected": 2, "failed": 0}


@pytest.fixture
def command():
    app = typer.Typer(cls=ErrorBoundary, pretty_exceptions_enable=False)
    app.command("report")(report)
    app.callback()(lambda: None)
    return lambda *arguments: CliRunner().invoke(app, ["report", *map(str, arguments)])


def test_the_command_writes_one_file_with_the_commands_in_order(command, made, tmp_path):
    out = tmp_path / "out/report.html"
    result = command(
        "--run", made / "run", "--bundle", made / "bundle", "--dataset", made / "dataset",
        "--profile", made / "profile.json", "--data", made / "data",
        "--commands", made / "commands.txt", "--out", out,
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    assert result.stdout.startswith(f"saved {out} (")
    html = out.read_text()
    assert html.index("ali-aug train data") < html.index("ali-aug export run")
    assert "the demo" not in html
    assert list(out.parent.iterdir()) == [out]


def test_samples_of_a_photo_whose_name_is_no_text_are_shown(command, made, tmp_path):
    dataset, out = tmp_path / "dataset", tmp_path / "report.html"
    shutil.copytree(made / "dataset", dataset)
    records = [json.loads(line) for line in (dataset / "samples.jsonl").read_text().splitlines()]
    for record in records:
        record |= {"source_image": "part_\udcff.png", "reason": record["reason"] and "\udcff"}
    (dataset / "samples.jsonl").write_text("".join(json.dumps(r) + "\n" for r in records))
    result = command("--dataset", dataset, "--images", made / "data/train/good", "-o", out)
    assert (result.exit_code, result.stderr) == (0, "")
    assert r"000000 · part_\udcff.png" in out.read_text(encoding="utf-8")


def test_nothing_to_report_is_a_usage_error(command):
    result = command()
    assert result.exit_code == 2
    assert "--dataset" in result.stderr


def test_what_is_no_profile_is_one_clear_line_and_no_file(command, made, tmp_path):
    out = tmp_path / "r.html"
    result = command("--profile", made / "dataset/summary.json", "-o", out)
    assert result.exit_code == 1
    assert "is not a profile of ali-aug" in result.stderr
    assert result.stderr.count("\n") == 1
    assert not out.exists()


def test_a_run_folder_that_is_not_there_is_one_clear_line(command, tmp_path):
    result = command("--run", tmp_path / "gone", "-o", tmp_path / "r.html")
    assert result.exit_code == 1
    assert "is not a folder" in result.stderr
    assert not (tmp_path / "r.html").exists()
