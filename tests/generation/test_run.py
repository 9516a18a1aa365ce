"""A whole run: what it writes, what it refuses, and that its counts add up."""

from __future__ import annotations

import hashlib
import json
import os
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from aliaug_edge import __version__, imaging
from aliaug_edge.bundle import load_bundle
from aliaug_edge.engines import open_engine
from aliaug_edge.engines.installed import version_of
from aliaug_edge.errors import AliAugError, BundleError, DataError, OutputError
from aliaug_edge.generation.plan import plan_run
from aliaug_edge.generation.request import RunSettings
from aliaug_edge.generation.run import generate_dataset
from tests.support.bundles import make_bundle

SETTINGS = RunSettings(count=8, seed=3, engine="onnxruntime-cpu", labels=("coco", "yolo"))


def lines(out: Path) -> list[dict]:
    return [json.loads(line) for line in (out / "samples.jsonl").read_text().splitlines()]


def test_every_request_is_a_line_and_the_counts_add_up(bundle, good_dir, tmp_path):
    out = tmp_path / "out"
    summary = generate_dataset(bundle, SETTINGS, out, good_dir)
    records = lines(out)
    assert [r["index"] for r in records] == list(range(8))
    assert summary.requested == 8 == summary.kept + summary.rejected + summary.failed
    assert summary.kept > 0
    for record in records:
        assert (record["image"] is not None) == (record["status"] == "kept")
        assert record["bundle_sha256"] == bundle.sha256
        assert record["engine"] == "onnxruntime-cpu"
        assert record["precision"] == "fp32"
        assert set(record["scores"]) == {
            "change_inside",
            "change_least",
            "change_outside",
            "preservation_db",
            "contrast_to_texture",
        }
    assert not list(out.rglob(".*"))


@pytest.fixture
def lit_from_one_side(tmp_path: Path) -> tuple[Path, np.ndarray]:
    """Photos of a rough part on a backdrop whose light falls off, and where the part is."""
    folder, (y, x) = tmp_path / "lit", np.mgrid[:160, :200]
    folder.mkdir()
    part = (abs(y - 80) < 45) & (abs(x - 105) < 60)
    for number in range(3):
        rng = np.random.default_rng(number)
        grain = np.kron(rng.normal(90, 25, (40, 50)), np.ones((4, 4)))
        values = np.where(part, grain, 210 - 0.4 * x) + rng.normal(0, 2, part.shape)
        pixels = np.clip(values, 0, 255).astype(np.uint8)[..., None].repeat(3, axis=2)
        Image.fromarray(pixels).save(folder / f"{number}.png")
    return folder, part


@pytest.mark.parametrize(
    ("learned", "asked", "beside"),
    [
        ("uneven", "learned", False),
        ("plain", "learned", True),
        ("plain", "uneven", False),
        ("uneven", "none", True),
    ],
)
def test_defects_stay_on_the_part_by_the_bundle_s_rule_or_the_one_asked_for(
    bundle, lit_from_one_side, tmp_path, learned, asked, beside
):
    images, part = lit_from_one_side
    settings = replace(SETTINGS, count=16, backdrop=asked, quality="off", area=(0.005, 0.01))
    generate_dataset(replace(bundle, backdrop=learned), settings, tmp_path / "out", images)
    masks = [imaging.load_mask(tmp_path / "out" / r["mask"]) for r in lines(tmp_path / "out")]
    outside = [float((~part)[mask > 0].mean()) for mask in masks]
    assert (max(outside) > 0.5) == beside
    if not beside:
        assert max(outside) < 0.1


def test_a_rule_that_nobody_knows_is_refused_before_anything_is_written(bundle, good_dir, tmp_path):
    with pytest.raises(AliAugError, match="--backdrop must be one of learned, none, plain, uneven"):
        generate_dataset(bundle, replace(SETTINGS, backdrop="velvet"), tmp_path / "out", good_dir)
    assert not (tmp_path / "out").exists()


