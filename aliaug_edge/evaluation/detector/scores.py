"""What score maps are worth: per photo, pooled, and at the threshold that the train side chose.

Pooled figures come from histograms of the scores, so that no number of photos fills the memory.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from aliaug_edge.evaluation.detector.base import Predict
from aliaug_edge.evaluation.photos import Photo
from aliaug_edge.evaluation.results import ImageScore

TOP = 20  # pixels whose mean score is the photo's
BINS = 4096
RANGE = (-16.0, 16.0)  # logits; outside of it a sigmoid is 0 or 1 to seven digits

Scores = NDArray[np.float32]
Bools = NDArray[np.bool_]


def average_precision(scores: Scores, positive: Bools) -> float:
    """Area under precision over recall, Σ (Rₙ − Rₙ₋₁) Pₙ over the distinct scores, highest first.

    `scores` and `positive` have one shape. The definition is scikit-learn's. Raises ValueError
    without a positive pixel.
    """
    flat, truth = scores.ravel(), positive.ravel()
    if not truth.any():
        raise ValueError("average precision needs at least one positive pixel")
    order = np.argsort(-flat, kind="stable")
    flat, hits = flat[order], np.cumsum(truth[order])
    last = np.append(np.flatnonzero(np.diff(flat)), flat.size - 1)  # of each run of equal scores
    found = hits[last]
    precision = found / (last + 1)
    return float((np.diff(found, prepend=0) * precision).sum() / hits[-1])


@dataclass(frozen=True, eq=False)
class Histogram:
    """Counts (BINS,) of pixels by score, of defects and of everything else."""

    positive: NDArray[np.int64]
    negative: NDArray[np.int64]

    def average_precision(self) -> float | None:
        """As `average_precision`, with scores of one bin taken as equal; None without defects."""
        found, wrong = (np.cumsum(c[::-1]) for c in (self.positive, self.negative))
        if not found[-1]:
            return None
        precision = found / np.maximum(found + wrong, 1)
        return float((np.diff(found, prepend=0) * precision).sum() / found[-1])

    def best_threshold(self) -> float:
        """The score from which on marking pixels gives the best F1; the highest of equals."""
        found, wrong = (np.cumsum(c[::-1]) for c in (self.positive, self.negative))
        f1 = 2 * found / np.maximum(found + wrong + self.positive.sum(), 1)
        from_top = int(f1.argmax())
        low, high = RANGE
        return low + (high - low) * (BINS - 1 - from_top) / BINS


def histogram(maps: Iterable[tuple[Scores, Bools]]) -> Histogram:
    """The histogram of pairs of scores (H, W) and defect pixels (H, W)."""
    positive, negative = np.zeros(BINS, np.int64), np.zeros(BINS, np.int64)
    low, high = RANGE
    for scores, truth in maps:
        bins = np.clip((scores - low) * (BINS / (high - low)), 0, BINS - 1).astype(np.int64)
        positive += np.bincount(bins[truth], minlength=BINS)
        negative += np.bincount(bins[~truth], minlength=BINS)
    return Histogram(positive, negative)


def sum_of(histograms: Iterable[Histogram]) -> Histogram:
    """The histogram of all pixels together."""
    positive, negative = np.zeros(BINS, np.int64), np.zeros(BINS, np.int64)
    for one in histograms:
        positive += one.positive
        negative += one.negative
    return Histogram(positive, negative)


def score_photo(photo: Photo, scores: Scores, threshold: float) -> ImageScore:
    """How well `scores` (H, W) mark the defect of `photo`."""
    truth = photo.mask > 0
    count = min(TOP, scores.size)
    top = np.partition(scores.ravel(), -count)[-count:]
    ap = iou = f1 = None
    if not photo.is_good:
        marked = scores >= threshold
        both, either = int((marked & truth).sum()), int((marked | truth).sum())
        ap, iou = average_precision(scores, truth), both / either
        f1 = 2 * both / (both + either)
    return ImageScore(
        name=photo.name,
        group=photo.group,
        defect_class=photo.defect_class,
        positives=int(truth.sum()),
        ap=_rounded(ap),
        iou=_rounded(iou),
        f1=_rounded(f1),
        score=round(float(top.mean()), 5),
    )


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 6)


def train_threshold(predict: Predict, photos: Iterable[Photo]) -> float:
    """The threshold of the best pooled F1 on photos of the train side."""
    return histogram((predict(p.image), p.mask > 0) for p in photos).best_threshold()


def area_under_roc(images: Iterable[ImageScore]) -> float | None:
    """Share of (defect, good) pairs whose defect scores higher, ties half; None if either lacks."""
    rows = list(images)
    good = np.sort([row.score for row in rows if row.ap is None])
    bad = np.array([row.score for row in rows if row.ap is not None])
    if not good.size or not bad.size:
        return None
    below, upto = (np.searchsorted(good, bad, side=side) for side in ("left", "right"))
    return float((below + upto).sum() / (2 * good.size * bad.size))
