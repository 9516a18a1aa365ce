"""Is what was asked for seen? Real defects, their pixels pasted, and what a bundle makes.

ceiling   real test defects on their own photos: what the judge can reach
pasted    their pixels, at the places and under the masks that the bundle gets
blank     nothing at all at those places: what the mask alone gives away
made      the bundle asked for the mask's own class
swap      the bundle asked for another class under the same mask; beside it that class's real
          pixels, seen through the mask
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from aliaug_edge.data.samples import GOOD
from aliaug_edge.evaluation.judging.features import UInt8
from aliaug_edge.evaluation.judging.fidelity import confusion, share
from aliaug_edge.evaluation.judging.insertions import Insertion
from aliaug_edge.evaluation.judging.lessons import alone, under_outline
from aliaug_edge.evaluation.judging.real_judge import RealJudge, verdicts
from aliaug_edge.evaluation.photos import Photo
from aliaug_edge.evaluation.pools.copy_paste import paste
from aliaug_edge.evaluation.pools.placements import Placement


@dataclass(frozen=True, eq=False)
class _Shown:
    """A picture before the judge, and the class it shows or was asked for."""

    image: UInt8
    mask: UInt8
    asked: str
    group: str


def recognised(
    judge: RealJudge, test: Sequence[Photo], places: Sequence[Placement], own: Sequence[Insertion]
) -> dict[str, Any]:
    """Ceiling, pasted, blank and made, and what the judge takes each for."""
    pasted = [paste(place) for place in places]
    shown = {
        "ceiling": [_real(photo) for photo in alone(test)],
        "pasted": [
            _Shown(p.image, p.mask, p.defect_class, place.source.group)
            for p, place in zip(pasted, places, strict=True)
        ],
        "blank": [
            _Shown(place.good.image, place.mask, place.defect_class, place.source.group)
            for place in places
        ],
        "made": [_made(one) for one in own],
    }
    judged = {name: _judged(judge, pictures) for name, pictures in shown.items()}
    made = judged["made"]["share"]
    return {
        **judged,
        "made_of_ceiling": _ratio(made, judged["ceiling"]["share"]),
        "made_of_pasted": _ratio(made, judged["pasted"]["share"]),
    }


def _judged(judge: RealJudge, pictures: Sequence[_Shown]) -> dict[str, Any]:
    seen = verdicts(judge, [p.image for p in pictures], [p.mask for p in pictures])
    asked = [p.asked for p in pictures]
    hits = [v.is_of(name) for v, name in zip(seen, asked, strict=True)]
    return {
        **share(hits, asked, [p.group for p in pictures]),
        "empty": round(sum(v.empty for v in seen) / len(seen), 4),
        "confusion": confusion(asked, [GOOD if v.empty else v.name for v in seen], judge.answers),
    }


def swap_test(
    judge: RealJudge, places: Sequence[Placement], swapped: Sequence[Insertion]
) -> dict[str, Any]:
    """Whether the class asked for wins or that of the mask; the same for real pixels, which is the
    ceiling. The judge `reads` the pixels where their interval lies above chance: else what it says
    of the bundle's swaps means nothing, and there is no `made_of_real`."""
    made = [_made(one) for one in swapped]
    outlines = [place.defect_class for place in places]
    real, lent = [], []
    for number, (one, place) in enumerate(zip(swapped, places, strict=True)):
        sources = [p for p in places if p.defect_class == one.asked]
        source = sources[number % len(sources)]
        if (photo := under_outline(source, place.mask)) is not None:
            real.append(_Shown(photo.image, photo.mask, one.asked, source.source.group))
            lent.append(place.defect_class)
    chance = round(1 / len(set(outlines)), 4)
    ceiling = _winners(judge, real, lent) if real else None
    asked = _winners(judge, made, outlines)
    reads = ceiling is not None and ceiling["request"]["low"] > chance
    return {
        "made": asked,
        "real": ceiling,
        "chance": chance,
        "reads": reads,
        "made_of_real": _ratio(asked["request"]["share"], ceiling["request"]["share"])
        if ceiling is not None and reads
        else None,
    }


def _winners(
    judge: RealJudge, pictures: Sequence[_Shown], outlines: Sequence[str]
) -> dict[str, Any]:
    seen = verdicts(judge, [p.image for p in pictures], [p.mask for p in pictures])
    groups = [p.group for p in pictures]
    wins = [v.is_of(p.asked) for v, p in zip(seen, pictures, strict=True)]
    shape = [v.is_of(name) for v, name in zip(seen, outlines, strict=True)]
    return {
        "request": share(wins, [p.asked for p in pictures], groups),
        "shape": share(shape, outlines, groups),
        "empty": round(sum(v.empty for v in seen) / len(seen), 4),
    }


def _real(photo: Photo) -> _Shown:
    return _Shown(photo.image, photo.mask, photo.defect_class, photo.group)


def _made(one: Insertion) -> _Shown:
    return _Shown(one.image, one.placement.mask, one.asked, one.placement.source.group)


def _ratio(ours: float, limit: float) -> float | None:
    return round(ours / limit, 4) if limit > 0 else None
