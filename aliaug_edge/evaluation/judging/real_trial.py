"""A bundle before the judge of real data: held-out masks, held-out good photos, first tries."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor

from aliaug_edge.bundle import Bundle
from aliaug_edge.errors import AliAugError
from aliaug_edge.evaluation.judging.diversity import diversity, memorisation
from aliaug_edge.evaluation.judging.drawn_trial import Trial
from aliaug_edge.evaluation.judging.features import frozen_encoder
from aliaug_edge.evaluation.judging.insertions import Insertion, held_out_placements, inserted
from aliaug_edge.evaluation.judging.lessons import alone
from aliaug_edge.evaluation.judging.preservation import preservation, sharpness_inside
from aliaug_edge.evaluation.judging.real_judge import (
    RealJudge,
    RealJudgeSettings,
    chance_of,
    features,
    train_real_judges,
    verdicts,
)
from aliaug_edge.evaluation.judging.recognition import recognised, swap_test
from aliaug_edge.evaluation.judging.sides import Sides
from aliaug_edge.evaluation.leaks import require_not_trained_on
from aliaug_edge.evaluation.photos import Photo
from aliaug_edge.evaluation.pools.placements import Placement
from aliaug_edge.generation.pipeline import Pipeline
from aliaug_edge.labels.sheet import MOST_ROWS, SheetRow

Say = Callable[[str], None]
ONE_CLASS = "the data have one class, and there is no other to ask for"


@dataclass(frozen=True)
class RealTrialSettings:
    """`per_class` places of each class; at the first `repeated` of them `seeds` insertions, at
    least two."""

    per_class: int = 24
    repeated: int = 3
    seeds: int = 4
    seed: int = 0
    engine: str = "auto"
    judge: RealJudgeSettings = field(default_factory=RealJudgeSettings)


QUICK = RealTrialSettings(
    per_class=6, repeated=1, seeds=3, judge=RealJudgeSettings(views=2, lessons=120)
)


def judge_bundle_on_data(
    bundle: Bundle, sides: Sides, settings: RealTrialSettings, say: Say
) -> Trial:
    """Train a judge on real defects, and let it judge what `bundle` inserts. Equal arguments give
    an equal report.

    Raises:
        DataError: the bundle was trained on test photos, or defects find no place.
        AliAugError: the bundle lacks a class of the data, or nothing is to be inserted.
    """
    if settings.per_class < 1:
        raise AliAugError(f"--count {settings.per_class}: expected at least 1 insertion per class")
    classes = sides.classes
    for name in classes:
        bundle.class_spec(name)
    say("looking for test photos among those that the bundle learned from")
    require_not_trained_on(bundle, [*sides.test, *sides.test_good])
    say(f"the judge learns from {len(sides.learned)} defects of {', '.join(classes)}")
    judges = train_real_judges(sides.learned, sides.train_good, frozen_encoder(), settings.judge)
    judge = judges.plain
    places = held_out_placements(sides.test, sides.test_good, settings.per_class, settings.seed)
    swaps = _swaps(places, classes)
    say(f"inserting {len(places)} defects" + ", and as many of another class" * bool(swaps))
    with Pipeline(bundle, settings.engine, batch=1) as pipeline:
        own = [inserted(pipeline, p, p.defect_class, settings.seed) for p in places]
        swapped = [inserted(pipeline, p, name, settings.seed) for p, name in swaps]
        repeated = own[: settings.repeated * len(classes)]
        repeats = [_again(pipeline, one, settings) for one in repeated]
        engine = pipeline.engine_name()
    say("judging")
    report = {
        "bundle": {"name": bundle.name, "sha256": bundle.sha256},
        "engine": engine,
        "seed": settings.seed,
        "classes": list(classes),
        "chance": chance_of(len(classes)),
        "learned": {"defects": len(sides.learned), "made": settings.judge.lessons},
        **recognised(judge, sides.test, places, own),
        "swap": swap_test(judges.swaps, places, swapped) if judges.swaps is not None else None,
        "swap_left_out": None if judges.swaps is not None else ONE_CLASS,
        **_by_itself(judge, sides, own, repeats),
    }
    return Trial(report, _sheet(judge, [*own, *swapped]))


def _again(pipeline: Pipeline, first: Insertion, settings: RealTrialSettings) -> list[Insertion]:
    """`first`, and other seeds of the same."""
    numbers = range(1, settings.seeds)
    place, name = first.placement, first.asked
    return [first, *(inserted(pipeline, place, name, settings.seed, n) for n in numbers)]


def _by_itself(
    judge: RealJudge,
    sides: Sides,
    own: Sequence[Insertion],
    repeats: Sequence[Sequence[Insertion]],
) -> dict[str, Any]:
    """Preservation, sharpness, diversity and memorisation."""
    test, train = alone(sides.test), alone(sides.train)
    test_rows = features(judge, [p.image for p in test], [p.mask for p in test])
    train_rows = features(judge, [p.image for p in train], [p.mask for p in train])
    seeds = [(tries[0].asked, _rows(judge, tries)) for tries in repeats]
    named_test = [(p.defect_class, row) for p, row in zip(test, test_rows, strict=True)]
    named_made = [(one.asked, row) for one, row in zip(own, _rows(judge, own), strict=True)]
    pictures = [(one.image, one.placement.mask, one.asked) for one in own]
    return {
        "preservation": preservation(own, judge.vae),
        "sharpness_inside": sharpness_inside(pictures, test),
        "diversity": diversity(seeds, _per_class(test, test_rows)),
        "memorisation": memorisation(named_made, named_test, _per_class(train, train_rows)),
    }


def _swaps(places: Sequence[Placement], classes: tuple[str, ...]) -> list[tuple[Placement, str]]:
    """Each place with another class than its own, all others in turn; nothing of one class."""
    swaps = []
    for number, place in enumerate(places):
        index = classes.index(place.defect_class)
        if others := classes[index + 1 :] + classes[:index]:
            swaps.append((place, others[number // len(classes) % len(others)]))
    return swaps


def _rows(judge: RealJudge, made: Sequence[Insertion]) -> Tensor:
    return features(judge, [one.image for one in made], [one.placement.mask for one in made])


def _per_class(photos: Sequence[Photo], rows: Tensor) -> Mapping[str, Tensor]:
    names = [photo.defect_class for photo in photos]
    return {name: rows[torch.tensor([own == name for own in names])] for name in sorted(set(names))}


def _sheet(judge: RealJudge, made: Sequence[Insertion]) -> list[SheetRow]:
    places = np.linspace(0, len(made) - 1, min(MOST_ROWS, len(made))).round().astype(int)
    chosen = [made[place] for place in places]
    seen = verdicts(judge, [one.image for one in chosen], [one.placement.mask for one in chosen])
    return [
        SheetRow(
            one.placement.good.image,
            one.placement.mask,
            one.image,
            f"asked {one.asked}, outline {one.placement.defect_class}, seen {verdict.name}"
            + " (or nothing)" * verdict.empty,
        )
        for one, verdict in zip(chosen, seen, strict=True)
    ]