def test_a_kept_image_differs_from_its_source_only_around_its_mask(bundle, good_dir, tmp_path):
    out = tmp_path / "out"
    generate_dataset(bundle, replace(SETTINGS, blend="hard"), out, good_dir)
    for record in (r for r in lines(out) if r["status"] == "kept"):
        source = imaging.load_image(good_dir / record["source_image"])
        image = imaging.load_image(out / record["image"])
        mask = imaging.load_mask(out / record["mask"])
        assert image.shape == source.shape
        assert mask.shape == source.shape[:2]
        padded = np.pad(mask > 0, 1)
        near = np.lib.stride_tricks.sliding_window_view(padded, (3, 3)).any(axis=(2, 3))
        assert np.array_equal(image[~near], source[~near])
        assert not np.array_equal(image[mask > 0], source[mask > 0])
        assert record["area_fraction"] == pytest.approx((mask > 0).mean(), abs=1e-6)
        assert imaging.is_grey(image) == imaging.is_grey(source)


def test_images_are_marked_synthetic(bundle, good_dir, tmp_path):
    out = tmp_path / "out"
    generate_dataset(bundle, SETTINGS, out, good_dir)
    for path in (out / "images").iterdir():
        assert imaging.is_marked_synthetic(path)


def test_equal_settings_give_equal_bytes_and_another_seed_other_ones(
    bundle, good_dir, tmp_path, hash_of
):
    for name, settings in [("a", SETTINGS), ("b", SETTINGS), ("c", replace(SETTINGS, seed=4))]:
        generate_dataset(bundle, settings, tmp_path / name, good_dir)
    assert hash_of(tmp_path / "a") == hash_of(tmp_path / "b") != hash_of(tmp_path / "c")


def test_a_sample_does_not_depend_on_how_many_others_are_made(bundle, good_dir, tmp_path):
    generate_dataset(bundle, SETTINGS, tmp_path / "few", good_dir)
    generate_dataset(bundle, replace(SETTINGS, count=12), tmp_path / "many", good_dir)
    few, many = lines(tmp_path / "few"), lines(tmp_path / "many")
    assert few == many[:8]
    for record in few:
        if record["image"]:
            path = record["image"]
            assert (tmp_path / "few" / path).read_bytes() == (tmp_path / "many" / path).read_bytes()


def test_a_finished_run_started_again_changes_nothing(bundle, good_dir, tmp_path, hash_of):
    out = tmp_path / "out"
    first = generate_dataset(bundle, SETTINGS, out, good_dir)
    before = hash_of(out)
    again = generate_dataset(bundle, SETTINGS, out, good_dir)
    assert hash_of(out) == before
    assert (again.kept, again.rejected, again.failed) == (first.kept, first.rejected, first.failed)


def test_masks_from_files_are_used_as_they_are(bundle, good_dir, masks_dir, tmp_path):
    out = tmp_path / "out"
    generate_dataset(bundle, SETTINGS, out, good_dir, masks_dir)
    for record in (r for r in lines(out) if r["status"] == "kept"):
        name = Path(record["source_image"]).stem + "_mask.png"
        assert record["mask_source"] == f"file:{name}"
        assert np.array_equal(
            imaging.load_mask(out / record["mask"]), imaging.load_mask(masks_dir / name)
        )


def test_surfaces_are_drawn_when_there_are_no_images(bundle, tmp_path):
    out = tmp_path / "out"
    settings = replace(SETTINGS, count=3, procedural_hw=(96, 96), area=(0.01, 0.05))
    generate_dataset(bundle, settings, out)
    for record in lines(out):
        assert record["source_image"].startswith("procedural:")
        if record["status"] == "kept":
            assert imaging.load_image(out / record["image"]).shape == (96, 96, 3)
            assert 0.008 <= record["area_fraction"] <= 0.06


