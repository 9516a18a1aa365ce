"""A lesson of small photos, as detectors are given it."""

from __future__ import annotations

import numpy as np

from aliaug_edge.data.samples import GOOD
from aliaug_edge.evaluation.detector.base import Lesson
from aliaug_edge.evaluation.photos import Photo


def marked_photo(number: int, defect_class: str, made: str = "real") -> Photo:
    """A photo (40, 52) with a holed rectangle and a single pixel as its defect."""
    rng = np.random.default_rng(number)
    image = rng.integers(90, 110, (40, 52, 3)).astype(np.uint8)
    mask = np.zeros((40, 52), np.uint8)
    if defect_class != GOOD:
        top, left = rng.integers(4, 20, 2)
        mask[top : top + 9, left : left + 12] = 255
        mask[top + 3 : top + 5, left + 3 : left + 6] = 0  # a hole
        mask[0, 0] = 255
        image[mask > 0] = (200, 30, 20)
    return Photo(f"{made}/{defect_class}/{number}", image, mask, defect_class, f"part-{number}")


def small_lesson(ratio: float = 0.5, *, real: bool = True, augment: bool = True) -> Lesson:
    """8 real defects of 2 classes, 7 made ones unless `ratio` is 0, and 9 good photos."""
    return Lesson(
        real=[marked_photo(n, "crack" if n < 6 else "stain") for n in range(8)] if real else [],
        synthetic=[marked_photo(100 + n, "crack", "made") for n in range(7)] if ratio else [],
        good=[marked_photo(200 + n, GOOD) for n in range(9)],
        ratio=ratio,
        augment=augment,
    )
