"""What real defects allow: limits per class and score, and the verdict on an insertion.

A document of plain data (`quality.json`) holds them: written by training, carried by the bundle.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from aliaug_edge.quality.likeness import ClassLook, mismatch, statistics
from aliaug_edge.quality.planes import planes
from aliaug_edge.quality.signatures import DECISIVE, SIDES, Side, scores_of

SCHEMA = 1
WORDS = {"low": True, "high": False}  # of a side, in the document

ANY = "*"  # stands for a class that no pair of photos could be trusted of

Key = tuple[str, bool]  # a score, and whether its limit is the low one


@dataclass(frozen=True)
class Limit:
    """The least or greatest `value` that a real defect has, and the `spread` of real ones."""

    value: float
    spread: float

    def excess(self, score: float, low: bool) -> float:
        """How many spreads `score` lies beyond it; at most 0 when it does not."""
        return (self.value - score if low else score - self.value) / self.spread


@dataclass(frozen=True, eq=False)
class Limits:
    """`sides` of each class, and of `ANY`: the limits, by score and side. `looks`: of each class,
    for `mismatch`. `about`: how the limits were found and what they reject, for reports."""

    sides: Mapping[str, Mapping[Key, Limit]]
    looks: Mapping[str, ClassLook]
    about: Mapping[str, Any]


@dataclass(frozen=True)
class Finding:
    """A failed limit: its signature, and the line for the user."""

    signature: str
    text: str


def signature_scores(
    limits: Limits,
    defect_class: str,
    good: NDArray[np.uint8],
    result: NDArray[np.uint8],
    mask: NDArray[np.uint8],
) -> dict[str, float]:
    """All scores of `result` against `good` (H, W, 3) where `mask` (H, W) is not empty, rounded so
    that records compare as text."""
    pair = planes(good, result, mask)
    found = scores_of(pair)
    if defect_class in limits.looks:
        found["mismatch"] = mismatch(limits.looks, defect_class, statistics(pair))
    return {name: round(value, 3) for name, value in found.items()}


def judge(limits: Limits, defect_class: str, scores: Mapping[str, float]) -> Finding | None:
    """The first of the decisive limits that `scores` break, else the one that they break by most
    spreads; None when they hold all."""
    own = limits.sides.get(defect_class) or limits.sides.get(ANY, {})
    broken: list[tuple[float, Side]] = []
    for index, side in enumerate(SIDES):
        limit, score = own.get((side.score, side.low)), scores.get(side.score)
        if limit is None or score is None or (excess := limit.excess(score, side.low)) <= 0:
            continue
        broken.append((excess, side))
        if index < DECISIVE:
            break
    if not broken:
        return None
    side = max(broken, key=lambda entry: entry[0])[1]
    bound = "at least" if side.low else "at most"
    return Finding(
        side.signature,
        f"{side.signature}: {side.score} {scores[side.score]:.2f}, real {defect_class} defects "
        f"have {bound} {own[side.score, side.low].value:.2f}",
    )


def worst_excess(limits: Limits, defect_class: str, scores: Mapping[str, float]) -> float:
    """How many spreads `scores` lie beyond the limit that they break by most; 0 where they hold
    all."""
    own = limits.sides.get(defect_class) or limits.sides.get(ANY, {})
    known = ((limit, name, low) for (name, low), limit in own.items() if name in scores)
    return max((limit.excess(scores[name], low) for limit, name, low in known), default=0.0)


def document(limits: Limits) -> dict[str, Any]:
    """Plain JSON data of `limits`; `from_document` reads it."""
    return {
        "schema": SCHEMA,
        "about": dict(limits.about),
        "classes": {
            name: {
                word: {
                    score: [limit.value, limit.spread]
                    for (score, low), limit in sorted(sides.items())
                    if low is is_low
                }
                for word, is_low in WORDS.items()
            }
            for name, sides in limits.sides.items()
        },
        "looks": {
            name: {
                "mean": np.round(look.mean, 6).tolist(),
                "covariance": np.round(look.covariance, 8).tolist(),
            }
            for name, look in limits.looks.items()
        },
    }


def from_document(plain: Mapping[str, Any]) -> Limits:
    """The limits of `document`.

    Raises:
        ValueError, LookupError, TypeError, AttributeError: it is not what `document` gives.
    """
    if plain["schema"] != SCHEMA:
        raise ValueError(f"schema {plain['schema']!r}, this release reads {SCHEMA}")
    looks = {
        name: ClassLook(_finite(entry["mean"]), _finite(entry["covariance"]))
        for name, entry in plain["looks"].items()
    }
    for look in looks.values():
        if look.covariance.shape != (look.mean.size, look.mean.size):
            raise ValueError("mean and covariance of a class do not fit")
    return Limits(
        sides={
            name: {
                (score, low): Limit(*_finite(pair).tolist())
                for word, low in WORDS.items()
                for score, pair in entry[word].items()
            }
            for name, entry in plain["classes"].items()
        },
        looks=looks,
        about=plain["about"],
    )


def _finite(values: Any) -> NDArray[np.float64]:
    array = np.asarray(values, dtype=np.float64)
    if not np.isfinite(array).all():
        raise ValueError("not a finite number")
    return array
