import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest

from aliaug_edge.errors import AliAugError, DataError
from aliaug_edge.imaging import encode_png, load_mask
from aliaug_edge.labels import LabelledImage, write_labels
from aliaug_edge.labels.coco import load_coco
from aliaug_edge.labels.mask_png import load_mask_png, save_mask_png
from aliaug_edge.labels.mvtec import load_mvtec
from aliaug_edge.labels.rle import mask_from_rle, rle_from_mask
from aliaug_edge.labels.yolo import load_yolo

CLASSES = ("crack", "stain")
LOADERS = {"coco": load_coco, "yolo": load_yolo, "mvtec": load_mvtec}


def snapshot(root: Path) -> dict[str, bytes]:
    return {p.relative_to(root).as_posix(): p.read_bytes() for p in root.rglob("*") if p.is_file()}


def instances(root: Path):
    return json.loads((root / "annotations/instances.json").read_text())


@pytest.mark.parametrize("name", LOADERS)
def test_what_is_written_is_read_back_bit_by_bit(name, dataset):
    root, samples = dataset
    write_labels(root, [name], samples, CLASSES)
    labels = {(Path(x.image).name, x.defect_class): x.mask for x in LOADERS[name](root)}
    assert len(labels) == len(samples)
    for sample in samples:
        mask = labels[Path(sample.image).name, sample.defect_class]
        assert np.array_equal(mask, load_mask(root / sample.mask))


def test_writing_again_gives_the_same_bytes(dataset):
    root, samples = dataset
    write_labels(root, list(LOADERS), samples, CLASSES)
    first = snapshot(root)
    write_labels(root, list(LOADERS), samples, CLASSES)
    assert snapshot(root) == first


def test_an_unknown_format_is_refused_with_the_list(dataset):
    root, samples = dataset
    before = snapshot(root)
    with pytest.raises(AliAugError, match="unknown label format 'voc'; choose from coco, mvtec"):
        write_labels(root, ["coco", "voc"], samples, CLASSES)
    assert snapshot(root) == before


@pytest.mark.parametrize("name", LOADERS)
def test_an_unknown_class_is_refused(name, dataset):
    root, samples = dataset
    with pytest.raises(AliAugError, match="class 'stain' is not one of crack"):
        write_labels(root, [name], samples, ["crack"])


@pytest.mark.parametrize("name", LOADERS)
def test_a_mask_of_another_size_is_refused(name, dataset):
    root, samples = dataset
    wrong = [dataclasses.replace(samples[0], width=99)]
    with pytest.raises(DataError, match=r"masks/000000.png: expected 99 x 40 .* got 56 x 40"):
        write_labels(root, [name], wrong, CLASSES)


def test_coco_has_one_annotation_per_part_with_the_mask_area(dataset):
    root, samples = dataset
    write_labels(root, ["coco"], samples[:3], CLASSES)
    document = instances(root)
    assert [a["id"] for a in document["annotations"]] == [1, 2, 3, 4]
    assert [a["image_id"] for a in document["annotations"]] == [1, 2, 2, 3]
    assert [a["area"] for a in document["annotations"]] == [156, 48, 520, 875 - 130]
    assert [a["bbox"] for a in document["annotations"]][:2] == [[4, 3, 26, 6], [4, 3, 8, 6]]
    assert [c["id"] for c in document["categories"]] == [1, 2]
    assert {a["iscrowd"] for a in document["annotations"]} == {0}


def test_coco_uses_run_lengths_only_where_there_are_holes(dataset):
    root, samples = dataset
    write_labels(root, ["coco"], samples[:3], CLASSES)
    *plain, holed = (a["segmentation"] for a in instances(root)["annotations"])
    assert all(isinstance(s, list) and len(s[0]) == 8 for s in plain)
    assert holed["size"] == [40, 56]
    assert sum(holed["counts"]) == 40 * 56


def test_an_image_with_two_classes_is_one_coco_image(dataset):
    root, samples = dataset
    both = [samples[0], dataclasses.replace(samples[0], defect_class="stain")]
    write_labels(root, ["coco", "yolo"], both, CLASSES)
    assert len(instances(root)["images"]) == 1
    assert len(load_yolo(root)) == 2


def test_run_lengths_go_down_the_columns_and_begin_with_zeros():
    pixels = np.array([[1, 0], [1, 1]], dtype=bool)
    assert rle_from_mask(pixels) == {"size": [2, 2], "counts": [0, 2, 1, 1]}


@pytest.mark.parametrize("density", [0.0, 0.1, 0.5, 1.0])
def test_run_lengths_round_trip(density):
    pixels = np.random.default_rng(5).random((13, 9)) < density
    assert np.array_equal(mask_from_rle(rle_from_mask(pixels)), pixels)


def test_run_lengths_that_do_not_fill_the_image_are_refused():
    with pytest.raises(DataError, match="covers 5 pixels of 2 x 2"):
        mask_from_rle({"size": [2, 2], "counts": [1, 4]})


