"""Our generator's defects, on the good photos and at the places that copy-paste gets too."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from aliaug_edge.bundle import Bundle
from aliaug_edge.evaluation.photos import Photo
from aliaug_edge.evaluation.pools.placements import Placement
from aliaug_edge.generation.pipeline import Pipeline
from aliaug_edge.generation.placement import Placed
from aliaug_edge.generation.request import Request, RunSettings, check_settings, stable_seed
from aliaug_edge.generation.sample import KEPT, Job, Result, finish, framed, produce
from aliaug_edge.generation.sources import Sources

SEVERITY = (0.0, 1.0)  # the strengths that were seen in training, all of them
Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Generated:
    """`photos` by way of blending; `rejected` are the reasons for what was not kept, by name."""

    photos: dict[str, list[Photo]]
    rejected: dict[str, str]


def generate_pool(
    bundle: Bundle,
    placements: Sequence[Placement],
    blends: Sequence[str],
    *,
    seed: int,
    engine: str = "auto",
    threads: int | None = None,
    progress: Progress | None = None,
) -> Generated:
    """One photo per placement and way of blending, made, judged and retried as `generate` does.

    Where the limits let nothing pass, everything is kept and a line on stderr says so: what such a
    generator is worth, the detectors say. `rejected` then still names what the limits found.

    Raises:
        AliAugError: the bundle does not offer a class.
    """
    ways = (seed, engine, threads, progress)
    made = _pool(bundle, placements, blends, "calibrated", *ways)
    if not placements or made.photos[blends[0]]:
        return made
    first = next(iter(made.rejected.values()))
    print(
        f"bundle {bundle.name}: none of {len(placements)} insertions passed its quality limits "
        f"(first: {first}); all are kept: train longer or on more defects",
        file=sys.stderr,
    )
    return Generated(_pool(bundle, placements, blends, "off", *ways).photos, made.rejected)


def _pool(
    bundle: Bundle,
    placements: Sequence[Placement],
    blends: Sequence[str],
    quality: str,
    seed: int,
    engine: str,
    threads: int | None,
    progress: Progress | None,
) -> Generated:
    jobs = {blend: _job(bundle, blend, len(placements), seed, engine, quality) for blend in blends}
    photos: dict[str, list[Photo]] = {blend: [] for blend in blends}
    rejected: dict[str, str] = {}
    with Pipeline(bundle, engine, threads) as pipeline:
        for done, placement in enumerate(placements, 1):
            result = _made(jobs[blends[0]], placement, seed, pipeline)
            if result.status != KEPT:
                rejected[placement.name] = result.reason or result.status
            else:
                for blend, job in jobs.items():
                    image, mask = finish(job, result)
                    name = placement.name.replace("placement", "generated")
                    photos[blend].append(
                        Photo(name, image, mask, placement.defect_class, placement.good.group)
                    )
            if progress is not None:
                progress(done, len(placements))
    return Generated(photos, rejected)


def _made(job: Job, placement: Placement, seed: int, pipeline: Pipeline) -> Result:
    """The first kept try, or the last."""
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
    placed = Placed(placement.bent_mask, request.mask_source)
    for attempt in range(job.settings.retries + 1):
        prepared = framed(job.bundle, request, attempt, placement.good.image, placed)
        result = produce(job, prepared, pipeline)
        if result.status == KEPT:
            break
    return result


def _job(bundle: Bundle, blend: str, count: int, seed: int, engine: str, quality: str) -> Job:
    settings = RunSettings(
        count=max(1, count), seed=seed, blend=blend, labels=(), engine=engine, quality=quality
    )
    sources = Sources(None, None, (64, 64))
    limits = bundle.quality() if quality == "calibrated" else None
    return Job(bundle, check_settings(settings, bundle), sources, {}, limits)
