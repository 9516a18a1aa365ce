"""What a detector learns from and what it answers: the seam between conditions and detectors."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from aliaug_edge.errors import AliAugError
from aliaug_edge.evaluation.photos import Photo

Predict = Callable[[NDArray[np.uint8]], NDArray[np.float32]]
"""Image (H, W, 3) uint8 to scores (H, W): the higher, the surer of a defect; a logit or alike."""

Progress = Callable[[int, int, str], None]
"""Called with (done, of, note)."""


class DetectorDivergedError(AliAugError):
    """Training ended in numbers that are none: a result of its condition, and reported as one."""


@dataclass(frozen=True, eq=False)
class Lesson:
    """What one detector is trained on.

    `real` are real defective photos (empty for synthetic-only training), `synthetic` are made ones,
    `good` are good parts. `ratio`: synthetic defects per real one, in every step; synthetic ones
    are added, they never take a real one's place. `augment`: classic augmentation of all of them.
    """

    real: Sequence[Photo]
    synthetic: Sequence[Photo]
    good: Sequence[Photo]
    ratio: float
    augment: bool


class Detector(Protocol):
    """Anything that learns a lesson; equal arguments give the same answers on the same machine."""

    def __call__(self, lesson: Lesson, seed: int, progress: Progress | None = None) -> Predict:
        """Train on `lesson`; the last state answers, not the best.

        Raises:
            AliAugError: the lesson is empty. DetectorDivergedError: so it did.
        """
        ...
