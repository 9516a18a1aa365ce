"""Mask mAP of defect instances, from score maps and true masks.

The construction: an instance is an 8-connected component, of the true mask and of the pixels whose
score reaches a threshold (that of the train side). A predicted instance's confidence is its mean
score, whatever the unit of the scores: only the order counts. There is one class, "defect".

The metric is COCO's: https://cocodataset.org/#detection-eval. In each photo predictions take, the
surest first, the free true instance that they overlap most, if the IoU reaches the threshold; AP is
the mean of the interpolated precision at 101 recalls, over all photos together; mAP50-95 is the
mean over the IoU thresholds 0.50, 0.55 … 0.95. The 100 surest predictions of a photo count.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from aliaug_edge.components import Component, components

IOU_THRESHOLDS = np.linspace(0.5, 0.95, 10)
RECALLS = np.linspace(0.0, 1.0, 101)
MOST_PER_PHOTO = 100

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]


def mask_map(
    predictions: Iterable[NDArray[np.float32]],
    truths: Iterable[NDArray[np.uint8]],
    threshold: float,
) -> tuple[float, float] | None:
    """(mAP50-95, mAP50) in [0, 1]; None where no truth holds an instance.

    `predictions` are score maps (H, W), `truths` the masks (H, W) of the same photos, non-zero on
    defects; good photos belong in, what is found there is wrong. A pixel is predicted where its
    score is at least `threshold`. Raises ValueError if the two differ in number or in a size.
    """
    return map_of(
        [photo_instances(s, t, threshold) for s, t in zip(predictions, truths, strict=True)]
    )


@dataclass(frozen=True, eq=False)
class PhotoInstances:
    """What a photo adds to mAP: `confidence` (P,) of its predicted instances, surest first,
    whether each is right at every threshold, `hits` (10, P), and the number of true ones."""

    confidence: Floats
    hits: Bools
    wanted: int


def photo_instances(
    scores: NDArray[np.float32], truth: NDArray[np.uint8], threshold: float
) -> PhotoInstances:
    """Those of one photo; arguments as those of `mask_map`. Raises ValueError if sizes differ."""
    confidence, ious = overlaps(scores, truth, threshold)
    return PhotoInstances(confidence, matched(ious), ious.shape[1])


def map_of(photos: Sequence[PhotoInstances]) -> tuple[float, float] | None:
    """(mAP50-95, mAP50) of all photos together; None where none holds a true instance."""
    wanted = sum(photo.wanted for photo in photos)
    if not wanted:
        return None
    order = np.argsort(-np.concatenate([photo.confidence for photo in photos]), kind="stable")
    hits = np.concatenate([photo.hits for photo in photos], axis=1)
    aps = [interpolated_ap(hit[order], wanted) for hit in hits]
    return float(np.mean(aps)), aps[0]


def overlaps(
    scores: NDArray[np.float32], truth: NDArray[np.uint8], threshold: float
) -> tuple[Floats, Floats]:
    """Confidences (P,) of the predicted instances, highest first, and their IoU (P, T) with the
    true ones; equal confidences keep the order of their first pixels."""
    if scores.shape != truth.shape:
        raise ValueError(f"scores have size {scores.shape}, their mask has {truth.shape}")
    found = components((scores >= threshold).astype(np.uint8))
    wanted = components(truth)
    number = np.zeros(scores.shape, np.intp)  # of the predicted instance here; 0: none
    for index, component in enumerate(found, start=1):
        number[_box(component)][component.pixels] = index
    count = len(found) + 1
    areas = np.bincount(number.ravel(), minlength=count)[1:]
    sums = np.bincount(number.ravel(), weights=scores.ravel(), minlength=count)[1:]
    both = np.zeros((len(found), len(wanted)))
    for index, component in enumerate(wanted):
        under = number[_box(component)][component.pixels]
        both[:, index] = np.bincount(under, minlength=count)[1:]
    either = areas[:, None] + np.array([c.area for c in wanted], np.intp) - both
    confidence = sums / areas
    surest = np.argsort(-confidence, kind="stable")[:MOST_PER_PHOTO]
    return confidence[surest], (both / either)[surest]


def matched(ious: Floats) -> Bools:
    """Which predictions are right at each threshold, (10, P), from `ious` (P, T), surest first."""
    hits = np.zeros((IOU_THRESHOLDS.size, ious.shape[0]), np.bool_)
    free = np.ones((IOU_THRESHOLDS.size, ious.shape[1]), np.bool_)
    if not ious.size:
        return hits
    for index in np.flatnonzero(ious.max(axis=1) >= IOU_THRESHOLDS[0]):
        overlap = np.where(free, ious[index], -1.0)
        best = overlap.argmax(axis=1)
        hit = overlap.max(axis=1) >= IOU_THRESHOLDS
        hits[:, index] = hit
        free[hit, best[hit]] = False
    return hits


def interpolated_ap(hits: Bools, wanted: int) -> float:
    """Mean over `RECALLS` of the best precision at that recall or a higher one.

    `hits` (P,) says whether each prediction is right, surest first; `wanted` true instances exist.
    """
    right = np.cumsum(hits)
    precision = right / np.arange(1, right.size + 1)
    best_from = np.append(np.maximum.accumulate(precision[::-1])[::-1], 0.0)
    return float(best_from[np.searchsorted(right / wanted, RECALLS, side="left")].mean())


def _box(component: Component) -> tuple[slice, slice]:
    left, top, width, height = component.box_xywh
    return slice(top, top + height), slice(left, left + width)
