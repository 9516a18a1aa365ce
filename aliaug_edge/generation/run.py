"""A whole dataset from one call: planned, resumable, the disk working while the engine does."""

from __future__ import annotations

import itertools
import os
import sys
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from typing import Any

from aliaug_edge import __version__
from aliaug_edge.bundle import Bundle
from aliaug_edge.engines.installed import version_of
from aliaug_edge.errors import AliAugError, DataError, OutputError
from aliaug_edge.generation import folder
from aliaug_edge.generation.assemble import assemble, described_in
from aliaug_edge.generation.pipeline import Pipeline, engine_for, subject
from aliaug_edge.generation.placement import PlacementError
from aliaug_edge.generation.plan import Plan, checked_plan, plan_run
from aliaug_edge.generation.request import Request, RunSettings
from aliaug_edge.generation.runners import NON_FINITE, UNTRACED
from aliaug_edge.generation.sample import Job, Result, prepare, produce, write_sample
from aliaug_edge.generation.summary import Summary, summarise
from aliaug_edge.lock import exclusive

# Threads: one in the engine (on TensorRT two), the others around it, mostly without the GIL.
WORKERS = 3
AHEAD = 6  # requests begun or waiting; the bound keeps memory flat
TENSORRT = tuple(
    f"tensorrt{kind}{cuda}" for kind in ("", "-lean") for cuda in ("", "-cu12", "-cu13")
)
MAKERS = ("numpy", "onnxruntime", "onnxruntime-gpu", "pillow", *TENSORRT)
SOURCE_SHA256 = "source_sha256"  # in a record: of the good image's file

Progress = Callable[[int, int], None]


def generate_dataset(
    bundle: Bundle,
    settings: RunSettings,
    out_dir: Path,
    images_dir: Path | None = None,
    masks_dir: Path | None = None,
    *,
    threads: int | None = None,
    progress: Progress | None = None,
) -> Summary:
    """Make the dataset that `settings` ask for in `out_dir`, or continue it where it stopped.

    An interrupted run that is started again ends with the same bytes as an uninterrupted one.
    Without `images_dir` the good images are drawn surfaces. `threads` are the engine's.
    `progress` is called with (requested, done) whenever a sample is on disk.

    Raises:
        BundleError: unknown class. DataError: no images, masks that cannot be used, or an image
            that changed since it was begun.
        OutputError: `out_dir` holds something else or another request, another run is writing to
            it, or it cannot be written.
    """
    started = time.perf_counter()
    job, requests, document = _checked(bundle, settings, out_dir, images_dir, masks_dir)
    with exclusive(out_dir):
        folder.check(out_dir, document)  # again: another run may have held it a moment ago
        if folder.is_complete(out_dir):
            samples = _finished(job, out_dir, len(requests))
            return summarise(out_dir, samples, time.perf_counter() - started)
        show = partial(progress or _silent, len(requests))
        made, engine_s = _make_missing(job, requests, document, out_dir, threads, show)
        records = folder.read_records(out_dir)
        folder.require_all(out_dir, records, len(requests))
        assemble(out_dir, records, job)
        summary = summarise(out_dir, records, time.perf_counter() - started, engine_s, made)
        folder.complete(out_dir, summary.counts())  # from here on there are no records
        return summary


def plan_dataset(
    bundle: Bundle,
    settings: RunSettings,
    out_dir: Path,
    images_dir: Path | None = None,
    masks_dir: Path | None = None,
) -> Plan:
    """What `generate_dataset` would do with these arguments; writes nothing.

    Raises:
        AliAugError: as `generate_dataset`, for what can be known before.
    """
    _checked(bundle, settings, out_dir, images_dir, masks_dir)
    return plan_run(bundle, settings, images_dir, masks_dir)


def _checked(
    bundle: Bundle,
    settings: RunSettings,
    out_dir: Path,
    images_dir: Path | None,
    masks_dir: Path | None,
) -> tuple[Job, list[Request], dict[str, Any]]:
    """The work, and the document that claims `out_dir` for it, which it may."""
    job, requests = checked_plan(bundle, settings, images_dir, masks_dir)
    _require_apart(out_dir, images_dir, masks_dir)
    document = _request_document(job, requests)
    folder.check(out_dir, document)
    return job, requests, document


def _finished(job: Job, out_dir: Path, count: int) -> dict[int, folder.Record]:
    """The samples of a folder that says it is complete, once that is seen to be true."""
    folder.drop_records(out_dir)
    samples = folder.read_samples(out_dir)
    beside = described_in(samples, job.settings.labels)
    folder.require_files(out_dir, samples, count, beside)
    _require_same_images(job, samples)
    return samples


def _make_missing(
    job: Job,
    requests: list[Request],
    document: Mapping[str, Any],
    out_dir: Path,
    threads: int | None,
    show: Callable[[int], None],
) -> tuple[int, float]:
    """Make what has no record yet; how many those were, and the seconds in the engine. The folder
    is claimed when the engine is open: one that does not start keeps no other request out."""
    records = folder.read_records(out_dir)
    _require_same_images(job, records)
    todo = _by_source([request for request in requests if request.index not in records])
    with Pipeline(job.bundle, job.settings.engine, threads, batch=1) as pipeline:
        maker = _maker(pipeline)
        folder.claim(out_dir, document)
        folder.require_maker(out_dir, records, maker)
        done = itertools.count(len(records) + 1)
        _make(job, todo, pipeline, out_dir, lambda: show(next(done)))
        _trace(job, requests, pipeline, out_dir)
    return len(todo), pipeline.engine_s


