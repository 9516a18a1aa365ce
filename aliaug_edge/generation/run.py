"""A whole dataset from one call: planned, resumable, the disk working while the engine does."""

from __future__ import annotations

import time
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from aliaug_edge.bundle import Bundle
from aliaug_edge.engines import open_engine
from aliaug_edge.errors import DataError, OutputError
from aliaug_edge.generation import folder
from aliaug_edge.generation.assemble import assemble
from aliaug_edge.generation.pipeline import Pipeline
from aliaug_edge.generation.placement import PlacementError
from aliaug_edge.generation.request import Request, RunSettings, check_settings, plan_requests
from aliaug_edge.generation.sample import (
    FAILED,
    KEPT,
    REJECTED,
    Bank,
    Prepared,
    Result,
    prepare,
    produce,
    write_sample,
)
from aliaug_edge.generation.sources import Sources
from aliaug_edge.labels.writer import check_formats

WORKERS = 2  # threads that read ahead and write behind; zlib, decoding and files release the GIL
AHEAD = 3  # requests prepared before the engine asks for them
BEHIND = 3  # results waiting to be written; both bounds keep memory flat

Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Summary:
    """How a run ended; requested = kept + rejected + failed. Times are of this call alone."""

    out_dir: str
    requested: int
    kept: int
    rejected: int
    failed: int
    per_class: Mapping[str, Mapping[str, int]]
    first_reason: str | None
    contact_sheet: str | None
    engine: str
    wall_s: float
    engine_s: float
    images_per_s: float


@dataclass(frozen=True)
class Plan:
    """What a run would do, for --dry-run."""

    requested: int
    per_class: Mapping[str, int]
    per_mask_source: Mapping[str, int]
    sources: int
    estimated_mb: float


