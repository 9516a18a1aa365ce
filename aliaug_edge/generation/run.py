"""A whole dataset from one call: planned, resumable, the disk working while the engine does."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from typing import Any

from aliaug_edge.bundle import Bundle
from aliaug_edge.errors import DataError, OutputError
from aliaug_edge.generation import folder
from aliaug_edge.generation.assemble import assemble
from aliaug_edge.generation.pipeline import Pipeline
from aliaug_edge.generation.placement import PlacementError
from aliaug_edge.generation.plan import checked_plan
from aliaug_edge.generation.request import Request, RunSettings
from aliaug_edge.generation.sample import (
    FAILED,
    KEPT,
    Job,
    Prepared,
    Result,
    prepare,
    produce,
    write_sample,
)
from aliaug_edge.generation.summary import Summary, summarise

WORKERS = 2  # threads that read ahead and write behind; zlib, decoding and files release the GIL
AHEAD = 3  # requests prepared before the engine asks for them
BEHIND = 3  # results waiting to be written; both bounds keep memory flat

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
        BundleError: unknown class. DataError: no images, or masks that cannot be used.
        OutputError: `out_dir` holds something else or another request, or cannot be written.
    """
    started = time.perf_counter()
    job, requests = checked_plan(bundle, settings, images_dir, masks_dir)
    _require_apart(out_dir, images_dir, masks_dir)
    folder.claim(out_dir, _request_document(job))
    if folder.is_complete(out_dir):
        folder.drop_records(out_dir)
        samples = folder.read_samples(out_dir)
        return summarise(out_dir, samples, time.perf_counter() - started)
    records = folder.read_records(out_dir)
    todo = [request for request in requests if request.index not in records]
    engine_s = 0.0
    if todo:
        show = partial(progress or _silent, len(requests))
        with Pipeline(bundle, job.settings.engine, threads, batch=1) as pipeline:
            folder.require_engine(out_dir, records, pipeline.engine_name())
            _make(job, todo, pipeline, out_dir, show)
        engine_s = pipeline.engine_s
        records = folder.read_records(out_dir)
    assemble(out_dir, records, job.settings, job.sources)
    summary = summarise(out_dir, records, time.perf_counter() - started, engine_s, len(todo))
    folder.complete(out_dir, summary.counts())  # from here on there are no records
    return summary


def _make(
    job: Job, todo: list[Request], pipeline: Pipeline, out_dir: Path, show: Callable[[int], None]
) -> None:
    """Make and write `todo`. The engine runs in this thread; batches would tie a sample's bytes to
    its neighbours, so each request runs alone."""
    about = {
        "bundle_sha256": job.bundle.sha256,
        "engine": pipeline.engine_name(),
        "precision": job.bundle.precision,
    }
    writing: deque[Future[int]] = deque()
    pool = ThreadPoolExecutor(WORKERS, thread_name_prefix="generate")
    try:
        for request, prepared in _read_ahead(pool, job, todo):
            result = _best_try(job, request, prepared, pipeline)
            writing.append(pool.submit(_write, job, result, out_dir, about))
            while len(writing) > BEHIND or (writing and writing[0].done()):
                show(writing.popleft().result())
        while writing:
            show(writing.popleft().result())
    finally:
        pool.shutdown(cancel_futures=True)


def _read_ahead(
    pool: ThreadPoolExecutor, job: Job, todo: Iterable[Request]
) -> Iterator[tuple[Request, Future[Prepared]]]:
    queue: deque[tuple[Request, Future[Prepared]]] = deque()
    for request in todo:
        queue.append((request, pool.submit(prepare, job, request)))
        if len(queue) > AHEAD:
            yield queue.popleft()
    yield from queue


def _best_try(job: Job, request: Request, first: Future[Prepared], pipeline: Pipeline) -> Result:
    """The first try that is good enough; else the last one that the model answered."""
    result: Result | None = None
    for attempt in range(job.settings.retries + 1):
        try:
            prepared = prepare(job, request, attempt) if attempt else first.result()
            result = produce(job, prepared, pipeline)
        except PlacementError as error:
            result = result or Result(request, FAILED, 1, str(error))
        except DataError as error:  # the image or its mask: no seed helps
            return Result(request, FAILED, attempt + 1, str(error))
        if result.status == KEPT:
            break
    assert result is not None
    return replace(result, tries=attempt + 1)


def _write(job: Job, result: Result, out_dir: Path, about: Mapping[str, str]) -> int:
    """The record comes last: it says that the rest is there. Returns how many are done."""
    record = write_sample(job, result, out_dir, about)
    folder.write_record(out_dir, result.request.index, record)
    return result.request.index + 1


def _request_document(job: Job) -> dict[str, Any]:
    return {
        "settings": asdict(job.settings),
        "bundle": {"name": job.bundle.name, "sha256": job.bundle.sha256},
        "sources": {"images": len(job.sources.names), "sha256": job.sources.fingerprint()},
    }


def _require_apart(out_dir: Path, *inputs: Path | None) -> None:
    """Output inside an input folder would become the next run's input."""
    for path in inputs:
        if path is not None and out_dir.resolve().is_relative_to(path.resolve()):
            raise OutputError(f"--out {out_dir} lies in the input folder {path}; choose another")


def _silent(requested: int, done: int) -> None:
    del requested, done
