"""One score per way in which an insertion fails. Each is a pure function of a pair's `Planes`.

Scores are logarithms of ratios where they can be, so that they are about normally distributed and
one scale serves every surface: levels are measured in the good surface's own grain.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from aliaug_edge.quality.planes import Bools, Floats, Planes, box_mean

EMPTY = "empty insertion"
MISPLACED = "misplaced insertion"
SMOOTH = "over-smooth texture"
UNREAL = "unreal texture"
INCOHERENT = "loss of coherence"
MISMATCH = "prompt-mask mismatch"

HALO = 4  # pixels around the mask that belong to the defect: masks are drawn by hand
VISIBLE = 3.0  # grey levels
TINY = 0.02  # keeps a logarithm of a share finite
LEAST_FINE = 0.3  # grey levels of fine texture that rounding alone makes
PERIODS = (2, 4, 8)  # pixels, of the grids that decoders leave


@dataclass(frozen=True)
class Side:
    """A limit of `score`: what lies below (`low`) or above it has the failure `signature`."""

    score: str
    low: bool
    signature: str


# What the first two find explains whatever else is wrong, so they speak first.
DECISIVE = 2
SIDES = (
    Side("stray", False, MISPLACED),
    Side("evidence", True, EMPTY),
    Side("covered", True, MISPLACED),
    Side("texture", True, SMOOTH),
    Side("texture", False, UNREAL),
    Side("regular", False, UNREAL),
    Side("seam", True, INCOHERENT),
    Side("seam", False, INCOHERENT),
    Side("mismatch", False, MISMATCH),
)


def scores_of(pair: Planes) -> dict[str, float]:
    """Every score but `mismatch`, which needs to know the classes (`likeness`)."""
    return {
        "evidence": evidence(pair),
        "covered": covered(pair),
        "stray": stray(pair),
        "texture": texture(pair),
        "regular": regular(pair),
        "seam": seam(pair),
    }


def evidence(pair: Planes) -> float:
    """Empty insertion: log of the change that a tenth of the mask exceeds, in grains."""
    return float(np.log(TINY + _strength(pair) / pair.grain))


def covered(pair: Planes) -> float:
    """Misplaced: log odds of the share of the mask that shows at least a third of the change."""
    least = max(_strength(pair) / 3, pair.grain / 3)
    share = float((np.abs(pair.blunt[pair.inside]) > least).mean())
    return float(np.log((share + TINY) / (1 - share + TINY)))


def stray(pair: Planes) -> float:
    """Misplaced: log of the share of all strong change that lies farther than `HALO` from the mask.

    Strong is half of what a tenth of the mask exceeds, so that a model's even, small error, which
    blending hides, is none.
    """
    blunt = np.abs(box_mean(pair.whole_change))
    strong = blunt > max(_strength(pair) / 2, 2 * pair.grain / 3, VISIBLE)
    far = int(np.count_nonzero(strong & ~grown(pair.whole_mask, HALO)))
    return float(np.log(TINY + far / max(int(np.count_nonzero(strong)), 1)))


def texture(pair: Planes) -> float:
    """Over-smooth (low) or unreal (high): log of the fine texture under the mask over that of the
    good surface."""
    fine = np.abs(pair.result - box_mean(pair.result))[pair.inside].mean()
    usual = np.abs(pair.good - box_mean(pair.good)).mean()
    return float(np.log((fine + TINY) / (usual + LEAST_FINE)))


def regular(pair: Planes) -> float:
    """Unreal texture: log of how far a grid stands out of the change's fine part, in standard
    errors. The grids are those that upsampling by two, four and eight leaves: waves of `PERIODS`
    along either side or both. Grain and cracks have little of any one wave."""
    fine = np.where(pair.inside, pair.change - pair.blunt, 0)
    energy = float(np.square(fine).sum()) + 0.02 * np.count_nonzero(pair.inside)
    down, across = (_waves(length) for length in fine.shape)
    amplitude = np.abs(down @ fine @ across.T)
    return float(np.log(0.5 + amplitude.ravel()[1:].max() / energy**0.5))


def seam(pair: Planes) -> float:
    """Loss of coherence: asinh of the mean step of the change from outside the outline to inside,
    in grains. Grain has steps of either sign, a cut edge of one; a class has its own usual step."""
    steps = np.concatenate([_steps(pair.change, pair.inside), _steps(pair.change.T, pair.inside.T)])
    return float(np.arcsinh(steps.mean() / pair.grain)) if steps.size else 0.0


def grown(mask: Bools, pixels: int) -> Bools:
    """`mask` (h, w) grown by `pixels` in Chebyshev distance."""
    wide = mask.copy()
    for step in range(1, pixels + 1):
        wide[step:] |= mask[:-step]
        wide[:-step] |= mask[step:]
    both = wide.copy()
    for step in range(1, pixels + 1):
        both[:, step:] |= wide[:, :-step]
        both[:, :-step] |= wide[:, step:]
    return both


def _strength(pair: Planes) -> float:
    """The change in grey levels that a tenth of the mask exceeds."""
    values = np.abs(pair.blunt[pair.inside])
    return float(np.partition(values, int(0.9 * (values.size - 1)))[int(0.9 * (values.size - 1))])


def _steps(change: Floats, inside: Bools) -> Floats:
    """Change inside minus change outside, of neighbours in a row that the outline parts."""
    step = change[:, 1:] - change[:, :-1]
    enters, leaves = inside[:, 1:] & ~inside[:, :-1], inside[:, :-1] & ~inside[:, 1:]
    return np.concatenate([step[enters], -step[leaves]])


def _waves(length: int) -> NDArray[np.complex64]:
    """exp(2πi x / period) for the constant and each of `PERIODS`: (1 + n, length)."""
    rates = np.array([0.0, *(1 / period for period in PERIODS)])
    waves: NDArray[np.complex64] = np.exp(2j * np.pi * np.outer(rates, np.arange(length))).astype(
        np.complex64
    )
    return waves