def plan_run(
    bundle: Bundle, settings: RunSettings, images_dir: Path | None, masks_dir: Path | None = None
) -> Plan:
    """What `generate_dataset` would do with these arguments; writes nothing.

    Raises:
        AliAugError: as `generate_dataset`, for what can be known before.
    """
    sources, requests = _planned(bundle, settings, images_dir, masks_dir)
    names = [request.source_image for request in requests]
    return Plan(
        requested=len(requests),
        per_class=dict(sorted(Counter(r.defect_class for r in requests).items())),
        per_mask_source=dict(
            sorted(Counter(r.mask_source.split(":")[0] for r in requests).items())
        ),
        sources=len(set(names)),
        estimated_mb=round(sources.estimated_bytes(names) / 1e6, 2),
    )


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
    `progress` is called with (requested, done) after every request.

    Raises:
        BundleError: unknown class. DataError: no images, or masks that cannot be used.
        OutputError: `out_dir` holds something else or another request, or cannot be written.
    """
    started = time.perf_counter()
    sources, requests = _planned(bundle, settings, images_dir, masks_dir)
    settings = check_settings(settings, bundle)
    _require_apart(out_dir, images_dir, masks_dir)
    folder.claim(out_dir, _request_document(bundle, settings, sources))
    engine_s, made = 0.0, 0
    if folder.is_complete(out_dir):
        folder.drop_records(out_dir)
        records = folder.read_samples(out_dir)
    else:
        records = folder.read_records(out_dir)
        todo = [request for request in requests if request.index not in records]
        made = len(todo)
        if todo:
            with Pipeline(bundle, settings.engine, threads, batch=1) as pipeline:
                show = partial(progress or _silent, len(requests))
                _make(todo, len(records), pipeline, settings, sources, out_dir, show)
                engine_s = pipeline.engine_s
            records = folder.read_records(out_dir)
        counts = _counts(records)
        assemble(out_dir, records, settings, sources)
        folder.complete(out_dir, counts)
    wall_s = time.perf_counter() - started
    return _summary(out_dir, records, wall_s, engine_s, made)


def _planned(
    bundle: Bundle, settings: RunSettings, images_dir: Path | None, masks_dir: Path | None
) -> tuple[Sources, list[Request]]:
    if masks_dir is not None and images_dir is None:
        raise DataError("--masks needs --images: each mask belongs to an image of its name")
    if masks_dir is not None and settings.area is not None:
        raise DataError("--area and --masks exclude each other: mask files are used as they are")
    settings = check_settings(settings, bundle)
    check_formats(settings.labels)
    open_engine(bundle, engine=settings.engine)  # not entered: only to hear now if it cannot run
    sources = Sources(images_dir, masks_dir, settings.procedural_hw)
    requests = plan_requests(settings, bundle, sources.names, sources.mask_names)
    sources.check_masks(request.source_image for request in requests)
    return sources, requests


def _make(
    todo: list[Request],
    done: int,
    pipeline: Pipeline,
    settings: RunSettings,
    sources: Sources,
    out_dir: Path,
    report: Callable[[int], None],
) -> None:
    """Make and write `todo`. The engine runs in this thread; batches would tie a sample's bytes to
    its neighbours, so each request runs alone."""
    bundle, bank = pipeline.bundle, pipeline.bundle.mask_bank()
    about = {
        "bundle_sha256": bundle.sha256,
        "engine": pipeline.engine_name(),
        "precision": bundle.precision,
    }
    folder.require_engine(out_dir, about["engine"])
    writing: deque[Future[None]] = deque()
    pool = ThreadPoolExecutor(WORKERS, thread_name_prefix="generate")
    try:
        for request, prepared in _read_ahead(pool, todo, bundle, bank, sources):
            result = _result(request, prepared, pipeline, settings, bank, sources)
            writing.append(pool.submit(_write, result, settings, out_dir, about))
            while len(writing) > BEHIND or (writing and writing[0].done()):
                writing.popleft().result()
                done += 1
                report(done)
        while writing:
            writing.popleft().result()
            done += 1
            report(done)
    finally:
        pool.shutdown(cancel_futures=True)


def _read_ahead(
    pool: ThreadPoolExecutor, todo: Iterable[Request], bundle: Bundle, bank: Bank, sources: Sources
) -> Iterator[tuple[Request, Future[Prepared]]]:
    queue: deque[tuple[Request, Future[Prepared]]] = deque()
    for request in todo:
        queue.append((request, pool.submit(prepare, request, 0, bundle, bank, sources)))
        if len(queue) > AHEAD:
            yield queue.popleft()
    yield from queue


def _result(
    request: Request,
    prepared: Future[Prepared],
    pipeline: Pipeline,
    settings: RunSettings,
    bank: Bank,
    sources: Sources,
) -> Result:
    """The first try that is good enough; else the last one that the model answered."""
    result: Result | None = None
    for attempt in range(settings.retries + 1):
        try:
            ready = (
                prepared.result()
                if attempt == 0
                else prepare(request, attempt, pipeline.bundle, bank, sources)
            )
            result = produce(ready, pipeline, settings)
        except PlacementError as error:
            result = result or Result(request, FAILED, 1, str(error))
        except DataError as error:  # the image or its mask: no seed helps
            return Result(request, FAILED, attempt + 1, str(error))
        if result.status == KEPT:
            break
    assert result is not None
    return replace(result, tries=attempt + 1)


def _write(result: Result, settings: RunSettings, out_dir: Path, about: dict[str, Any]) -> None:
    record = write_sample(result, settings, out_dir, about)
    folder.write_record(out_dir, result.request.index, record)


def _request_document(bundle: Bundle, settings: RunSettings, sources: Sources) -> dict[str, Any]:
    return {
        "settings": asdict(settings),
        "bundle": {"name": bundle.name, "sha256": bundle.sha256},
        "sources": {"images": len(sources.names), "sha256": sources.fingerprint()},
    }


def _require_apart(out_dir: Path, *inputs: Path | None) -> None:
    """Output inside an input folder would become the next run's input."""
    for path in inputs:
        if path is not None and out_dir.resolve().is_relative_to(path.resolve()):
            raise OutputError(f"--out {out_dir} lies in the input folder {path}; choose another")


def _counts(records: Mapping[int, folder.Record]) -> dict[str, Any]:
    per_class: dict[str, dict[str, int]] = {}
    for record in records.values():
        counts = per_class.setdefault(record["defect_class"], {KEPT: 0, REJECTED: 0, FAILED: 0})
        counts[record["status"]] += 1
    total = {
        status: sum(c[status] for c in per_class.values()) for status in (KEPT, REJECTED, FAILED)
    }
    return {"requested": len(records), **total, "per_class": dict(sorted(per_class.items()))}


def _summary(
    out_dir: Path,
    records: Mapping[int, folder.Record],
    wall_s: float,
    engine_s: float,
    made: int,
) -> Summary:
    reasons = (records[index]["reason"] for index in sorted(records))
    sheet = out_dir / "contact_sheet.png"
    return Summary(
        out_dir=str(out_dir),
        **_counts(records),
        first_reason=next((reason for reason in reasons if reason), None),
        contact_sheet=str(sheet) if sheet.is_file() else None,
        engine=next(iter(records.values()))["engine"],
        wall_s=round(wall_s, 3),
        engine_s=round(engine_s, 3),
        images_per_s=round(made / wall_s, 3) if wall_s else 0.0,
    )


def _silent(requested: int, done: int) -> None:
    del requested, done
