"""The aims that the project set itself, and whether this evaluation reaches them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from aliaug_edge.evaluation.conditions import Condition
from aliaug_edge.evaluation.report.numbers import over_groups, percent, signed, signed_percent
from aliaug_edge.evaluation.report.read import Evaluation
from aliaug_edge.evaluation.report.words import decides

OURS = "generated"
OVER_CLASSIC = 0.05
OVER_BEST_OTHER = 0.10
OVER_NOTHING = 0.45
SYNTHETIC_ALONE = 0.60
NO_RESULT = "no result yet"

Document = Mapping[str, Any]
Paired = Callable[[str, str], Document]
"""Two conditions' names to their comparison as plain data, every figure None without a result."""


def aims(evaluation: Evaluation, paired: Paired) -> list[Document]:
    """Each aim that applies: what it is, what came, and whether it is reached.

    `paired` compares two conditions on the groups and seeds that both have. `reached` is None while
    a condition that the aim speaks of has no result yet, or the two share too few groups or seeds
    to decide. An aim that the protocol does not try, for lack of a condition, is left out.
    """
    ours, classic = evaluation.contrast
    if evaluation.condition(ours).pool != OURS:
        return []  # the aims are about our generator
    found = [_over_classic(paired(ours, classic))]
    others = [c.name for c in evaluation.conditions if c.real and c.augment and c.pool != OURS]
    if others:
        found.append(_over_best_other([paired(ours, name) for name in others]))
    if (plain := nothing_added(evaluation)) is not None:
        text = f"at least {signed_percent(OVER_NOTHING)} over real defects alone ({plain.name})"
        found.append(_gain(text, OVER_NOTHING, paired(ours, plain.name)))
    if (alone := synthetic_alone(evaluation)) is not None:
        text = f"synthetic alone ({alone.name}): at least {percent(SYNTHETIC_ALONE)} of {classic}"
        found.append(_share(text, paired(alone.name, classic)))
    return found


def nothing_added(evaluation: Evaluation) -> Condition | None:
    """The condition with real defects alone, without any augmentation."""
    found = (c for c in evaluation.conditions if c.real and not c.augment and c.pool == "none")
    return next(found, None)


def synthetic_alone(evaluation: Evaluation) -> Condition | None:
    """The condition that learns from our photos alone; the primary one's carrier and blend first.

    Which one is fixed by the protocol, and not by what came out.
    """
    ours = evaluation.condition(evaluation.contrast[0])
    found = [c for c in evaluation.conditions if c.pool == OURS and not c.real]
    alike = [c for c in found if (c.carrier, c.blend) == (ours.carrier, ours.blend)]
    return next(iter(alike + found), None)


def _over_classic(row: Document) -> Document:
    text = f"at least {signed(OVER_CLASSIC)} over {row['b']}, interval above zero"
    if row["difference"] is None:
        return _aim(text, None, NO_RESULT)
    return _aim(text, _judged(row, row["difference"] >= OVER_CLASSIC and row["low"] > 0), _by(row))


def _over_best_other(rows: Sequence[Document]) -> Document:
    """The other that ours is least ahead of; which one it is takes a result of each."""
    text = f"at least {signed_percent(OVER_BEST_OTHER)} over the best other augmentation"
    if any(row["relative"] is None for row in rows):
        return _aim(text, None, NO_RESULT)
    best = min(rows, key=lambda row: row["relative"])
    return _gain(f"{text} ({best['b']})", OVER_BEST_OTHER, best)


def _gain(text: str, asked: float, row: Document) -> Document:
    if row["relative"] is None:
        return _aim(text, None, NO_RESULT)
    reached = _judged(row, row["relative"] >= asked)
    return _aim(text, reached, f"{signed_percent(row['relative'])}, {_by(row)}")


def _share(text: str, row: Document) -> Document:
    if not row["mean_b"]:
        return _aim(text, None, NO_RESULT)
    share = row["mean_a"] / row["mean_b"]
    return _aim(text, _judged(row, share >= SYNTHETIC_ALONE), f"{percent(share)}, {_by(row)}")


def _by(row: Document) -> str:
    """The difference with its interval, so that no share stands without one."""
    return f"{signed(row['difference'])} {over_groups(row, differences=True)}"


def _judged(row: Document, reached: bool) -> bool | None:
    return reached if decides(row) else None


def _aim(text: str, reached: bool | None, came: str) -> Document:
    return {"aim": text, "came": came, "reached": reached}