def test_yolo_labels_lie_where_trainers_look(dataset):
    root, samples = dataset
    write_labels(root, ["yolo"], samples, CLASSES)
    lines = (root / "train.txt").read_text().splitlines()
    assert lines[0] == "./images/000000.png"
    for line in lines:
        image = (root / line).as_posix()
        label = "/labels/".join(image.rsplit("/images/", 1)).rsplit(".", 1)[0] + ".txt"
        assert Path(label).is_file()
    data = (root / "data.yaml").read_text()
    assert "train: train.txt\nval:\n" in data
    assert '  0: "crack"\n  1: "stain"\n' in data


def test_yolo_rows_are_normalised_and_have_three_points_or_more(dataset):
    root, samples = dataset
    write_labels(root, ["yolo"], samples, CLASSES)
    rows = (root / "labels/000001.txt").read_text().splitlines()
    assert len(rows) == 2
    for row in rows:
        index, *values = row.split()
        assert index == "1"
        assert len(values) >= 6 and len(values) % 2 == 0
        assert all(0 <= float(value) <= 1 for value in values)


def test_yolo_needs_images_in_a_folder_called_images(dataset):
    root, samples = dataset
    (root / "photos").mkdir()
    (root / "photos/a.png").write_bytes((root / samples[0].image).read_bytes())
    with pytest.raises(AliAugError, match="expected the image below a folder called images"):
        write_labels(
            root, ["yolo"], [dataclasses.replace(samples[0], image="photos/a.png")], CLASSES
        )


def test_a_broken_yolo_row_names_the_file(dataset):
    root, samples = dataset
    write_labels(root, ["yolo"], samples, CLASSES)
    (root / "labels/000000.txt").write_text("0 0.1 0.2 0.3\n")
    with pytest.raises(DataError, match=r"labels/000000.txt: expected `<class> x1 y1"):
        load_yolo(root)


def test_mvtec_pairs_by_name_and_is_for_training_only(dataset):
    root, samples = dataset
    write_labels(root, ["mvtec"], samples, CLASSES)
    product = root / "mvtec/generated"
    assert (product / "test/crack/000002.png").is_file()
    assert (product / "ground_truth/crack/000002_mask.png").is_file()
    split = json.loads((product / "split.json").read_text())
    assert split["defect"]["crack"] == {
        "train": ["generated/test/crack/000000.png", "generated/test/crack/000002.png"],
        "test": [],
    }


def test_mvtec_shares_the_bytes_of_the_images(dataset):
    root, samples = dataset
    write_labels(root, ["mvtec"], samples, CLASSES)
    assert (root / "mvtec/generated/test/crack/000000.png").samefile(root / samples[0].image)
    assert not list(root.rglob("*.tmp"))


def test_mvtec_follows_an_image_that_was_written_anew(dataset):
    root, samples = dataset
    write_labels(root, ["mvtec"], samples, CLASSES)
    fresh = encode_png(np.full((40, 56, 3), 9, dtype=np.uint8))
    (root / samples[0].image).unlink()
    (root / samples[0].image).write_bytes(fresh)
    write_labels(root, ["mvtec"], samples, CLASSES)
    assert (root / "mvtec/generated/test/crack/000000.png").read_bytes() == fresh


@pytest.mark.parametrize("name", ["..", "a/b", "good", ""])
def test_mvtec_refuses_classes_that_are_no_folder_names(name, dataset):
    root, samples = dataset
    with pytest.raises(AliAugError, match="cannot be a folder name"):
        write_labels(root, ["mvtec"], [dataclasses.replace(samples[0], defect_class=name)], [name])


@pytest.mark.parametrize("name", LOADERS)
def test_labels_that_are_not_there_are_one_clear_error(name, tmp_path):
    with pytest.raises(DataError, match="cannot be read"):
        LOADERS[name](tmp_path)


def test_coco_that_is_not_coco_is_one_clear_error(tmp_path):
    (tmp_path / "annotations").mkdir()
    (tmp_path / "annotations/instances.json").write_text('{"images": 3}')
    with pytest.raises(DataError, match="not COCO instances"):
        load_coco(tmp_path)


def test_masks_round_trip_as_single_channel_png(tmp_path):
    mask = np.where(np.random.default_rng(2).random((9, 14)) < 0.5, 255, 0).astype(np.uint8)
    save_mask_png(tmp_path / "m.png", mask)
    assert np.array_equal(load_mask_png(tmp_path / "m.png"), mask)


def test_a_mask_of_other_values_is_not_written(tmp_path):
    with pytest.raises(ValueError, match="0 and 255"):
        save_mask_png(tmp_path / "m.png", np.full((3, 3), 7, dtype=np.uint8))


def test_no_samples_give_valid_empty_files(tmp_path):
    write_labels(tmp_path, list(LOADERS), [], CLASSES)
    assert load_coco(tmp_path) == load_yolo(tmp_path) == load_mvtec(tmp_path) == []


def test_a_sample_is_plain_data():
    sample = LabelledImage("images/a.png", "masks/a.png", "crack", 3, 4)
    assert dataclasses.asdict(sample)["mask"] == "masks/a.png"
