"""Groups files: which photos show the same part."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from aliaug_edge.data.groups import assign_groups, crossing_groups
from aliaug_edge.data.samples import Sample
from aliaug_edge.errors import DataError


@pytest.fixture
def data(tmp_path: Path) -> tuple[Path, list[Sample]]:
    root = tmp_path / "product"
    root.mkdir()
    names = ("test/crack/a.png", "test/crack/b.png", "test/pit/c.png")
    return root, [Sample(root / n, None, n.split("/")[1], n, "train") for n in names]


Data = tuple[Path, list[Sample]]


def groups_of(samples: list[Sample]) -> list[str]:
    return [s.group for s in samples]


def test_by_default_every_file_is_its_own_group(data: Data) -> None:
    samples, problems, notes = assign_groups(*data, None)
    assert groups_of(samples) == ["test/crack/a.png", "test/crack/b.png", "test/pit/c.png"]
    assert problems == notes == []


def test_a_csv_file_in_the_folder_is_found(data: Data) -> None:
    root, samples = data
    lines = "file,group\ntest/crack/a.png,p1\ntest/crack/b.png,p1\ntest/pit/c.png,p2\n"
    (root / "groups.csv").write_text("\ufeff" + lines, encoding="utf-8")
    grouped, problems, notes = assign_groups(root, samples, None)
    assert groups_of(grouped) == ["p1", "p1", "p2"]
    assert problems == notes == []


@pytest.mark.parametrize("shape", ["object", "list", "manifest"])
@pytest.mark.parametrize("prefix", ["", "./", "product/", "old_name/"])
def test_json_files_of_three_shapes_are_read(data: Data, shape: str, prefix: str) -> None:
    root, samples = data
    groups = {f"{prefix}test/crack/a.png": "p1", f"{prefix}test/crack/b.png": 7}
    rows = [{"file": file, "group": group} for file, group in groups.items()]
    document = {"object": groups, "list": rows, "manifest": {"items": rows, "version": 1}}[shape]
    path = root.parent / "parts.json"
    path.write_text(json.dumps(document))
    grouped, problems, notes = assign_groups(root, samples, path)
    assert groups_of(grouped) == ["p1", "7", "test/pit/c.png"]
    assert problems == []
    assert len(notes) == 1
    assert "1 images are not in" in notes[0]
    assert "test/pit/c.png" in notes[0]


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("g.csv", "path,part\na,b\n", "not a groups file.*found columns path, part"),
        ("g.csv", "", "not a groups file.*found columns none"),
        ("g.csv", "file,group\ntest/crack/a.png,\n", "empty field"),
        ("g.csv", "file,group\ntest/crack/a.png\n", "empty field as its group"),
        ("g.csv", "file,group\n ,p1\n", "empty field as its file"),
        ("g.json", '{"test/crack/a.png": null}', "empty field as its group"),
        ("g.json", '{"test/crack/a.png": true}', "has True as its group"),
        ("g.json", '{"test/crack/a.png": ["p"]}', "as its group"),
        ("g.json", '[{"file": null, "group": "p"}]', "empty field as its file"),
        ("g.json", "{", "not a groups file"),
        ("g.json", "3", "neither an object nor a list"),
        ("g.json", '["a"]', "not a groups file"),
        ("g.json", '[{"file": "a"}]', "not a groups file"),
        ("g.csv", "file,group\nelsewhere.png,p1\n", "names none of the images"),
        ("g.csv", "file,group\ntest/pit/c.png,1\ntest/pit/c.png,2\n", "into two groups: 1 and 2"),
    ],
)
def test_an_unusable_groups_file_is_one_clear_error(
    data: Data, name: str, text: str, message: str
) -> None:
    root, samples = data
    (root / name).write_text(text)
    with pytest.raises(DataError, match=message):
        assign_groups(root, samples, root / name)


def test_blanks_around_fields_and_columns_are_no_part_of_them(data: Data) -> None:
    root, samples = data
    lines = "file, group\ntest/crack/a.png, p1\ntest/crack/b.png ,p1 \ntest/pit/c.png,p2\n"
    (root / "groups.csv").write_text(lines)
    assert groups_of(assign_groups(root, samples, None)[0]) == ["p1", "p1", "p2"]


def test_a_row_for_a_file_that_does_not_exist_is_a_problem(data: Data) -> None:
    root, samples = data
    names = ["test/crack/a.png", "test/crack/B.png", "x1.png", "x2.png", "x3.png"]
    (root / "groups.json").write_text(json.dumps(dict.fromkeys(names, "p1")))
    _, (problem,), _ = assign_groups(root, samples, None)
    assert "groups.json names 4 files that are not in" in problem.text
    assert "test/crack/B.png, x1.png, x2.png, …" in problem.text


def test_a_row_for_a_file_that_is_there_but_no_photo_is_none(data: Data) -> None:
    root, samples = data
    (root / "ground_truth").mkdir()
    (root / "ground_truth" / "a_mask.png").touch()
    rows = {"test/crack/a.png": "p1", "product/ground_truth/a_mask.png": "p1"}
    (root / "groups.json").write_text(json.dumps(rows))
    assert assign_groups(root, samples, None)[1] == []


def test_accents_may_be_stored_composed_or_apart(tmp_path: Path) -> None:
    sample = Sample(tmp_path / "fe\u0301lure.png", None, "good", "own", "train")
    (tmp_path / "groups.json").write_text(json.dumps({"f\u00e9lure.png": "p1"}))
    grouped, problems, notes = assign_groups(tmp_path, [sample], None)
    assert (groups_of(grouped), problems, notes) == (["p1"], [], [])


def test_a_missing_groups_file_is_refused(data: Data) -> None:
    with pytest.raises(DataError, match=r"gone\.csv cannot be read: No such file"):
        assign_groups(*data, Path("gone.csv"))


def test_two_groups_files_are_ambiguous(data: Data) -> None:
    root, samples = data
    (root / "groups.csv").touch()
    (root / "groups.json").touch()
    with pytest.raises(DataError, match=r"groups\.csv and .*groups\.json both give groups"):
        assign_groups(root, samples, None)


def test_a_group_on_both_sides_is_named_with_an_image_of_each() -> None:
    samples = [
        Sample(Path("a.png"), None, "good", "p1", "train"),
        Sample(Path("b.png"), None, "good", "p1", "test"),
        Sample(Path("c.png"), None, "good", "p2", "test"),
    ]
    assert crossing_groups(samples) == [
        "group p1 lies in both splits: b.png (test) and a.png (train)"
    ]
