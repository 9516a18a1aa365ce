"""An output folder that was damaged since: made again where unfinished, else one clear line."""

from __future__ import annotations

import dataclasses
import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from aliaug_edge.bundle import Bundle
from aliaug_edge.errors import BundleError, DataError, OutputError
from aliaug_edge.generation.request import RunSettings
from aliaug_edge.generation.run import generate_dataset
from aliaug_edge.report.read import read_records

SETTINGS = RunSettings(count=3, seed=3, engine="onnxruntime-cpu", labels=("coco", "yolo", "mvtec"))
CHECKED = (
    *("index", "status", "reason", "defect_class", "engine"),
    *("source_image", "source_sha256", "image", "mask"),
)


@pytest.fixture
def finished(bundle: Bundle, good_dir: Path, tmp_path: Path) -> Path:
    generate_dataset(bundle, SETTINGS, tmp_path / "out", good_dir)
    return tmp_path / "out"


@pytest.mark.parametrize("key", CHECKED)
def test_a_line_with_a_wrong_value_is_named_with_what_was_expected(
    finished: Path, bundle: Bundle, good_dir: Path, key: str
) -> None:
    path = finished / "samples.jsonl"
    first, *others = path.read_text().splitlines()
    for wrong in ("removed", 1.5, [], {"a": 1}):
        record: dict[str, Any] = json.loads(first)
        if wrong == "removed":
            del record[key]
        else:
            record[key] = wrong
        path.write_text("\n".join([json.dumps(record), *others]) + "\n")
        said = rf"samples\.jsonl is missing or damaged \({key}.* expected .*; remove the folder"
        with pytest.raises(OutputError, match=said):
            generate_dataset(bundle, SETTINGS, finished, good_dir)


@pytest.mark.parametrize("kind", ["images", "masks"])
@pytest.mark.parametrize("left", [0, 100])
def test_a_finished_folder_with_a_file_that_was_cut_off_is_not_called_complete(
    finished: Path, bundle: Bundle, good_dir: Path, kind: str, left: int
) -> None:
    path = min((finished / kind).iterdir())
    os.truncate(path, left)
    with pytest.raises(OutputError, match=f"{path} was cut off in the finished dataset; put it"):
        generate_dataset(bundle, SETTINGS, finished, good_dir)


@pytest.mark.parametrize(
    "lost",
    ["annotations/instances.json", "data.yaml", "mvtec/generated/split.json", "contact_sheet.png"],
)
def test_a_finished_folder_that_lost_its_labels_is_not_called_complete(
    finished: Path, bundle: Bundle, good_dir: Path, lost: str
) -> None:
    (finished / lost).unlink()
    with pytest.raises(OutputError, match=f"{lost} is gone from the finished dataset; put it back"):
        generate_dataset(bundle, SETTINGS, finished, good_dir)


def test_what_was_cut_off_in_an_unfinished_run_is_made_again(
    finished: Path, bundle: Bundle, good_dir: Path, tmp_path: Path, hash_of: Any
) -> None:
    """As after a power failure: names are on the disk, the bytes behind them are not."""
    out = tmp_path / "other"

    def stop(requested: int, done: int) -> None:
        if done == requested:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        generate_dataset(bundle, SETTINGS, out, good_dir, progress=stop)
    os.truncate(out / "images/000000.png", 0)
    os.truncate(out / "masks/000001.png", 60)
    (out / ".records/000002.json").write_text('{"image": null}')
    generate_dataset(bundle, SETTINGS, out, good_dir)
    assert hash_of(out) == hash_of(finished)


def test_an_engine_that_does_not_start_keeps_no_other_request_out(
    finished: Path, bundle: Bundle, good_dir: Path, tmp_path: Path, hash_of: Any
) -> None:
    """The mended bundle is another one."""
    out = tmp_path / "other"
    broken = dataclasses.replace(bundle, sha256="0" * 64)
    path = tmp_path / "broken.onnx"
    path.write_bytes(b"no graph")
    graph = dataclasses.replace(bundle.graphs["generator"], path=str(path))
    broken = dataclasses.replace(broken, graphs={**bundle.graphs, "generator": graph})
    with pytest.raises(BundleError, match="cannot be loaded"):
        generate_dataset(broken, SETTINGS, out, good_dir)
    assert list(out.iterdir()) == []
    generate_dataset(bundle, SETTINGS, out, good_dir)
    assert hash_of(out) == hash_of(finished)


@pytest.mark.parametrize("text", ["", "[]", "{", '{"a": ' * 100_000])
def test_a_request_that_cannot_be_read_is_one_line(
    finished: Path, bundle: Bundle, good_dir: Path, text: str
) -> None:
    (finished / "request.json").write_text(text)
    with pytest.raises(
        OutputError, match=r"request\.json cannot be read .*; choose another folder"
    ):
        generate_dataset(bundle, SETTINGS, finished, good_dir)


def test_a_line_break_of_another_script_in_a_file_name_breaks_no_line(
    bundle: Bundle, tmp_path: Path
) -> None:
    images, out = tmp_path / "images", tmp_path / "out"
    images.mkdir()
    pixels = np.random.default_rng(0).integers(90, 140, (64, 64), dtype=np.uint8)
    Image.fromarray(pixels).save(images / "part\u2028one\x85.png")
    generate_dataset(bundle, SETTINGS, out, images)
    assert generate_dataset(bundle, SETTINGS, out, images).requested == 3  # already complete
    assert {r["source_image"] for r in read_records(out)} == {"part\u2028one\x85.png"}


def test_a_photo_that_is_called_like_a_drawn_surface_is_refused(
    bundle: Bundle, good_dir: Path, tmp_path: Path
) -> None:
    min(good_dir.iterdir()).rename(good_dir / "procedural:5.png")
    with pytest.raises(DataError, match=r"'procedural:5\.png' begins with .*; rename the file"):
        generate_dataset(bundle, SETTINGS, tmp_path / "out", good_dir)
    assert not (tmp_path / "out").exists()


def test_an_output_folder_that_is_a_link_to_itself_is_one_line(
    bundle: Bundle, good_dir: Path, tmp_path: Path
) -> None:
    loop = tmp_path / "loop"
    loop.symlink_to(loop)
    for out in (loop, loop / "out"):
        with pytest.raises(OutputError, match="choose another output folder"):
            generate_dataset(bundle, SETTINGS, out, good_dir)
