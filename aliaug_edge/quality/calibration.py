"""Limits from real defects: a few photos of each class, so tolerance limits, not quantiles.

The limit of a score is mean ± k · s: k is the one-sided normal tolerance factor, so that with
confidence `CONFIDENCE` a share `CONTENT` of all real defects of the class lies within, however few
were seen; s is the class's standard deviation shrunk towards that of all classes. Scores that are
not normal are met by widening, the worst limit first, until photos that the limits did not see
pass, `FALSE_REJECTS` of them at most excepted.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from aliaug_edge.quality.likeness import ClassLook, Vector, fit, mismatch, statistics
from aliaug_edge.quality.limits import ANY, Key, Limit, Limits
from aliaug_edge.quality.planes import planes
from aliaug_edge.quality.signatures import SIDES, scores_of

FALSE_REJECTS = 0.05  # of real defects, over all limits together
CONTENT = 1 - FALSE_REJECTS / len(SIDES)  # each limit's share of them (Bonferroni)
CONFIDENCE = 0.75
PRIOR = 5.0  # photos' worth of belief that a class's score varies as that of all classes
FOLDS = 20  # with up to as many groups each is left out by itself
STEP = 1.05  # by which a limit is widened at a time
NO_LIMIT = 1e6  # a reach that no score goes
USUAL_SPREAD = 0.5  # of a score in a class of real defects, about
LEAST_SPREAD = 0.1  # of any score: what rounding and the placing of a mask move
# Without a photo of the same part a counterpart equals the photo far from the mask, so that real
# defects say nothing about what may change there: a tenth of all strong change, by reasoning.
FLOORS: Mapping[Key, float] = {("stray", False): round(float(np.log(0.12)), 4)}

UInt8 = NDArray[np.uint8]


@dataclass(frozen=True, eq=False)
class Real:
    """A real defect as a crop of the model's size: `good` and `photo` (h, w, 3), `mask` (h, w),
    uint8. Crops of one `group` show the same part."""

    defect_class: str
    group: str
    good: UInt8
    photo: UInt8
    mask: UInt8


@dataclass(frozen=True, eq=False)
class Row:
    """The scores of a crop that need no model of its class, and its statistics for `mismatch`."""

    defect_class: str
    group: str
    scores: Mapping[str, float]
    look: Vector


@dataclass(frozen=True)
class Centre:
    """Of a score's real values: their `mean`, their `spread`, and how far from the mean the
    tolerance limit lies, `reach`."""

    mean: float
    spread: float
    reach: float


def calibrate(reals: Sequence[Real]) -> Limits:
    """The limits that real defects allow, from at least one of them.

    What a photo's own limits would say of it is never counted: `false_rejects` in `about` is the
    share of crops that limits found without their part reject.
    """
    rows = [_row(real) for real in reals]
    folds = _folds(rows)
    apart = _mismatch_apart(rows, folds)
    reached = _reached_apart(rows, apart, folds)
    widening = _widening(reached)
    parts = {name: len({r.group for r in items}) for name, items in _by_class(rows).items()}
    about = {
        "parts": parts,
        "crops": len(rows),
        "widening": {
            f"{side.score} {'low' if side.low else 'high'}": round(float(factor), 3)
            for side, factor in zip(SIDES, widening, strict=True)
        },
        "false_rejects": round(_rejected(reached, widening), 4),
    }
    sides = {
        name: {
            key: _limit(centre, key, float(factor))
            for (key, centre), factor in zip(centres.items(), widening, strict=True)
        }
        for name, centres in _centres(rows, apart).items()
    }
    return Limits(sides, _looks(rows), about)


def tolerance_factor(count: int, content: float, confidence: float, freedom: float) -> float:
    """The k of a one-sided normal tolerance limit mean + k · s, from `count` values and a spread of
    `freedom` degrees (Natrella 1963, in NIST's Engineering Statistics Handbook, 7.2.6.3).

    An approximation that is a little too small for few values: with 5 of them a confidence of 0.75
    is in truth 0.68.
    """
    z_content, z_confidence = (NormalDist().inv_cdf(p) for p in (content, confidence))
    a = 1 - z_confidence**2 / (2 * freedom)
    b = z_content**2 - z_confidence**2 / count
    return float((z_content + max(z_content**2 - a * b, 0.0) ** 0.5) / a)


def _row(real: Real) -> Row:
    pair = planes(real.good, real.photo, real.mask)
    return Row(real.defect_class, real.group, scores_of(pair), statistics(pair))


def _folds(rows: Sequence[Row]) -> NDArray[np.intp]:
    """The fold (n,) of each row: a group is in one; `FOLDS` of them at most."""
    groups = {group: number for number, group in enumerate(sorted({r.group for r in rows}))}
    return np.array([groups[row.group] % FOLDS for row in rows], dtype=np.intp)


def _mismatch_apart(rows: Sequence[Row], folds: NDArray[np.intp]) -> list[float | None]:
    """`mismatch` of each row by looks that its fold had no part in; None where its class has no
    look without it."""
    found: list[float | None] = [None] * len(rows)
    for fold in np.unique(folds).tolist():
        rest = [row for row, own in zip(rows, folds, strict=True) if own != fold]
        looks = _looks(rest) if rest else {}
        for index in np.flatnonzero(folds == fold).tolist():
            if rows[index].defect_class in looks:
                found[index] = mismatch(looks, rows[index].defect_class, rows[index].look)
    return found


def _reached_apart(
    rows: Sequence[Row], apart: Sequence[float | None], folds: NDArray[np.intp]
) -> NDArray[np.float64]:
    """How far each row (n,) goes towards each of the `SIDES` (m,) of limits that its fold had no
    part in: above 1 is beyond the tolerance limit. -inf where there is nothing to compare."""
    reached = np.full((len(rows), len(SIDES)), -np.inf)
    for fold in np.unique(folds).tolist():
        rest = np.flatnonzero(folds != fold).tolist()
        if not rest:
            continue
        centres = _centres([rows[i] for i in rest], [apart[i] for i in rest])
        for index in np.flatnonzero(folds == fold).tolist():
            own = centres.get(rows[index].defect_class, centres[ANY])
            for column, side in enumerate(SIDES):
                value = _value(rows[index], apart[index], side.score)
                if value is not None and (side.score, side.low) in own:
                    centre = own[side.score, side.low]
                    away = centre.mean - value if side.low else value - centre.mean
                    reached[index, column] = away / centre.reach
    return reached


def _widening(reached: NDArray[np.float64]) -> NDArray[np.float64]:
    """A factor for each side, at least 1: the one that rejects most real defects is widened step by
    step, until together they reject no more than `FALSE_REJECTS`."""
    factors = np.ones(reached.shape[1])
    while _rejected(reached, factors) > FALSE_REJECTS:
        factors[int((reached > factors).sum(axis=0).argmax())] *= STEP
    return factors


def _rejected(reached: NDArray[np.float64], factors: NDArray[np.float64]) -> float:
    return float((reached > factors).any(axis=1).mean())


def _limit(centre: Centre, key: Key, widening: float) -> Limit:
    reach = widening * centre.reach
    value = centre.mean - reach if key[1] else centre.mean + reach
    return Limit(round(max(value, FLOORS.get(key, value)), 4), round(centre.spread, 4))


def _centres(rows: Sequence[Row], apart: Sequence[float | None]) -> dict[str, dict[Key, Centre]]:
    """Of every class and side, and of `ANY` class, which has no `mismatch`; `apart` is the mismatch
    of each row by looks that did not see it."""
    names = [*_by_class(rows), ANY]
    found: dict[str, dict[Key, Centre]] = {name: {} for name in names}
    for side in SIDES:
        columns: dict[str, list[tuple[float, str]]] = {name: [] for name in names}
        for row, own in zip(rows, apart, strict=True):
            value = _value(row, own, side.score)
            if value is not None:
                columns[row.defect_class].append((value, row.group))
                columns[ANY] += [(value, row.group)] if side.score != "mismatch" else []
        pooled = _pooled([[v for v, _ in columns[name]] for name in names[:-1]])
        for name, entries in columns.items():
            found[name][side.score, side.low] = _centre(entries, pooled)
    return found


def _value(row: Row, apart: float | None, score: str) -> float | None:
    return apart if score == "mismatch" else row.scores[score]


def _centre(entries: Sequence[tuple[float, str]], pooled: float) -> Centre:
    """The centre of values and their parts; the standard deviation is shrunk to `pooled`. Without
    values there is no limit: an endless reach."""
    if not entries:
        return Centre(0.0, 1.0, NO_LIMIT)
    values = np.array([value for value, _ in entries])
    parts = len({part for _, part in entries})
    freedom = parts - 1 + PRIOR
    variance = ((parts - 1) * _variance(values) + PRIOR * pooled**2) / freedom
    spread = max(variance**0.5, LEAST_SPREAD)
    factor = tolerance_factor(parts, CONTENT, CONFIDENCE, freedom)
    return Centre(float(values.mean()), spread, factor * spread)


def _variance(values: NDArray[np.float64]) -> float:
    return float(values.var(ddof=1)) if values.size > 1 else 0.0


def _pooled(columns: Iterable[Sequence[float]]) -> float:
    """Standard deviation within classes; a score's usual one where no class has two values."""
    arrays = [np.array(values) for values in columns if len(values) > 1]
    freedom = sum(array.size - 1 for array in arrays)
    squares = sum(_variance(array) * (array.size - 1) for array in arrays)
    return float((squares / freedom) ** 0.5) if freedom else USUAL_SPREAD


def _looks(rows: Sequence[Row]) -> dict[str, ClassLook]:
    return fit({name: [r.look for r in items] for name, items in _by_class(rows).items()})


def _by_class(rows: Sequence[Row]) -> dict[str, list[Row]]:
    found: dict[str, list[Row]] = {}
    for row in sorted(rows, key=lambda r: r.defect_class):
        found.setdefault(row.defect_class, []).append(row)
    return found