def test_a_corrupt_image_fails_its_requests_and_not_the_run(bundle, good_dir, tmp_path):
    (good_dir / "part_2.png").write_bytes((good_dir / "part_2.png").read_bytes()[:200])
    out = tmp_path / "out"
    summary = generate_dataset(bundle, replace(SETTINGS, count=12), out, good_dir)
    bad = [r for r in lines(out) if r["source_image"] == "part_2.png"]
    assert summary.failed == len(bad) == 2
    assert all(r["status"] == "failed" and "part_2.png" in r["reason"] for r in bad)
    assert all(r["tries"] == 1 and r["image"] is None for r in bad)
    assert summary.requested == summary.kept + summary.rejected + summary.failed


def test_what_is_not_good_enough_is_tried_again_and_then_rejected(bundle, good_dir, tmp_path):
    out = tmp_path / "out"
    settings = replace(SETTINGS, min_change=250.0, retries=3)
    summary = generate_dataset(bundle, settings, out, good_dir)
    assert (summary.kept, summary.rejected) == (0, 8)
    assert all(r["tries"] == 4 and "empty insertion" in r["reason"] for r in lines(out))
    assert not (out / "images").exists()
    assert summary.contact_sheet is None


def test_non_finite_output_never_becomes_pixels(good_dir, tmp_path):
    broken = load_bundle(make_bundle(tmp_path / "nan", gain=float("nan")))
    summary = generate_dataset(broken, SETTINGS, tmp_path / "out", good_dir)
    assert (summary.kept, summary.failed) == (0, 8)
    assert "non-finite" in (summary.first_reason or "")


def test_a_plan_writes_nothing_and_counts(bundle, good_dir, masks_dir, tmp_path):
    before = sorted(tmp_path.rglob("*"))
    plan = plan_run(bundle, SETTINGS, good_dir, masks_dir)
    assert (plan.requested, plan.sources) == (8, 6)
    assert plan.per_class == {"crack": 4, "stain": 4}
    assert plan.per_mask_source == {"file": 8}
    assert plan.estimated_mb > 0
    assert sorted(tmp_path.rglob("*")) == before


def flip_last_byte(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)


def spoil(kind: str, good_dir: Path, masks_dir: Path) -> None:
    mask = masks_dir / "part_0_mask.png"
    if kind == "missing":
        mask.unlink()
    elif kind == "ambiguous":
        (masks_dir / "part_0.png").write_bytes(mask.read_bytes())
    elif kind == "twin":
        (good_dir / "part_0.jpg").write_bytes((good_dir / "part_4.jpg").read_bytes())
    elif kind == "empty":
        Image.new("L", (128, 96)).save(mask)
    elif kind == "full":
        Image.new("L", (128, 96), 255).save(mask)
    elif kind == "size":
        Image.new("L", (96, 128), 255).save(mask)
    elif kind == "zero-byte":
        mask.write_bytes(b"")


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        ("missing", r"no mask for 1 of 6 images: part_0\.png"),
        ("ambiguous", r"ambiguous masks for part_0: part_0\.png, part_0_mask\.png"),
        ("twin", "several images are called part_0"),
        ("empty", r"part_0_mask\.png is empty"),
        ("full", r"part_0_mask\.png is full"),
        ("size", r"part_0_mask\.png is 96 x 128 px, its image is 128 x 96 px"),
        ("zero-byte", r"is empty \(0 bytes\)"),
    ],
)
def test_masks_that_cannot_be_used_are_refused_before_anything_is_written(
    bundle, good_dir, masks_dir, tmp_path, kind, message
):
    spoil(kind, good_dir, masks_dir)
    with pytest.raises(DataError, match=message):
        generate_dataset(bundle, SETTINGS, tmp_path / "out", good_dir, masks_dir)
    assert not (tmp_path / "out").exists()


def test_masks_exclude_an_area_and_need_images(bundle, good_dir, masks_dir):
    with pytest.raises(DataError, match="--area and --masks exclude each other"):
        plan_run(bundle, replace(SETTINGS, area=(0.01, 0.1)), good_dir, masks_dir)
    with pytest.raises(DataError, match="--masks needs --images"):
        plan_run(bundle, SETTINGS, None, masks_dir)


