"""The aims that the project set itself, and whether this evaluation reaches them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from aliaug_edge.evaluation.conditions import Condition
from aliaug_edge.evaluation.report.numbers import interval, percent, signed, signed_percent
from aliaug_edge.evaluation.report.read import Evaluation
from aliaug_edge.evaluation.report.words import decides

OURS = "generated"
OVER_CLASSIC = 0.05
OVER_BEST_OTHER = 0.10
OVER_NOTHING = 0.45
SYNTHETIC_ALONE = 0.60

Document = Mapping[str, Any]


def aims(evaluation: Evaluation, levels: Mapping[str, float], primary: Document) -> list[Document]:
    """Each aim that applies: what it is, what came, and whether it is reached.

    `levels`: the primary measure of every condition that has one. `reached` is None while a
    condition that the aim speaks of has no result yet, or all results come from too few groups or
    seeds to decide. An aim that the protocol does not try, for
    lack of a condition, is left out.
    """
    if evaluation.condition(evaluation.contrast[0]).pool != OURS:
        return []  # the aims are about our generator
    found = [*_over_classic(primary), *_relative_aims(evaluation, levels)]
    if primary["low"] is not None and not decides(primary):
        return [{**aim, "reached": None} for aim in found]
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


def _over_classic(primary: Document) -> Iterator[Document]:
    text = f"at least {signed(OVER_CLASSIC)} over {primary['b']}, interval above zero"
    if primary["difference"] is None:
        yield _aim(text, None, "no result yet")
        return
    reached = primary["difference"] >= OVER_CLASSIC and primary["low"] > 0
    between = interval(primary["low"], primary["high"], differences=True)
    yield _aim(text, reached, f"{signed(primary['difference'])} {between}")


def _relative_aims(evaluation: Evaluation, levels: Mapping[str, float]) -> Iterator[Document]:
    ours, classic = evaluation.contrast
    others = [c for c in evaluation.conditions if c.real and c.augment and c.pool != OURS]
    if others:
        there = [c for c in others if c.name in levels]
        best = max(there, key=lambda c: levels[c.name]).name if len(there) == len(others) else None
        of = f" ({best})" if best else ""
        text = f"at least {signed_percent(OVER_BEST_OTHER)} over the best other augmentation{of}"
        yield _gain(text, OVER_BEST_OTHER, levels.get(ours), levels.get(best or ""))
    if (plain := nothing_added(evaluation)) is not None:
        text = f"at least {signed_percent(OVER_NOTHING)} over real defects alone ({plain.name})"
        yield _gain(text, OVER_NOTHING, levels.get(ours), levels.get(plain.name))
    if (alone := synthetic_alone(evaluation)) is not None:
        text = f"synthetic alone ({alone.name}): at least {percent(SYNTHETIC_ALONE)} of {classic}"
        yield _share(text, levels.get(alone.name), levels.get(classic))


def _gain(text: str, asked: float, ours: float | None, other: float | None) -> Document:
    if ours is None or not other:
        return _aim(text, None, "no result yet")
    return _aim(text, ours / other - 1 >= asked, signed_percent(ours / other - 1))


def _share(text: str, alone: float | None, classic: float | None) -> Document:
    if alone is None or not classic:
        return _aim(text, None, "no result yet")
    return _aim(text, alone / classic >= SYNTHETIC_ALONE, percent(alone / classic))


def _aim(text: str, reached: bool | None, came: str) -> Document:
    return {"aim": text, "came": came, "reached": reached}