def _make(
    job: Job, todo: list[Request], pipeline: Pipeline, out_dir: Path, show: Callable[[], None]
) -> None:
    """Make and write `todo`. A worker takes a request from its image to its files; while one is in
    the engine, the others read, judge and write. Batches would tie a sample's bytes to its
    neighbours, so each request runs alone."""
    about = {
        "bundle_sha256": job.bundle.sha256,
        "engine": pipeline.engine_name(),
        "precision": job.bundle.precision,
    }
    running: deque[Future[None]] = deque()
    pool = ThreadPoolExecutor(WORKERS, thread_name_prefix="generate")
    try:
        for request in todo:
            running.append(pool.submit(_one, job, request, pipeline, out_dir, about))
            while len(running) > AHEAD or (running and running[0].done()):
                running.popleft().result()
                show()
        while running:
            running.popleft().result()
            show()
    finally:
        pool.shutdown(cancel_futures=True)


def _one(
    job: Job, request: Request, pipeline: Pipeline, out_dir: Path, about: Mapping[str, str]
) -> None:
    """Make and write one sample. The record comes last: it says that the rest is there."""
    content = job.sources.sha256(request.source_image)
    result = _best_try(job, request, pipeline)
    record = {**write_sample(job, result, out_dir, about), SOURCE_SHA256: content}
    folder.write_record(out_dir, request.index, record)


def _trace(job: Job, requests: Sequence[Request], pipeline: Pipeline, out_dir: Path) -> None:
    """Say, in the reason of the run's first sample with NaN or infinity, where those began.

    Once, because it takes long; and when all samples are there, because which of them comes first
    while they are made is chance. The sample is made again for it.
    """
    records = folder.read_records(out_dir)
    broken = (i for i in sorted(records) if (records[i]["reason"] or "").endswith(NON_FINITE))
    index = next(broken, None)
    if index is None or records[index]["reason"] != f"{subject(job.bundle)} | {UNTRACED}":
        return
    print(f"sample {index:06d}: looking for where its non-finite values began", file=sys.stderr)
    try:
        error = _best_try(job, requests[index], pipeline).error
    except AliAugError:  # such as a GPU that is lost; the samples stand without it
        return
    if error is not None:
        record = {**records[index], "reason": str(error.traced())}
        folder.write_record(out_dir, index, record)


def _by_source(requests: Sequence[Request]) -> list[Request]:
    """Requests of one good image after another, so that what was read and encoded of it is still
    there for its next defect; the images in the order in which they come first."""
    first: dict[str, int] = {}
    for request in requests:
        first.setdefault(request.source_image, request.index)
    return sorted(requests, key=lambda request: (first[request.source_image], request.index))


def _best_try(job: Job, request: Request, pipeline: Pipeline) -> Result:
    """The first try that is good enough; else the last one that the model answered."""
    result: Result | None = None
    for attempt in range(job.settings.retries + 1):
        try:
            result = produce(job, prepare(job, request, attempt), pipeline)
        except PlacementError as error:
            result = result or Result(request, folder.FAILED, 1, str(error))
        except DataError as error:  # the image or its mask: no seed helps
            return Result(request, folder.FAILED, attempt + 1, str(error))
        if result.status == folder.KEPT:
            break
    assert result is not None
    return replace(result, tries=attempt + 1)


def _require_same_images(job: Job, records: Mapping[int, folder.Record]) -> None:
    """What is there must come from the images as they are now, or equal bytes are not to be had."""
    job.sources.require_unchanged(
        {record["source_image"]: record[SOURCE_SHA256] for record in records.values()}
    )


def _maker(pipeline: Pipeline) -> dict[str, str]:
    """What the bytes of a sample depend on beside the request: the engine, and the versions of
    what computes and encodes."""
    versions = {package: version_of(package) for package in MAKERS}
    installed = {package: version for package, version in versions.items() if version}
    engine = {"engine": pipeline.engine_name(), **pipeline.made_by()}
    return {**engine, "aliaug-edge": __version__, **installed}


def _request_document(job: Job, requests: Sequence[Request]) -> dict[str, Any]:
    used = [request.source_image for request in requests]
    # Asking for "auto" and for the engine that it takes is one and the same request.
    engine = engine_for(job.bundle, job.settings.engine).name
    return {
        "settings": {**asdict(job.settings), "engine": engine},
        "bundle": {"name": job.bundle.name, "sha256": job.bundle.sha256},
        "sources": {"images": len(job.sources.names), "sha256": job.sources.fingerprint(used)},
    }


def _require_apart(out_dir: Path, *inputs: Path | None) -> None:
    """Output inside an input folder would become the next run's input."""
    for path in inputs:
        if path is not None and _real(out_dir).is_relative_to(_real(path)):
            raise OutputError(f"--out {out_dir} lies in the input folder {path}; choose another")


def _real(path: Path) -> Path:
    """Where `path` leads. `Path.resolve` ends with an error of its own where a link leads to
    itself; whoever opens the path has a better one."""
    return Path(os.path.realpath(path))


def _silent(requested: int, done: int) -> None:
    del requested, done
