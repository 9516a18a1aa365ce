"""Which class a defect looks like: a Gaussian per class over a few statistics that ignore outline.

The statistics are signed contrast, its spread, fineness and direction. Covariances are shrunk, as
some classes have two photos: a class's towards that of all classes, and that towards its diagonal.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from aliaug_edge.quality import signatures
from aliaug_edge.quality.planes import Planes, box_mean

PRIOR = 10.0  # defects' worth of belief that a class varies as all classes do
DIAGONAL = 0.2  # share of the pooled covariance that is its diagonal alone
LEAST = 0.05  # least standard deviation of a statistic: what rounding of pixels moves

Vector = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class ClassLook:
    """Mean (k,) and covariance (k, k) of the statistics of a class's real defects."""

    mean: Vector
    covariance: NDArray[np.float64]


def statistics(pair: Planes) -> Vector:
    """What a defect looks like, whatever its outline: (8,) float64."""
    change, blunt = pair.change[pair.inside], pair.blunt[pair.inside]
    tone = np.concatenate([np.quantile(blunt, (0.1, 0.5, 0.9)), [pair.blue[pair.inside].mean()]])
    return np.array(
        [
            *np.arcsinh(tone / pair.grain),
            np.log(0.1 + change.std() / pair.grain),
            _fineness(pair),
            signatures.texture(pair),
            _direction(pair),
        ],
        dtype=np.float64,
    )


def fit(rows: Mapping[str, Sequence[Vector]]) -> dict[str, ClassLook]:
    """The look of each class from the statistics of its real defects, at least one each."""
    stacked = {name: np.stack(list(items)) for name, items in rows.items()}
    centred = np.concatenate([items - items.mean(axis=0) for items in stacked.values()])
    freedom = max(len(centred) - len(stacked), 1)
    pooled = centred.T @ centred / freedom
    pooled = (1 - DIAGONAL) * pooled + DIAGONAL * np.diag(np.diag(pooled))
    pooled += LEAST**2 * np.eye(len(pooled))
    return {name: _look(items, pooled) for name, items in stacked.items()}


def mismatch(looks: Mapping[str, ClassLook], defect_class: str, row: Vector) -> float:
    """How much likelier the likeliest other class is than `defect_class`, as asinh of the
    difference of log-likelihoods; 0 where there is no other class."""
    likely = {name: _log_likelihood(look, row) for name, look in looks.items()}
    own = likely.pop(defect_class)
    return float(np.arcsinh(max(likely.values()) - own)) if likely else 0.0


def _look(items: NDArray[np.float64], pooled: NDArray[np.float64]) -> ClassLook:
    """The factor behind is that of the mean, which is itself estimated."""
    mean = items.mean(axis=0)
    own = (items - mean).T @ (items - mean)
    covariance = (own + PRIOR * pooled) / (len(items) - 1 + PRIOR)
    return ClassLook(mean, covariance * (1 + 1 / len(items)))


def _log_likelihood(look: ClassLook, row: Vector) -> float:
    off = row - look.mean
    _, volume = np.linalg.slogdet(look.covariance)
    return -0.5 * float(off @ np.linalg.solve(look.covariance, off) + volume)


def _fineness(pair: Planes) -> float:
    """Log of the fine over the coarse part of the change."""
    fine = np.abs(pair.change - pair.blunt)[pair.inside].mean()
    coarse = np.abs(box_mean(pair.blunt))[pair.inside].mean()
    return float(np.log((fine + 0.1) / (coarse + 0.1)))


def _direction(pair: Planes) -> float:
    """How much the change under the mask runs one way, 0 … 1: coherence of the structure tensor
    (Bigün and Granlund 1987)."""
    smooth = box_mean(pair.blunt)
    down = np.gradient(smooth, axis=0)[pair.inside]
    across = np.gradient(smooth, axis=1)[pair.inside]
    yy, xx = float(np.square(down).sum()), float(np.square(across).sum())
    xy = float((down * across).sum())
    return float(np.hypot(xx - yy, 2 * xy) / (xx + yy + 1e-6))
