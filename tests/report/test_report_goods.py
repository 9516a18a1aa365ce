"""Which photo a sample is shown beside: the one it was made from, or none."""

import json
import shutil

import numpy as np
import pytest
from PIL import Image
from support.bundles import make_bundle

from aliaug_edge.bundle import load_bundle
from aliaug_edge.generation.request import BLENDS, RunSettings
from aliaug_edge.generation.run import generate_dataset
from aliaug_edge.imaging import encode_png, load_image, load_mask
from aliaug_edge.report import collect_report
from aliaug_edge.report.goods import GoodImages, untouched

NAMES = ("000.png", "001.png")


def photo(seed, hw):
    return np.random.default_rng(seed).integers(60, 120, (*hw, 3)).astype(np.uint8)


def write_photos(folder, first_seed, hw=(96, 112)):
    folder.mkdir(parents=True)
    for number, name in enumerate(NAMES):
        (folder / name).write_bytes(encode_png(photo(first_seed + number, hw)))
    return folder


@pytest.fixture(scope="module")
def bundle(tmp_path_factory):
    return load_bundle(make_bundle(tmp_path_factory.mktemp("goods") / "bundle"))


def generated_from(images, out, bundle, blend="feather"):
    settings = RunSettings(count=4, labels=(), blend=blend)
    generate_dataset(bundle, settings, out, images_dir=images)
    records = [json.loads(line) for line in (out / "samples.jsonl").read_text().splitlines()]
    return out, [record for record in records if record["status"] == "kept"]


def found(goods, dataset, record):
    mask = load_mask(dataset / record["mask"])
    return goods.load(record, load_image(dataset / record["image"]), mask)


@pytest.mark.parametrize("made_from", ["train", "test"])
@pytest.mark.parametrize("blend", BLENDS)
def test_of_equal_names_the_photo_that_the_sample_was_made_from_is_found(
    tmp_path, bundle, blend, made_from
):
    """MVTec AD calls photos of train/good and test/good alike."""
    folders = {
        s: write_photos(tmp_path / f"data/{s}/good", n) for n, s in ((0, "train"), (9, "test"))
    }
    dataset, kept = generated_from(folders[made_from], tmp_path / "out", bundle, blend)
    goods = GoodImages(tmp_path / "data", None)
    assert kept
    for record in kept:
        right = load_image(folders[made_from] / record["source_image"])
        assert np.array_equal(found(goods, dataset, record), right)


@pytest.mark.parametrize("blend", BLENDS)
def test_where_the_window_is_the_whole_photo_the_right_one_is_found_too(tmp_path, bundle, blend):
    write_photos(tmp_path / "data/train/good", 0, hw=(64, 64))
    images = write_photos(tmp_path / "data/test/good", 9, hw=(64, 64))
    dataset, kept = generated_from(images, tmp_path / "out", bundle, blend)
    assert kept
    for record in kept:
        shown = found(GoodImages(tmp_path / "data", None), dataset, record)
        assert np.array_equal(shown, load_image(images / record["source_image"]))


def test_a_copy_in_another_format_serves_as_well(tmp_path, bundle):
    images = write_photos(tmp_path / "mine", 0)
    dataset, kept = generated_from(images, tmp_path / "out", bundle)
    write_photos(tmp_path / "data/train/good", 50)
    (tmp_path / "copy").mkdir()
    for name in NAMES:
        Image.fromarray(load_image(images / name)).save(tmp_path / "copy" / name, "BMP")
    goods = GoodImages(tmp_path / "data", tmp_path / "copy")
    assert all(found(goods, dataset, record) is not None for record in kept)
    for name in NAMES:
        (tmp_path / "copy" / name).unlink()
    assert found(goods, dataset, kept[0]) is None


def test_without_a_hash_pixels_far_from_the_mask_decide(tmp_path, bundle):
    write_photos(tmp_path / "data/train/good", 0, hw=(64, 64))
    images = write_photos(tmp_path / "data/test/good", 9, hw=(64, 64))
    dataset, kept = generated_from(images, tmp_path / "out", bundle)
    goods = GoodImages(tmp_path / "data", None)
    for record in kept:
        record["source_sha256"] = None
        shown = found(goods, dataset, record)
        assert np.array_equal(shown, load_image(images / record["source_image"]))


def test_another_photo_of_the_name_gives_a_note_and_no_difference(tmp_path, bundle):
    dataset, _ = generated_from(write_photos(tmp_path / "mine", 0), tmp_path / "out", bundle)
    write_photos(tmp_path / "other", 50)
    data = collect_report(dataset_dir=dataset, images_dir=tmp_path / "other")
    assert "2 good images are not those of the samples" in data.notes[0]
    assert "--images" in data.notes[0]
    assert all(picture.title not in ("good", "difference ×4") for picture in pictures(data))


def test_without_the_good_images_there_is_a_note_and_no_difference(tmp_path, bundle):
    dataset, _ = generated_from(write_photos(tmp_path / "mine", 0), tmp_path / "out", bundle)
    data = collect_report(dataset_dir=dataset)
    assert "2 good images were not found (00" in data.notes[0]
    assert {picture.title for picture in pictures(data)} == {"mask", "generated", "whole photo"}


def test_good_images_may_lie_in_a_folder_of_their_own(tmp_path, bundle):
    images = write_photos(tmp_path / "mine", 0)
    dataset, _ = generated_from(images, tmp_path / "out", bundle)
    shutil.copytree(images, tmp_path / "copy")
    data = collect_report(dataset_dir=dataset, images_dir=tmp_path / "copy")
    assert data.notes == ()
    assert "good" in {picture.title for picture in pictures(data)}


def test_a_photo_of_another_size_is_not_the_one(tmp_path, bundle):
    dataset, kept = generated_from(write_photos(tmp_path / "mine", 0), tmp_path / "out", bundle)
    goods = GoodImages(None, write_photos(tmp_path / "other", 0, hw=(48, 56)))
    assert found(goods, dataset, kept[0]) is None
    assert goods.others == [kept[0]["source_image"]]


def test_pixels_are_untouched_outside_the_window_and_beyond_the_band():
    mask = np.zeros((90, 200), dtype=np.uint8)
    mask[40:50, 40:50] = 255
    record = {"window": [10, 20, 64, 64]}
    outside = untouched(record | {"blend": "none"}, mask)
    assert not outside[10:74, 20:84].any()
    assert outside.sum() == mask.size - 64 * 64
    beyond = untouched(record | {"blend": "hard"}, mask)
    assert beyond[outside].all()
    assert beyond[12, 22]
    assert not beyond[32:58, 32:58].any()


def pictures(data):
    return [picture for entry in data.classes for row in entry.rows for picture in row.pictures]
