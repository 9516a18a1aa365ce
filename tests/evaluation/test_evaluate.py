"""A whole evaluation on photos and networks as small as they can be: every part is the real one."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from support.bases import write_base, write_dataset
from support.commands import run_command

from aliaug_edge import files, lock
from aliaug_edge.cli.evaluate import evaluate as command
from aliaug_edge.data.procedural import render_pair
from aliaug_edge.errors import AliAugError, DataError, OutputError
from aliaug_edge.evaluation import detecting
from aliaug_edge.evaluation import run as running
from aliaug_edge.evaluation.detecting import shrunk
from aliaug_edge.evaluation.folds import evaluation_folds
from aliaug_edge.evaluation.photos import Photo
from aliaug_edge.evaluation.protocol import EvaluationSettings
from aliaug_edge.evaluation.results import load_run, run_path
from aliaug_edge.evaluation.run import evaluate

PLAIN = ("none", "classic", "copy-paste-1x")


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> Path:
    root = write_dataset(tmp_path_factory.mktemp("data") / "parts", defects=4, goods=6)
    (root / "test" / "good").mkdir()
    for index in range(3):
        surface = render_pair(900 + index, 96, 128).good
        Image.fromarray(surface).save(root / "test" / "good" / f"{index:03d}.png")
    return root


@pytest.fixture(scope="module")
def settings(data) -> EvaluationSettings:
    return EvaluationSettings(
        data=data, conditions=PLAIN, seeds=2, exchange=False, detector_steps=2, generator_steps=2
    )


def quietly(line: str) -> None:
    del line


@pytest.fixture(scope="module")
def finished(settings, tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("out") / "evaluation"
    evaluate(settings, out, workers=1, say=quietly)
    return out


def contents(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def test_everything_that_the_folder_promises_is_there(finished):
    names = set(contents(finished))
    assert {"protocol.json", "results.json", "table.txt", "report.html"} <= names
    runs = {f"runs/fold-0/{name}/seed-{seed}.json" for name in PLAIN for seed in (0, 1)}
    assert runs <= names


def test_each_run_scores_every_test_photo_once(finished):
    protocol = json.loads((finished / "protocol.json").read_text())
    fold = protocol["folds"][0]
    expected = sorted(row["name"] for row in [*fold["test"], *fold["test_good"]])
    for name in PLAIN:
        run = load_run(run_path(finished, 0, name, 1))
        assert sorted(image.name for image in run.images) == expected
        assert run.failed is None
        assert all((image.ap is None) == (image.defect_class == "good") for image in run.images)


def test_what_should_be_known_of_the_data_is_said_and_declared(settings, tmp_path, monkeypatch):
    monkeypatch.setattr(running, "MOST_TEST_GOODS", 2)
    said: list[str] = []
    with pytest.raises(OutputError), lock.exclusive(tmp_path / "out"):  # stops where it would begin
        evaluate(settings, tmp_path / "out", workers=1, say=said.append)
    assert any(line.startswith("note: no split.json: 70%") for line in said)
    assert "note: fold 0: 2 of 3 good photos are tried on" in said


def test_notes_stand_in_the_protocol_without_the_machine_s_paths(finished, data):
    notes = json.loads((finished / "protocol.json").read_text())["notes"]
    assert any(note.startswith("no split.json: 70%") for note in notes)
    assert not any(str(data) in note for note in notes)


def test_no_train_photo_is_tried_on(finished):
    fold = json.loads((finished / "protocol.json").read_text())["folds"][0]
    learned = {row["group"] for row in [*fold["train"], *fold["train_good"]]}
    tried = {row["group"] for row in [*fold["test"], *fold["test_good"]]}
    assert not learned & tried
    assert fold["train"]
    assert fold["test"]


def test_an_evaluation_that_was_cut_short_goes_on_to_the_same_bytes(finished, settings, tmp_path):
    out = tmp_path / "evaluation"
    shutil.copytree(finished, out)
    whole = contents(out)
    run_path(out, 0, "classic", 1).unlink()
    shutil.rmtree(out / "pools" / "fold-0" / "copy-paste")
    run_path(out, 0, "copy-paste-1x", 0).unlink()
    (out / "results.json").unlink()
    evaluate(settings, out, workers=1, say=quietly)
    assert contents(out) == whole


def test_what_is_there_is_not_made_again(finished, settings, tmp_path, monkeypatch):
    out = tmp_path / "evaluation"
    shutil.copytree(finished, out)

    def never(piece):
        raise AssertionError(f"trained {piece.condition.name} again")

    monkeypatch.setattr(detecting, "train_and_score", never)
    evaluate(settings, out, workers=1, say=quietly)


def test_two_processes_give_the_bytes_of_one(finished, settings, tmp_path):
    out = tmp_path / "evaluation"
    shutil.copytree(finished, out)
    whole = contents(out / "runs")
    shutil.rmtree(out / "runs")
    evaluate(settings, out, workers=2, say=quietly)
    assert contents(out / "runs") == whole


def test_another_protocol_in_the_same_folder_is_refused(finished, settings):
    with pytest.raises(OutputError, match=r"begun with another protocol \(detector differ\)"):
        evaluate(replace(settings, detector_steps=3), finished, workers=1, say=quietly)


def test_photos_that_changed_since_the_protocol_are_refused(finished, settings, data, tmp_path):
    other = tmp_path / "parts"
    shutil.copytree(data, other)
    photo = next((other / "test" / "crack").glob("*.png"))
    pixels = np.asarray(Image.open(photo)).copy()
    pixels[0, 0] ^= 1
    Image.fromarray(pixels).save(photo)
    with pytest.raises(OutputError, match="folds differ"):
        evaluate(replace(settings, data=other), finished, workers=1, say=quietly)


def test_a_new_file_that_nobody_reads_does_not_stop_an_evaluation_from_going_on(
    finished, settings, data, tmp_path
):
    other, out = tmp_path / "parts", tmp_path / "evaluation"
    shutil.copytree(data, other)
    shutil.copytree(finished, out)
    (other / "train" / "readme.txt").write_text("mine")
    evaluate(replace(settings, data=other), out, workers=1, say=quietly)
    assert contents(out) == contents(finished)


def test_a_folder_with_something_else_in_it_is_left_alone(settings, tmp_path):
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(OutputError, match="is not an evaluation"):
        evaluate(settings, tmp_path, workers=1, say=quietly)
    assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]


def test_a_test_photo_under_another_name_among_the_train_photos_is_refused(
    settings, data, finished, tmp_path
):
    leaky = tmp_path / "parts"
    shutil.copytree(data, leaky)
    fold = json.loads((finished / "protocol.json").read_text())["folds"][0]
    stolen, victim = data / fold["test"][0]["name"], leaky / fold["train_good"][0]["name"]
    Image.open(stolen).save(victim.with_suffix(".jpg"), quality=80)
    victim.with_suffix(".jpg").rename(victim)
    with pytest.raises(DataError, match="is train photo"):
        evaluate(replace(settings, data=leaky), tmp_path / "out", workers=1, say=quietly)
    assert not (tmp_path / "out").exists()


def test_a_detector_that_diverges_is_a_result_and_the_others_go_on(settings, tmp_path, monkeypatch):
    from aliaug_edge.evaluation.detector.base import DetectorDivergedError

    whole = detecting._detector

    def fragile(chosen):
        train = whole(chosen)

        def diverging(lesson, seed, progress=None):
            if not lesson.augment:
                raise DetectorDivergedError("diverged before step 50: loss nan")
            return train(lesson, seed, progress)

        return diverging

    monkeypatch.setattr(detecting, "_detector", fragile)
    document = evaluate(replace(settings, seeds=1), tmp_path / "out", workers=1, say=quietly)
    failed = load_run(run_path(tmp_path / "out", 0, "none", 0))
    assert failed.failed == "diverged before step 50: loss nan"
    assert failed.images == ()
    assert "diverged" in files.json_text(document)


def test_without_a_generator_all_else_is_done_and_reported_and_the_rest_when_there_is_one(
    settings, tmp_path
):
    base, out = tmp_path / "base", tmp_path / "out"
    base.mkdir()
    chosen = replace(
        settings,
        conditions=("classic", "copy-paste-1x", "nas-text-1x"),
        seeds=1,
        base=str(base),
        quick=True,
    )
    with pytest.raises(AliAugError, match=r"generated-text-feather of fold 0: base .*start again"):
        evaluate(chosen, out, workers=1, say=quietly)
    document = json.loads((out / "results.json").read_text())
    levels = {row["name"]: row["ap"] for row in document["conditions"]}
    assert levels["classic"] and levels["copy-paste-1x"] and levels["nas-text-1x"] is None
    (discarded,) = document["discarded"]
    assert discarded["why"].startswith("no pool: base ")
    assert "no pool: base" in (out / "report.html").read_text()
    write_base(base)
    before = contents(out / "runs" / "fold-0" / "classic")
    again = evaluate(chosen, out, workers=1, say=quietly)
    assert not again["discarded"]
    assert {row["name"]: row["runs"]["done"] for row in again["conditions"]}["nas-text-1x"] == 1
    assert contents(out / "runs" / "fold-0" / "classic") == before


def test_a_bundle_cannot_serve_two_folds(settings, tmp_path):
    chosen = replace(settings, bundle=tmp_path, exchange=True)
    with pytest.raises(AliAugError, match="give --folds 1"):
        evaluate(chosen, tmp_path / "out", workers=1, say=quietly)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"seeds": 0}, "--seeds 0: expected at least 1"),
        ({"detector_steps": 0}, "--detector-steps 0: expected at least 1"),
        ({"detector": "oracle"}, "expected one of unet, ultralytics"),
        ({"longest": 8}, "--longest 8: expected at least 64 pixels"),
    ],
)
def test_settings_out_of_range_are_one_line(settings, changes, message):
    with pytest.raises(AliAugError, match=message):
        replace(settings, **changes)


def test_large_photos_are_shrunk_with_their_masks():
    image = np.zeros((400, 200, 3), np.uint8)
    mask = np.zeros((400, 200), np.uint8)
    mask[100:200, 50:150] = 255
    small = shrunk(Photo("p", image, mask, "crack", "g"), 100)
    assert small.image.shape == (100, 50, 3)
    assert small.mask.shape == (100, 50)
    assert (small.mask > 0).mean() == pytest.approx((mask > 0).mean(), abs=0.02)
    assert shrunk(small, 100) is small


def test_our_generator_is_trained_on_the_train_side_and_evaluated(data, tmp_path):
    base = write_base(tmp_path / "base")
    settings = EvaluationSettings(
        data=data,
        conditions=("classic", "nas-text-1x", "nas-text-1x-none"),
        seeds=1,
        exchange=False,
        detector_steps=2,
        generator_steps=2,
        base=str(base),
    )
    out = tmp_path / "out"
    document = evaluate(settings, out, workers=1, say=quietly)
    fold = json.loads((out / "protocol.json").read_text())["folds"][0]
    learned = out / "generators" / "fold-0" / "text" / "run"
    from aliaug_edge.bundle import load_bundle

    known = load_bundle(out / "generators" / "fold-0" / "text" / "bundle").training_photos()
    assert known is not None
    tried = {Path(row["name"]).as_posix() for row in fold["test"]}
    assert not tried & set(known.names)
    assert learned.is_dir()
    assert document["conditions"]


def test_a_second_evaluation_in_the_same_folder_is_refused_while_the_first_runs(settings, tmp_path):
    with (
        lock.exclusive(tmp_path / "out"),
        pytest.raises(OutputError, match="another run is writing to"),
    ):
        evaluate(settings, tmp_path / "out", workers=1, say=quietly)
    assert not list((tmp_path / "out").iterdir())


@pytest.mark.parametrize(("free", "workers"), [(None, 6), (1 << 20, 1), (9 << 29, 4), (1 << 40, 6)])
def test_there_are_as_many_workers_as_cores_and_memory_allow(settings, monkeypatch, free, workers):
    folds = evaluation_folds(settings.data, exchange=False)
    monkeypatch.setattr(detecting.os, "sched_getaffinity", lambda _: set(range(6)))
    monkeypatch.setattr(detecting, "_free_bytes", lambda: free)
    assert detecting.default_workers(settings, folds) == workers


def test_free_memory_is_what_the_system_says_and_unknown_where_it_says_nothing(tmp_path):
    path = tmp_path / "meminfo"
    assert detecting._free_bytes(path) is None
    path.write_text("MemTotal: 900 kB\nMemAvailable:   512 kB\n")
    assert detecting._free_bytes(path) == 512 * 1024


def test_the_command_refuses_what_it_cannot_do(data, tmp_path):
    out = tmp_path / "o"
    assert run_command(command, data, "--out", out, "--folds", 3).exit_code == 2
    done = run_command(command, data, "--out", out, "--conditions", "magic")
    assert done.exit_code == 1
    assert done.stderr.startswith("error: --conditions: unknown magic")
    assert not out.exists()
