"""Is there a defect, and was the rest left alone? Judged on the model's raw output.

Blending hides what the model did outside the mask, so it is measured before. All values are of the
crop at the model's size, in grey levels (0 … 255) or dB, rounded so that records compare as text.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass

import numpy as np
from numpy.typing import NDArray

from aliaug_edge.components import components
from aliaug_edge.quality.planes import LUMA

# Three grey levels is about the sensor noise of an 8-bit line camera: less than that is no defect
# that a person could label.
MIN_CHANGE = 3.0
# A model that inserts nothing still errs inside the mask as it does outside (5 levels at 30 dB):
# a defect must stand out from that.
STAND_OUT = 1.5
# 20 dB is an error of 25 grey levels everywhere: the model did not recognise the surface at all.
# A tuned model reaches 30 dB and more; feathering hides what lies between.
MIN_PRESERVATION_DB = 20.0
# The mean over 16 pixels (a 4 x 4 spot) tells a defect from noise; a speck of fewer does not.
JUDGED_PX = 16
BEST_PSNR_DB = 99.0  # stands for "identical", as JSON has no infinity

UInt8 = NDArray[np.uint8]


@dataclass(frozen=True)
class Scores:
    """`change_inside` and `change_outside`: mean absolute difference to the input, in grey levels,
    inside and outside of the mask. `change_least`: that within the component of the mask that
    changed least. `preservation_db`: PSNR outside. `contrast_to_texture`: change inside, over the
    standard deviation of the surface's fine texture outside."""

    change_inside: float
    change_least: float
    change_outside: float
    preservation_db: float
    contrast_to_texture: float

    def are_finite(self) -> bool:
        return all(math.isfinite(value) for value in self.document().values())

    def document(self) -> dict[str, float]:
        return asdict(self)


def score(shown: UInt8, mask: UInt8, raw: NDArray[np.float32], *, grey: bool = False) -> Scores:
    """Scores of `raw` (h, w, 3) float32 in [-1, 1] against what the model was shown, `shown`
    (h, w, 3) uint8, where `mask` (h, w) uint8 is not empty.

    `grey` says that `blend` will put in the change of luma alone, so that alone counts.
    """
    before = shown.astype(np.float32)
    difference = (np.clip(raw, -1, 1) + 1) * np.float32(127.5) - before
    if grey:
        difference = (difference @ LUMA)[..., None]
    change, square = _over_channels(np.abs(difference)), _over_channels(np.square(difference))
    inside, outside = mask > 0, mask == 0
    change_inside = float(change[inside].mean())
    change_outside = float(change[outside].mean()) if outside.any() else 0.0
    error = float(square[outside].mean()) if outside.any() else 0.0
    texture = _texture_sigma(before @ LUMA, outside)
    return Scores(
        change_inside=round(change_inside, 3),
        change_least=round(min(change_inside, _least_change(change, mask)), 3),
        change_outside=round(change_outside, 3),
        preservation_db=round(psnr_db(error), 2),
        contrast_to_texture=round(change_inside / max(texture, 1.0), 3),
    )


def psnr_db(mean_square_error: float) -> float:
    """10 · log10(255² / MSE), at most `BEST_PSNR_DB`."""
    if mean_square_error <= 0:
        return BEST_PSNR_DB
    return float(min(10 * np.log10(255**2 / mean_square_error), BEST_PSNR_DB))


def verdict(scores: Scores, min_change: float, min_preservation: float) -> str | None:
    """Why the sample is rejected, or None when it is kept.

    `min_change` in grey levels is raised to `STAND_OUT` times the change outside; 0 asks for no
    change at all. Every component of the mask must have it, as each becomes a labelled object.
    `min_preservation` is in dB.
    """
    if not scores.are_finite():
        return f"the scores are not finite numbers: {scores.document()}"
    wanted = max(min_change, STAND_OUT * scores.change_outside) if min_change > 0 else 0.0
    if scores.change_least < wanted:
        where = "the mask" if scores.change_inside < wanted else "a part of the mask"
        return (
            f"empty insertion: change inside {where} {scores.change_least:.1f} grey levels, "
            f"at least {wanted:.1f} wanted (outside: {scores.change_outside:.1f})"
        )
    if scores.preservation_db < min_preservation:
        return (
            f"damage outside the mask: {scores.preservation_db:.1f} dB, "
            f"at least {min_preservation:g} wanted"
        )
    return None


def _over_channels(values: NDArray[np.float32]) -> NDArray[np.float64]:
    """Mean over the last axis of (h, w, 3 or 1); numpy's own is slow on so short an axis."""
    total, count = np.zeros(values.shape[:2]), int(values.shape[2])
    for channel in range(count):
        total += values[..., channel]
    return total / count


def _least_change(change: NDArray[np.float64], mask: UInt8) -> float:
    """The least mean of `change` (h, w) over a component of `mask` (h, w). Components of fewer than
    `JUDGED_PX` pixels are taken together, and left out where even so they are fewer."""
    judged: list[NDArray[np.float64]] = []
    specks: list[NDArray[np.float64]] = []
    for part in components(mask):
        height, width = part.pixels.shape
        box = change[part.top : part.top + height, part.left : part.left + width]
        (judged if part.area >= JUDGED_PX else specks).append(box[part.pixels])
    together = np.concatenate(specks) if specks else np.empty(0)
    if together.size >= JUDGED_PX or not judged:
        judged.append(together)
    return min(float(values.mean()) for values in judged)


def _texture_sigma(luma: NDArray[np.float32], where: NDArray[np.bool_]) -> float:
    """Root mean square difference of neighbours, over √2: the standard deviation of white noise,
    and blind to shading."""
    squares: list[NDArray[np.float32]] = []
    for step, both in (
        (luma[:, 1:] - luma[:, :-1], where[:, 1:] & where[:, :-1]),
        (luma[1:] - luma[:-1], where[1:] & where[:-1]),
    ):
        squares.append(np.square(step[both]))
    together = np.concatenate(squares)
    return float(np.sqrt(together.mean() / 2)) if together.size else 0.0
