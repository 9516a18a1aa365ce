"""One sample from its request: prepare (read, place, cut) → the model → finish (blend, encode).

The three steps are apart so that a run can read ahead and write behind while the engine works.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from aliaug_edge import crops, files, imaging
from aliaug_edge.bundle import Bundle
from aliaug_edge.errors import DataError
from aliaug_edge.generation.blend import blend
from aliaug_edge.generation.folder import FAILED, KEPT, LABEL, REJECTED
from aliaug_edge.generation.judging import Judgement, judged
from aliaug_edge.generation.pipeline import Pipeline
from aliaug_edge.generation.placement import Placed, PlacementError, from_bank, from_shape
from aliaug_edge.generation.request import Request, RunSettings, attempt_seed, stable_seed
from aliaug_edge.generation.runners import NonFiniteError
from aliaug_edge.generation.sources import Source, Sources
from aliaug_edge.labels.instances import instances_of
from aliaug_edge.mask_bank import MaskShape
from aliaug_edge.quality.limits import Limits

FILE = "file:"

UInt8 = NDArray[np.uint8]


@dataclass(frozen=True)
class Job:
    """What all samples of a run share; read-only, so any number of threads may use it."""

    bundle: Bundle
    settings: RunSettings
    sources: Sources
    bank: Mapping[str, Sequence[MaskShape]]  # of the training masks, per class
    limits: Limits | None = None  # that real defects allow


@dataclass(frozen=True)
class Prepared:
    """A request that is ready for the model: `shown` (h, w, 3) and `shown_mask` (h, w) uint8 are
    what it will see of `image` (H, W, 3) and `mask` (H, W) under `window`. `grey` says that the
    image is grey, and will stay so."""

    request: Request
    attempt: int
    image: UInt8
    mask: UInt8
    mask_source: str
    window: crops.Window
    shown: UInt8
    shown_mask: UInt8
    grey: bool


@dataclass(frozen=True)
class Result:
    """What became of a request. `prepared` and `raw` (h, w, 3) are None when it failed; `blended`
    is that of `runners.Answer`; `error` is there where NaN or infinity was the reason."""

    request: Request
    status: str
    tries: int
    reason: str | None
    judgement: Judgement | None = None
    prepared: Prepared | None = None
    raw: NDArray[np.float32] | None = None
    blended: Mapping[str, UInt8] = field(default_factory=dict)
    error: NonFiniteError | None = None


def prepare(job: Job, request: Request, attempt: int = 0) -> Prepared:
    """Read the image, make the mask, cut the crop.

    Raises:
        DataError: the image or mask cannot be used, or the mask finds no place.
    """
    source = job.sources.load(request.source_image)
    placed = _placed(job, request, attempt, source)
    return framed(job.bundle, request, attempt, source.image, placed)


def framed(
    bundle: Bundle, request: Request, attempt: int, image: UInt8, placed: Placed
) -> Prepared:
    """What the model will see of `image` (H, W, 3) around the mask that `placed` holds.

    Raises:
        PlacementError: the mask vanishes at the model's size.
    """
    box = crops.mask_box(placed.mask)
    size_hw = crops.size_for(box, bundle.sizes)
    window = crops.window_around(box, (image.shape[0], image.shape[1]), size_hw)
    shown_mask = crops.resize_mask(crops.cut(placed.mask, window), size_hw)
    if not shown_mask.any():
        raise PlacementError(
            f"mask {placed.mask_source} of {request.source_image} has no pixel left at the model's "
            f"size of {size_hw[1]} x {size_hw[0]} px; paint it larger"
        )
    return Prepared(
        request=request,
        attempt=attempt,
        image=image,
        mask=placed.mask,
        mask_source=placed.mask_source,
        window=window,
        shown=crops.resize(crops.cut(image, window), size_hw),
        shown_mask=shown_mask,
        grey=imaging.is_grey(image),
    )


def produce(job: Job, prepared: Prepared, pipeline: Pipeline) -> Result:
    """Run the model once and judge what it gave."""
    request = prepared.request
    tries = prepared.attempt + 1
    try:
        answer = pipeline.insert(
            prepared,
            request.defect_class,
            attempt_seed(request.seed, prepared.attempt),
            request.severity,
            job.settings.blend,
        )
    except NonFiniteError as error:
        return Result(request, FAILED, tries, str(error), error=error)
    seen = crops.seen(prepared.window, prepared.image.shape, prepared.shown_mask.shape)
    found = judged(
        prepared.shown[seen],
        prepared.shown_mask[seen],
        answer.raw[seen],
        request.defect_class,
        job.settings,
        job.limits,
        grey=prepared.grey,
    )
    if not found.scores.are_finite():  # no JSON can hold them
        return Result(request, FAILED, tries, found.reason)
    status = KEPT if found.reason is None else REJECTED
    return Result(request, status, tries, found.reason, found, prepared, answer.raw, answer.blended)


def finish(job: Job, result: Result) -> tuple[UInt8, UInt8]:
    """The finished image (H, W, 3) and its mask (H, W), uint8, of a kept result."""
    prepared, raw = result.prepared, result.raw
    assert prepared is not None
    assert raw is not None
    image, mode = prepared.image.copy(), job.settings.blend
    patch = result.blended.get(mode)
    if patch is None:
        patch = blend(
            crops.cut(prepared.image, prepared.window),
            crops.cut(prepared.mask, prepared.window),
            prepared.shown,
            raw,
            mode=mode,
            grey=prepared.grey,
        )
    crops.put(image, prepared.window, patch)
    return image, prepared.mask


def write_sample(
    job: Job, result: Result, out_dir: Path, about: Mapping[str, str]
) -> dict[str, Any]:
    """Write image and mask of a kept result, and give its record: the line for samples.jsonl, and
    under `LABEL` what the label files will say, found here because the engine works meanwhile.

    `about` holds what is equal for all samples: bundle_sha256, engine, precision.

    Raises:
        OutputError: the folder cannot be written.
    """
    names: dict[str, str | None] = {"image": None, "mask": None}
    label: dict[str, Any] = {}
    if result.status == KEPT:
        image, mask = finish(job, result)
        if job.settings.labels:
            found = [instance.document() for instance in instances_of(mask)]
            label = {LABEL: {"hw": list(mask.shape), "instances": found}}
        for key, pixels in (("image", image), ("mask", mask)):
            name = f"{key}s/{result.request.index:06d}.png"
            files.write_bytes(out_dir / name, imaging.encode_png(pixels, synthetic=True))
            names[key] = name
    return {**_facts(job, result), **names, **about, **label}


def _facts(job: Job, result: Result) -> dict[str, Any]:
    request, prepared = result.request, result.prepared
    window = prepared.window if prepared else None
    return {
        "index": request.index,
        "source_image": request.source_image,
        "defect_class": request.defect_class,
        "seed": request.seed,
        "severity": request.severity,
        "blend": job.settings.blend,
        "mask_source": prepared.mask_source if prepared else request.mask_source,
        "area_fraction": round(np.count_nonzero(prepared.mask) / prepared.mask.size, 6)
        if prepared
        else None,
        "window": [window.top, window.left, window.height, window.width] if window else None,
        "status": result.status,
        "tries": result.tries,
        "scores": result.judgement.document() if result.judgement else None,
        "signature": result.judgement.signature if result.judgement else None,
        "reason": result.reason,
    }


def _placed(job: Job, request: Request, attempt: int, source: Source) -> Placed:
    if request.mask_source.startswith(FILE):
        name = request.mask_source.removeprefix(FILE)
        image_hw = (source.image.shape[0], source.image.shape[1])
        return Placed(job.sources.mask(name, image_hw), request.mask_source)
    seed = stable_seed(attempt_seed(request.seed, attempt), "placement")
    rng = np.random.default_rng(seed)
    if request.mask_source == "bank":
        shapes = job.bank[request.defect_class]
        return from_bank(shapes, request.defect_class, source.part, request.area, rng)
    if request.mask_source == "shape":
        largest = max(job.bundle.sizes, key=lambda hw: hw[0] * hw[1])
        return from_shape(request.defect_class, source.part, request.area, rng, largest)
    raise DataError(f"request {request.index}: unknown mask source {request.mask_source!r}")
