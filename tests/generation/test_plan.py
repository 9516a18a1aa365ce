"""What can be known to be wrong is said before anything is made."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from aliaug_edge.bundle import load_bundle
from aliaug_edge.errors import AliAugError
from aliaug_edge.generation.plan import plan_run
from aliaug_edge.generation.request import RunSettings
from aliaug_edge.generation.run import generate_dataset
from aliaug_edge.labels.yolo import load_yolo
from tests.support.bundles import make_bundle

SETTINGS = RunSettings(count=2, engine="onnxruntime-cpu", labels=("coco", "mvtec"))


@pytest.mark.parametrize("name", ["a/b", "good", "..", 'what"', "x" * 300])
def test_a_class_that_is_no_folder_name_is_refused_before_anything_is_made(
    name, good_dir, tmp_path
):
    bundle = load_bundle(make_bundle(tmp_path / "bundle", classes=[name, "stain"]))
    with pytest.raises(AliAugError, match=r"cannot be a folder name.*leave mvtec out of --labels"):
        generate_dataset(bundle, SETTINGS, tmp_path / "out", good_dir)
    assert not (tmp_path / "out").exists()
    for change in ({"labels": ("coco", "yolo")}, {"classes": ("stain",)}):
        assert plan_run(bundle, replace(SETTINGS, **change), good_dir).requested == 2


def test_datasets_of_one_bundle_number_their_classes_alike(bundle, good_dir, tmp_path):
    for classes in (("stain",), ("stain", "crack")):
        out = tmp_path / "-".join(classes)
        settings = replace(SETTINGS, classes=classes, labels=("coco", "yolo"))
        assert generate_dataset(bundle, settings, out, good_dir).kept > 0
        document = json.loads((out / "annotations" / "instances.json").read_text())
        numbers = {c["id"]: c["name"] for c in document["categories"]}
        assert numbers == {1: "crack", 2: "stain"}
        samples = [json.loads(line) for line in (out / "samples.jsonl").read_text().splitlines()]
        made = {sample["image"]: sample["defect_class"] for sample in samples if sample["image"]}
        images = {image["id"]: image["file_name"] for image in document["images"]}
        for annotation in document["annotations"]:
            assert numbers[annotation["category_id"]] == made[images[annotation["image_id"]]]
        assert {label.image: label.defect_class for label in load_yolo(out)} == made