def test_a_missing_or_empty_folder_of_images_is_refused(bundle, tmp_path):
    with pytest.raises(DataError, match="does not exist"):
        generate_dataset(bundle, SETTINGS, tmp_path / "out", tmp_path / "nowhere")
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="holds no images"):
        generate_dataset(bundle, SETTINGS, tmp_path / "out", tmp_path / "empty")
    assert not (tmp_path / "out").exists()


def test_an_unknown_class_is_refused(bundle, good_dir, tmp_path):
    with pytest.raises(BundleError, match="unknown defect class 'rust'"):
        generate_dataset(bundle, replace(SETTINGS, classes=("rust",)), tmp_path / "o", good_dir)


def test_an_unknown_label_format_is_refused_before_anything_is_written(bundle, good_dir, tmp_path):
    with pytest.raises(Exception, match="pascal"):
        generate_dataset(bundle, replace(SETTINGS, labels=("pascal",)), tmp_path / "o", good_dir)
    assert not (tmp_path / "o").exists()


def test_a_folder_that_holds_something_else_is_refused_and_untouched(
    bundle, good_dir, tmp_path, hash_of
):
    out = tmp_path / "out"
    out.mkdir()
    (out / "thesis.tex").write_text("years of work")
    before = hash_of(out)
    with pytest.raises(OutputError, match=r"holds something else \(thesis.tex\)"):
        generate_dataset(bundle, SETTINGS, out, good_dir)
    assert hash_of(out) == before


@pytest.mark.parametrize(
    ("change", "key"),
    [
        ({"seed": 9}, "settings.seed"),
        ({"count": 9}, "settings.count"),
        ({"area": (0.01, 0.1)}, "area"),
    ],
)
def test_another_request_on_the_same_folder_is_refused_by_name(
    bundle, good_dir, tmp_path, hash_of, change, key
):
    out = tmp_path / "out"
    generate_dataset(bundle, SETTINGS, out, good_dir)
    before = hash_of(out)
    with pytest.raises(OutputError, match=f"holds another request: .*{key} was"):
        generate_dataset(bundle, replace(SETTINGS, **change), out, good_dir)
    assert hash_of(out) == before


def test_other_images_or_another_bundle_are_another_request(bundle, good_dir, tmp_path):
    out = tmp_path / "out"
    generate_dataset(bundle, SETTINGS, out, good_dir)
    other = load_bundle(make_bundle(tmp_path / "other", gain=2.0))
    with pytest.raises(OutputError, match=r"bundle\.sha256 was"):
        generate_dataset(other, SETTINGS, out, good_dir)
    (good_dir / "part_0.png").rename(good_dir / "part_9.png")
    with pytest.raises(OutputError, match=r"sources\.sha256 was"):
        generate_dataset(bundle, SETTINGS, out, good_dir)


def test_an_image_of_other_content_and_equal_size_is_noticed_on_a_finished_folder(
    bundle, good_dir, tmp_path, hash_of
):
    out = tmp_path / "out"
    generate_dataset(bundle, SETTINGS, out, good_dir)
    before = hash_of(out)
    flip_last_byte(good_dir / "part_3.png")
    with pytest.raises(DataError, match=r"part_3\.png changed since samples were made from it"):
        generate_dataset(bundle, SETTINGS, out, good_dir)
    assert hash_of(out) == before


def test_a_mask_of_other_content_and_equal_size_is_another_request(
    bundle, good_dir, masks_dir, tmp_path
):
    out = tmp_path / "out"
    generate_dataset(bundle, SETTINGS, out, good_dir, masks_dir)
    mask = masks_dir / "part_1_mask.png"
    size = mask.stat().st_size
    Image.fromarray(np.roll(imaging.load_mask(mask), 3, axis=0)).save(mask)
    assert mask.stat().st_size == size
    with pytest.raises(OutputError, match=r"sources\.sha256 was"):
        generate_dataset(bundle, SETTINGS, out, good_dir, masks_dir)


