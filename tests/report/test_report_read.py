import copy
import json

import pytest

from aliaug_edge.errors import DataError
from aliaug_edge.report import collect_report
from aliaug_edge.report.read import read_commands, read_profile, read_records, read_run

STAGE = {"stage": "end_to_end", "count": 3, "cov_percent": None, "gflop": None, "gflops": None}
STAGE |= {f"{name}_ms": 1.5 for name in ("p50", "p90", "p95", "p99", "max", "mean")}
STAGE |= {"share_of_peak": None}
ENGINE = {
    "spec": "onnxruntime-cpu",
    "name": "onnxruntime-cpu",
    "version": None,
    "threads": 1,
    "peak_gflops_f32": 60.0,
    "images_per_s": 9,
    "stages": [STAGE],
    "batches": [{"batch": 1, "images_per_s": 9.0}],
}
PROFILE = {
    "size": [64, 64],
    "machine": {"cpu": None},
    "engines": [ENGINE],
    "peak_rss_mib": None,
    "warnings": [],
}
KEPT = {
    "index": 0,
    "status": "kept",
    "image": "images/000000.png",
    "mask": "masks/000000.png",
    "source_image": "000.png",
    "defect_class": "crack",
    "seed": 7,
    "severity": 1,
    "window": [-3, 0, 64, 64],
    "blend": "feather",
    "scores": {"change_inside": 9.0, "preservation_db": 50.0},
}
FAILED = {"status": "failed", "defect_class": "crack"}


def changed(document, path, *value):
    """`document` with the entry at `path` replaced by `value`, or without it."""
    copied = copy.deepcopy(document)
    *parents, last = path
    place = copied
    for key in parents:
        place = place[key]
    if value:
        place[last] = value[0]
    else:
        del place[last]
    return copied


def write_lines(folder, *records):
    text = "".join(json.dumps(record) + "\n" for record in records)
    (folder / "samples.jsonl").write_text(text)
    return folder


def test_a_profile_with_every_key_is_read(tmp_path):
    path = tmp_path / "profile.json"
    path.write_text(json.dumps(PROFILE))
    assert read_profile(path) == PROFILE
    assert collect_report(profile_json=path).profile == PROFILE


@pytest.mark.parametrize(
    ("document", "said"),
    [
        ({"engines": [{}], "size": [1, 2]}, "machine is missing"),
        ({"requested": 6, "kept": 6}, "size is missing"),
        (changed(PROFILE, ["engines"], [{}]), r"engines\[0\].spec is missing"),
        (changed(PROFILE, ["engines"], []), "no engine"),
        (changed(PROFILE, ["engines", 0, "stages"], []), "one without stages"),
        (changed(PROFILE, ["engines", 0, "stages", 0, "p50_ms"]), r"stages\[0\].p50_ms is missing"),
        (changed(PROFILE, ["engines", 0, "stages", 0, "p50_ms"], "fast"), 'p50_ms is "fast"'),
        (changed(PROFILE, ["engines", 0, "images_per_s"], True), "images_per_s is true"),
        (changed(PROFILE, ["engines"], "all"), "engines is not a list"),
        (changed(PROFILE, ["machine"], None), "machine is null"),
        (changed(PROFILE, ["size"], [1, 2, 3]), "size is not"),
        (changed(PROFILE, ["engines", 0, "gpu"], {}), r"engines\[0\].gpu.queries is missing"),
    ],
)
def test_what_is_no_profile_is_named_with_its_fault(tmp_path, document, said):
    path = tmp_path / "other.json"
    path.write_text(json.dumps(document))
    with pytest.raises(DataError, match=rf"other.json is not a profile of ali-aug \(.*{said}"):
        read_profile(path)


@pytest.mark.parametrize("text", ["", "{", "[1]"])
def test_a_profile_that_is_no_json_object_is_refused(tmp_path, text):
    (tmp_path / "p.json").write_text(text)
    with pytest.raises(DataError, match=r"p\.json.* JSON"):
        read_profile(tmp_path / "p.json")


def test_records_of_every_status_are_read_in_their_order(tmp_path):
    assert read_records(write_lines(tmp_path, FAILED, KEPT)) == [FAILED, KEPT]


@pytest.mark.parametrize(
    ("record", "said"),
    [
        ([1], "expected one JSON object per line"),
        ({"status": "lost", "defect_class": "crack"}, "line 2: expected a status kept"),
        ({"status": "failed"}, "line 2: defect_class is missing"),
        ({"status": "kept", "defect_class": "crack"}, "line 2: index is missing"),
        (changed(KEPT, ["window"], None), "line 2: window is not a list"),
        (changed(KEPT, ["window"], [1, 2]), r"line 2: window is \[1, 2\]"),
        (changed(KEPT, ["window"], [0, 0, 0, 9]), "line 2: window is"),
        (changed(KEPT, ["image"], None), "line 2: image is null"),
        (changed(KEPT, ["scores"], {}), "line 2: scores.change_inside is missing"),
        (changed(KEPT, ["severity"], "high"), "line 2: severity is"),
        (changed(KEPT, ["source_image"], "procedural:x"), "line 2: source_image is procedural:x"),
    ],
)
def test_a_line_that_is_not_as_promised_is_named_with_its_fault(tmp_path, record, said):
    with pytest.raises(DataError, match=said):
        read_records(write_lines(tmp_path, KEPT, record))


def test_lines_that_are_no_json_are_refused(tmp_path):
    (tmp_path / "samples.jsonl").write_text("{not json}\n")
    with pytest.raises(DataError, match="cannot be read as JSON lines"):
        read_records(tmp_path)


def test_an_unfinished_dataset_says_how_to_finish_it(tmp_path):
    (tmp_path / "request.json").write_text("{}")
    with pytest.raises(DataError, match="is unfinished: run the same ali-aug generate again"):
        read_records(tmp_path)


def test_a_folder_that_is_no_dataset_says_so(tmp_path):
    with pytest.raises(DataError, match=r"has no samples\.jsonl; give a folder"):
        read_records(tmp_path)


@pytest.mark.parametrize("folder", ["", "gone"])
def test_any_folder_is_not_a_run_folder(tmp_path, folder):
    with pytest.raises(DataError, match=r"is not a run folder: it .* `ali-aug train` wrote"):
        read_run(tmp_path / folder)


def test_a_run_that_logged_nothing_yet_is_a_run(tmp_path):
    (tmp_path / "config.json").write_text('{"steps": 8}')
    assert read_run(tmp_path) == ({"steps": 8}, [])


def test_a_log_line_without_its_step_is_refused(tmp_path):
    (tmp_path / "metrics.jsonl").write_text('{"step": 1, "loss": 2.0}\n{"loss": 1.0}\n')
    with pytest.raises(DataError, match=r"metrics\.jsonl, line 2: step is missing"):
        read_run(tmp_path)


def test_commands_are_the_lines_that_are_no_comments(tmp_path):
    (tmp_path / "c.txt").write_text("# the demo\nali-aug train data\n\n  ali-aug export run\n")
    assert read_commands(tmp_path / "c.txt") == ("ali-aug train data", "ali-aug export run")
