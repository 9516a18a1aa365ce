"""Our generator's defects, on the good photos and at the places that copy-paste gets too."""

from __future__ import annotations

import math
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from aliaug_edge.bundle import Bundle
from aliaug_edge.evaluation.photos import Photo
from aliaug_edge.evaluation.pools.placements import Placement
from aliaug_edge.generation import quality
from aliaug_edge.generation.folder import KEPT
from aliaug_edge.generation.pipeline import Pipeline
from aliaug_edge.generation.placement import Placed
from aliaug_edge.generation.request import Request, RunSettings, check_settings, stable_seed
from aliaug_edge.generation.sample import Job, Result, finish, framed, produce
from aliaug_edge.generation.sources import Sources
from aliaug_edge.quality.limits import worst_excess

LEAST_KEPT = 0.25  # of a class's insertions
SEVERITY = (0.0, 1.0)  # the strengths that were seen in training, all of them
Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Tally:
    """Insertions of a class: `kept` holds the `filled`, which the limits had rejected."""

    asked: int
    kept: int
    filled: int


@dataclass(frozen=True)
class Generated:
    """`photos` by way of blending; `rejected` are the reasons for what the limits did not let pass,
    by name; `classes` counts them."""

    photos: dict[str, list[Photo]]
    rejected: dict[str, str]
    classes: dict[str, Tally]


@dataclass(frozen=True, eq=False)
class _Rejected:
    """A placement whose tries were all rejected, and the `attempt` that came nearest: by
    `distance`, the least first; None where no try gave an image."""

    placement: Placement
    reason: str
    attempt: int | None
    distance: tuple[bool, float, float]


def generate_pool(
    bundle: Bundle,
    placements: Sequence[Placement],
    blends: Sequence[str],
    *,
    seed: int,
    bent: bool = True,
    engine: str = "auto",
    threads: int | None = None,
    progress: Progress | None = None,
) -> Generated:
    """One photo per placement and way of blending, made, judged and retried as `generate` does,
    under the placements' bent masks or the plain ones.

    Where the limits let fewer than `LEAST_KEPT` of a class pass, it is filled up to that with what
    broke them least, and a line on stderr says so: a detector that sees one photo again and again,
    or none of a class, would say nothing about the generator. `rejected` names these too.

    Raises:
        AliAugError: the bundle does not offer a class.
    """
    jobs = {blend: _job(bundle, blend, len(placements), seed, engine) for blend in blends}
    judge = jobs[blends[0]]
    made: dict[str, dict[str, Photo]] = {}
    rejected: list[_Rejected] = []
    with Pipeline(bundle, engine, threads) as pipeline:

        def tries(placement: Placement) -> Iterator[Result]:
            return _tries(judge, placement, seed, pipeline, bent=bent)

        for done, placement in enumerate(placements, 1):
            results = list(tries(placement))
            if results[-1].status == KEPT:
                made[placement.name] = _finished(jobs, placement, results[-1])
            else:
                rejected.append(_rejected(judge, placement, results))
            if progress is not None:
                progress(done, len(placements))
        asked = Counter(placement.defect_class for placement in placements)
        fillers = _fillers(asked, rejected)
        for filler in fillers:
            nearest = next(r for n, r in enumerate(tries(filler.placement)) if n == filler.attempt)
            made[filler.placement.name] = _finished(jobs, filler.placement, nearest)
    chosen = [p for p in placements if p.name in made]
    classes = _tallies(asked, [p.defect_class for p in chosen], fillers)
    _warn(bundle.name, classes, rejected)
    return Generated(
        {blend: [made[p.name][blend] for p in chosen] for blend in blends},
        {one.placement.name: one.reason for one in rejected},
        classes,
    )


def _finished(jobs: dict[str, Job], placement: Placement, result: Result) -> dict[str, Photo]:
    name = placement.name.replace("placement", "generated")
    about = (placement.defect_class, placement.good.group)
    return {blend: Photo(name, *finish(job, result), *about) for blend, job in jobs.items()}


def _tries(
    job: Job, placement: Placement, seed: int, pipeline: Pipeline, *, bent: bool
) -> Iterator[Result]:
    """One after another until one is kept or there may be no more."""
    own = stable_seed(seed, "generated", placement.name)
    severity = np.random.default_rng(stable_seed(own, "severity")).uniform(*SEVERITY)
    request = Request(
        index=0,
        source_image=placement.good.name,
        defect_class=placement.defect_class,
        seed=own,
        severity=round(float(severity), 4),
        mask_source=f"bank:{placement.source.name}",
    )
    placed = Placed(placement.bent_mask if bent else placement.mask, request.mask_source)
    for attempt in range(job.settings.retries + 1):
        prepared = framed(job.bundle, request, attempt, placement.good.image, placed)
        result = produce(job, prepared, pipeline)
        yield result
        if result.status == KEPT:
            return


def _rejected(job: Job, placement: Placement, results: Sequence[Result]) -> _Rejected:
    reason = results[-1].reason or results[-1].status
    distances = [
        (_distance(job, result), attempt)
        for attempt, result in enumerate(results)
        if result.prepared is not None
    ]
    if not distances:
        return _Rejected(placement, reason, None, (True, math.inf, 0.0))
    distance, attempt = min(distances)
    return _Rejected(placement, reason, attempt, distance)


def _distance(job: Job, result: Result) -> tuple[bool, float, float]:
    """How far a rejected insertion is from being kept: whether it is no insertion at all or damages
    its surroundings, the spreads beyond the limits of real defects, and, the more the better, the
    change."""
    found = result.judgement
    assert found is not None
    wanted = (job.settings.min_change, job.settings.min_preservation)
    useless = quality.verdict(found.scores, *wanted) is not None
    excess = 0.0
    if job.limits is not None:
        excess = worst_excess(job.limits, result.request.defect_class, found.signs)
    return useless, excess, -found.scores.change_least


def _fillers(asked: Counter[str], rejected: Sequence[_Rejected]) -> list[_Rejected]:
    """The rejected that are taken all the same: of each class the nearest, up to `LEAST_KEPT`."""
    chosen: list[_Rejected] = []
    for name, count in asked.items():
        own = [one for one in rejected if one.placement.defect_class == name]
        lacking = max(0, math.ceil(LEAST_KEPT * count) - (count - len(own)))
        usable = [one for one in own if one.attempt is not None]
        chosen += sorted(usable, key=lambda one: (one.distance, one.placement.name))[:lacking]
    return chosen


def _tallies(
    asked: Counter[str], chosen: Sequence[str], fillers: Sequence[_Rejected]
) -> dict[str, Tally]:
    kept = Counter(chosen)
    filled = Counter(one.placement.defect_class for one in fillers)
    return {name: Tally(asked[name], kept[name], filled[name]) for name in sorted(asked)}


def _warn(bundle: str, classes: dict[str, Tally], rejected: Sequence[_Rejected]) -> None:
    for name, tally in classes.items():
        if tally.filled:
            first = next(r.reason for r in rejected if r.placement.defect_class == name)
            print(
                f"bundle {bundle}: {tally.kept - tally.filled} of {tally.asked} insertions of "
                f"{name} passed its quality limits (first rejected: {first}); filled up to "
                f"{tally.kept} with what broke them least: train longer or on more defects",
                file=sys.stderr,
            )


def _job(bundle: Bundle, blend: str, count: int, seed: int, engine: str) -> Job:
    settings = RunSettings(count=max(1, count), seed=seed, blend=blend, labels=(), engine=engine)
    sources = Sources(None, None, (64, 64))
    return Job(bundle, check_settings(settings, bundle), sources, {}, bundle.quality())