def test_a_touched_or_copied_source_is_the_same_source(bundle, good_dir, tmp_path, hash_of):
    """Content decides, so a dataset can be continued on another machine."""
    generate_dataset(bundle, SETTINGS, tmp_path / "out", good_dir)
    before = hash_of(tmp_path / "out")
    copied = tmp_path / "copied"
    copied.mkdir()
    for path in good_dir.iterdir():
        (copied / path.name).write_bytes(path.read_bytes())
    generate_dataset(bundle, SETTINGS, tmp_path / "out", copied)
    assert hash_of(tmp_path / "out") == before


def test_every_line_has_the_hash_of_its_source(bundle, good_dir, tmp_path):
    (good_dir / "part_2.png").write_bytes(b"not an image")
    generate_dataset(bundle, SETTINGS, tmp_path / "out", good_dir)
    for record in lines(tmp_path / "out"):
        content = (good_dir / record["source_image"]).read_bytes()
        assert record["source_sha256"] == hashlib.sha256(content).hexdigest()
    generate_dataset(bundle, replace(SETTINGS, count=1), tmp_path / "drawn")
    assert lines(tmp_path / "drawn")[0]["source_sha256"] is None


def test_a_corrupt_image_fails_only_its_requests_with_masks_too(
    bundle, good_dir, masks_dir, tmp_path
):
    for name, length in (("part_2.png", 200), ("part_4.jpg", 0)):
        (good_dir / name).write_bytes((good_dir / name).read_bytes()[:length])
    out = tmp_path / "out"
    summary = generate_dataset(bundle, replace(SETTINGS, count=12), out, good_dir, masks_dir)
    bad = [r for r in lines(out) if r["source_image"] in ("part_2.png", "part_4.jpg")]
    assert summary.failed == len(bad) == 4
    assert all(r["status"] == "failed" and r["source_image"] in r["reason"] for r in bad)


def test_a_file_name_that_is_no_text_is_refused_before_anything_is_written(
    bundle, good_dir, tmp_path
):
    odd = Path(os.fsdecode(os.fsencode(good_dir) + b"/part_\xff.png"))
    odd.write_bytes((good_dir / "part_0.png").read_bytes())
    with pytest.raises(
        DataError, match=r"'part_\\udcff\.png' is not valid UTF-8.*rename"
    ) as caught:
        generate_dataset(bundle, SETTINGS, tmp_path / "out", good_dir)
    str(caught.value).encode()
    assert not (tmp_path / "out").exists()


def test_output_inside_the_input_folder_is_refused(bundle, good_dir):
    with pytest.raises(OutputError, match="lies in the input folder"):
        generate_dataset(bundle, SETTINGS, good_dir / "out", good_dir)
    assert not (good_dir / "out").exists()


def test_an_output_path_that_is_a_file_is_refused(bundle, good_dir, tmp_path):
    (tmp_path / "file").write_text("x")
    with pytest.raises(OutputError, match="Not a directory"):
        generate_dataset(bundle, SETTINGS, tmp_path / "file", good_dir)
    assert (tmp_path / "file").read_text() == "x"


class Stop(Exception):
    """Ends a run in its middle, as Ctrl-C would."""


def begin(bundle, settings: RunSettings, out: Path, good_dir: Path) -> None:
    """A run that ends after its third sample."""

    def stop(requested: int, done: int) -> None:
        del requested
        if done == 3:
            raise Stop

    with pytest.raises(Stop):
        generate_dataset(bundle, settings, out, good_dir, progress=stop)


@pytest.mark.parametrize(
    ("key", "message"),
    [
        ("engine", "was begun with engine 0.0.1, now it is onnxruntime-cpu; "),
        ("aliaug-edge", f"was begun with aliaug-edge 0.0.1, now it is {__version__}; "),
        ("onnxruntime", "was begun with onnxruntime 0.0.1, now it is "),
        ("pillow", "was begun with pillow 0.0.1, now it is "),
        ("tensorrt", "was begun with tensorrt 0.0.1, now it is not there; "),
    ],
)
def test_another_engine_or_version_does_not_continue_a_run(
    bundle, good_dir, tmp_path, hash_of, key, message
):
    out = tmp_path / "out"
    begin(bundle, SETTINGS, out, good_dir)
    path = out / ".records" / "made_by.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), key: "0.0.1"}))
    before = hash_of(out)
    with pytest.raises(OutputError, match=re.escape(message)):
        generate_dataset(bundle, SETTINGS, out, good_dir)
    assert hash_of(out) == before


