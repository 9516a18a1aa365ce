"""What the detectors were tried on, as far as the runs tell it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from aliaug_edge.data.samples import GOOD
from aliaug_edge.evaluation.results import ImageScore, Run

_LARGEST = 3


def describe_test_set(runs: Sequence[Run]) -> dict[str, Any]:
    """Photos, groups and positive pixels per class, and how few photos hold most of the pixels."""
    photos = {image.name: image for run in runs for image in run.images}
    defects = [image for image in photos.values() if image.defect_class != GOOD]
    positives = sum(image.positives for image in defects)
    largest = sorted((image.positives for image in defects), reverse=True)[:_LARGEST]
    by_group: dict[str, int] = {}
    for image in defects:
        by_group[image.group] = by_group.get(image.group, 0) + image.positives
    return {
        "defects": len(defects),
        "goods": len(photos) - len(defects),
        "groups": len(by_group),
        "positives": positives,
        "largest_photos_share": _share(sum(largest), positives),
        "largest_groups_share": _share(
            sum(sorted(by_group.values(), reverse=True)[:_LARGEST]), positives
        ),
        "classes": [
            _class_row(name, [i for i in defects if i.defect_class == name], positives)
            for name in sorted({image.defect_class for image in defects})
        ],
    }


def group_classes(runs: Sequence[Run]) -> dict[str, str]:
    """The defect classes that each test group shows, joined by + where there are several."""
    shown: dict[str, set[str]] = {}
    for run in runs:
        for image in run.images:
            if image.defect_class != GOOD:
                shown.setdefault(image.group, set()).add(image.defect_class)
    return {group: "+".join(sorted(shown[group])) for group in sorted(shown)}


def dominating_class(test_set: dict[str, Any]) -> str | None:
    """The class with most positive pixels; None where leaving it out would leave nothing."""
    classes = test_set["classes"]
    if len(classes) < 2:
        return None
    name: str = max(classes, key=lambda row: row["positives"])["class"]
    return name


def _class_row(name: str, images: Sequence[ImageScore], positives: int) -> dict[str, Any]:
    own = sum(image.positives for image in images)
    return {
        "class": name,
        "defects": len(images),
        "groups": len({image.group for image in images}),
        "positives": own,
        "share": _share(own, positives),
    }


def _share(part: int, whole: int) -> float | None:
    return part / whole if whole else None
