"""Keep or reject: the limits of the request, then those that real defects of the class allow."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from aliaug_edge.generation import quality
from aliaug_edge.generation.request import OFF, RunSettings
from aliaug_edge.quality.limits import Limits, judge, signature_scores
from aliaug_edge.quality.planes import LUMA

UInt8 = NDArray[np.uint8]
Floats = NDArray[np.float32]


@dataclass(frozen=True)
class Judgement:
    """`reason` is None when the sample is good enough, else a line that begins with `signature`,
    how it failed. `signs` are the calibrated scores, empty where there are no limits for them."""

    scores: quality.Scores
    signs: Mapping[str, float] = field(default_factory=dict)
    reason: str | None = None

    @property
    def signature(self) -> str | None:
        return self.reason.partition(":")[0] if self.reason else None

    def document(self) -> dict[str, float]:
        """All scores, as the record holds them."""
        return {**self.scores.document(), **self.signs}


def judged(
    shown: UInt8,
    mask: UInt8,
    raw: Floats,
    defect_class: str,
    settings: RunSettings,
    limits: Limits | None,
    *,
    grey: bool,
) -> Judgement:
    """What to think of the model's answer `raw` (h, w, 3) in [-1, 1] to `shown` (h, w, 3) and
    `mask` (h, w), uint8. `grey`: of its change only that of luma will be used."""
    scores = quality.score(shown, mask, raw, grey=grey)
    reason = quality.verdict(scores, settings.min_change, settings.min_preservation)
    if not scores.are_finite():
        return Judgement(scores, reason=reason)
    if settings.quality == OFF:
        return Judgement(scores)
    if limits is None or not mask.any():
        return Judgement(scores, reason=reason)
    signs = signature_scores(limits, defect_class, shown, _pixels(shown, raw, grey), mask)
    found = judge(limits, defect_class, signs)
    return Judgement(scores, signs, reason or (found.text if found else None))


def _pixels(shown: UInt8, raw: Floats, grey: bool) -> UInt8:
    """`raw` as the pixels that it stands for."""
    pixels = (np.clip(raw, -1, 1) + 1) * np.float32(127.5)
    if grey:
        pixels = shown + ((pixels - shown) @ LUMA)[..., None]
    rounded: UInt8 = np.clip(np.rint(pixels), 0, 255).astype(np.uint8)
    return rounded
