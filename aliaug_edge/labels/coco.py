"""COCO instance annotations in `annotations/instances.json`; image paths relative to the root.

One annotation per connected component. `area` counts mask pixels, not the box. The segmentation is
a polygon, or a run-length code where the component has holes, which polygons cannot say; `iscrowd`
is 0 in both cases, because each annotation is one object. Ids count from 1 in the order of the
samples; there is no date in the file, so equal datasets are equal bytes.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from aliaug_edge import files
from aliaug_edge.errors import DataError
from aliaug_edge.labels.contours import fill
from aliaug_edge.labels.instances import Instance
from aliaug_edge.labels.rle import mask_from_rle, rle_from_mask
from aliaug_edge.labels.samples import Label, LabelledImage, by_image, class_indices, read_instances

INSTANCES = "annotations/instances.json"
INFO = {"description": "synthetic defects, for training only", "version": "1.0"}


def save_coco(root: Path, samples: Sequence[LabelledImage], classes: Sequence[str]) -> None:
    """Write `annotations/instances.json` below `root`.

    Raises:
        AliAugError: unknown class, unreadable mask, or the file cannot be written.
    """
    category_ids = class_indices(classes, samples, first=1)
    images: list[str] = []
    annotations: list[str] = []
    for image_id, (image, group) in enumerate(by_image(samples).items(), start=1):
        size = {"width": group[0].width, "height": group[0].height}
        images.append(_json({"id": image_id, "file_name": image, **size}))
        for sample in group:
            for instance in read_instances(root, sample):
                owner = {
                    "id": len(annotations) + 1,
                    "image_id": image_id,
                    "category_id": category_ids[sample.defect_class],
                }
                geometry = _geometry(instance, (sample.height, sample.width))
                annotations.append(_json(owner | geometry))
    categories = [
        {"id": number, "name": name, "supercategory": "defect"}
        for name, number in category_ids.items()
    ]
    # Joined from texts, which take a tenth of the memory that the same lists would.
    files.write_text(
        root / INSTANCES,
        f'{{"annotations": [{", ".join(annotations)}], "categories": {_json(categories)}, '
        f'"images": [{", ".join(images)}], "info": {_json(INFO)}, "licenses": []}}\n',
    )


def load_coco(root: Path) -> list[Label]:
    """One label per image and class, images by id.

    Raises:
        DataError: missing, not JSON, or not COCO instances.
    """
    path = root / INSTANCES
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
        names = {c["id"]: c["name"] for c in document["categories"]}
        images = {i["id"]: i for i in sorted(document["images"], key=lambda i: int(i["id"]))}
        masks: dict[tuple[int, str], NDArray[np.uint8]] = {}
        for annotation in document["annotations"]:
            image = images[annotation["image_id"]]
            hw = (int(image["height"]), int(image["width"]))
            key = (image["id"], names[annotation["category_id"]])
            mask = masks.setdefault(key, np.zeros(hw, dtype=np.uint8))
            mask[_pixels(annotation["segmentation"], hw)] = 255
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror}") from error
    except (KeyError, TypeError, ValueError) as error:
        raise DataError(f"{path}: not COCO instances ({type(error).__name__}: {error})") from error
    order = list(images)
    return [
        Label(images[image_id]["file_name"], name, masks[image_id, name])
        for image_id, name in sorted(masks, key=lambda key: order.index(key[0]))
    ]


def _geometry(instance: Instance, hw: tuple[int, int]) -> dict[str, Any]:
    segmentation: Any = [instance.outline.ravel().tolist()]
    if instance.holes:
        segmentation = rle_from_mask(instance.pixels(hw))
    return {
        "bbox": list(instance.box_xywh),
        "area": instance.area,
        "segmentation": segmentation,
        "iscrowd": 0,
    }


def _json(value: Any) -> str:
    return json.dumps(value, sort_keys=True)


def _pixels(segmentation: Any, hw: tuple[int, int]) -> NDArray[np.bool_]:
    if isinstance(segmentation, dict):
        return mask_from_rle(segmentation)
    pixels = np.zeros(hw, dtype=np.bool_)
    for flat in segmentation:
        pixels |= fill([np.array(flat, dtype=np.float64).reshape(-1, 2)], hw)
    return pixels