def test_records_that_do_not_say_what_made_them_are_not_continued(bundle, good_dir, tmp_path):
    out = tmp_path / "out"
    begin(bundle, SETTINGS, out, good_dir)
    (out / ".records" / "made_by.json").write_text("[]")
    with pytest.raises(OutputError, match=r"made_by\.json cannot be read"):
        generate_dataset(bundle, SETTINGS, out, good_dir)


def test_a_finished_dataset_does_not_depend_on_versions(bundle, good_dir, tmp_path):
    out = tmp_path / "out"
    generate_dataset(bundle, SETTINGS, out, good_dir)
    assert version_of("onnxruntime") not in (out / "request.json").read_text()
    assert not list(out.rglob("made_by.json"))


def test_auto_and_the_engine_that_it_takes_are_one_request(bundle, good_dir, tmp_path, hash_of):
    out = tmp_path / "out"
    begin(bundle, replace(SETTINGS, engine="auto"), out, good_dir)
    engine = open_engine(bundle).name
    assert json.loads((out / "request.json").read_text())["settings"]["engine"] == engine
    generate_dataset(bundle, replace(SETTINGS, engine=engine), out, good_dir)
    before = hash_of(out)
    generate_dataset(bundle, replace(SETTINGS, engine="auto"), out, good_dir)
    assert hash_of(out) == before


@pytest.mark.parametrize("kind", ["image", "mask"])
def test_a_finished_folder_that_lost_a_file_is_not_called_complete(
    bundle, good_dir, tmp_path, hash_of, kind
):
    out = tmp_path / "out"
    generate_dataset(bundle, SETTINGS, out, good_dir)
    lost = next(record[kind] for record in lines(out) if record[kind])
    (out / lost).unlink()
    before = hash_of(out)
    with pytest.raises(OutputError, match=f"{lost} is gone from the finished dataset; put it back"):
        generate_dataset(bundle, SETTINGS, out, good_dir)
    assert hash_of(out) == before


def test_a_finished_folder_that_lost_lines_is_not_called_complete(bundle, good_dir, tmp_path):
    out = tmp_path / "out"
    generate_dataset(bundle, SETTINGS, out, good_dir)
    text = (out / "samples.jsonl").read_text()
    (out / "samples.jsonl").write_text("".join(text.splitlines(keepends=True)[:5]))
    with pytest.raises(OutputError, match=r"samples\.jsonl has 5 of 8 samples; remove the folder"):
        generate_dataset(bundle, SETTINGS, out, good_dir)


def test_a_dataset_is_not_assembled_from_fewer_records_than_requests(
    bundle, good_dir, tmp_path, hash_of
):
    generate_dataset(bundle, SETTINGS, tmp_path / "reference", good_dir)
    out = tmp_path / "out"

    def lose(requested: int, done: int) -> None:
        if done == requested:
            (out / ".records" / "000002.json").unlink()

    with pytest.raises(OutputError, match="1 of 8 samples are gone, first 000002"):
        generate_dataset(bundle, SETTINGS, out, good_dir, progress=lose)
    assert not (out / "summary.json").exists()
    generate_dataset(bundle, SETTINGS, out, good_dir)
    assert hash_of(out) == hash_of(tmp_path / "reference")


def test_progress_reaches_the_number_requested(bundle, good_dir, tmp_path):
    seen: list[tuple[int, int]] = []
    generate_dataset(
        bundle,
        SETTINGS,
        tmp_path / "out",
        good_dir,
        progress=lambda requested, done: seen.append((requested, done)),
    )
    assert seen == [(8, done) for done in range(1, 9)]
