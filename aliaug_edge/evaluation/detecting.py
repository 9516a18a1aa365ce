"""Training and scoring the detectors: independent pieces of work for any number of processes."""

from __future__ import annotations

import functools
import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from aliaug_edge import crops, imaging
from aliaug_edge.data.samples import Sample
from aliaug_edge.errors import AliAugError
from aliaug_edge.evaluation.allocator import keep_freed_memory
from aliaug_edge.evaluation.conditions import Condition
from aliaug_edge.evaluation.detector.base import Detector, DetectorDivergedError, Lesson
from aliaug_edge.evaluation.detector.instances import PhotoInstances, map_of, photo_instances
from aliaug_edge.evaluation.detector.scores import (
    Histogram,
    area_under_roc,
    histogram,
    score_photo,
    sum_of,
    train_threshold,
)
from aliaug_edge.evaluation.folds import Fold
from aliaug_edge.evaluation.photos import Photo, read_photos
from aliaug_edge.evaluation.pooling import pool_dir, pool_name
from aliaug_edge.evaluation.pools.store import load_pool
from aliaug_edge.evaluation.protocol import EvaluationSettings, pool_size
from aliaug_edge.evaluation.results import ImageScore, Run, load_run, run_path, save_run

NO_POOL = "no pool: "  # begins why a run failed whose defects could not be made
BYTES_ALONE = 1 << 30  # of a process that trains a detector, beside its photos
BYTES_PER_PIXEL = 8  # image and mask, and once more as crops are cut from them
EVERY_NTH_GOOD = 5  # of the train side's good photos, for the threshold
Done = Callable[[int, int, str], None]
T = TypeVar("T")
R = TypeVar("R")


@dataclass(frozen=True)
class Piece:
    """One detector to train: plain data that another process can take."""

    settings: EvaluationSettings
    fold: Fold
    condition: Condition
    seed: int
    out: Path

    @property
    def path(self) -> Path:
        """Where its result will lie."""
        return run_path(self.out, self.fold.number, self.condition.name, self.seed)


def all_pieces(
    settings: EvaluationSettings, folds: Sequence[Fold], conditions: Sequence[Condition], out: Path
) -> list[Piece]:
    """Every detector of an evaluation, seed by seed: what is cut short is complete in fewer. Within
    a seed those of most crops first, so that no process is left with a long one at the end."""
    longest_first = sorted(conditions, key=lambda condition: -condition.ratio)
    return [
        Piece(settings, fold, condition, seed, out)
        for seed in range(settings.seeds)
        for fold in folds
        for condition in longest_first
    ]


def set_aside(pieces: Iterable[Piece], lost: Mapping[tuple[int, str], str]) -> None:
    """Give the pieces a failed result whose pool is `lost`, with its reason by fold and pool name;
    one that failed so before, and whose pool is there by now, is open again."""
    for piece in pieces:
        name = (piece.fold.number, piece.condition.name, piece.seed)
        why = lost.get((piece.fold.number, pool_name(piece.condition)))
        done = piece.path.is_file()
        if done and (load_run(piece.path).failed or "").startswith(NO_POOL):
            piece.path.unlink()
            done = False
        if why is not None and not done:
            save_run(Run(*name, 0.0, (), {}, failed=f"{NO_POOL}{why}"), piece.out)


def run_pieces(pieces: Iterable[Piece], workers: int, done: Done) -> None:
    """Train what has no result yet; `done` is called with (finished, of, note) after each.

    Raises:
        AliAugError: a worker process was killed, or could not do its piece.
    """
    everything = list(pieces)
    open_pieces = [piece for piece in everything if not piece.path.is_file()]
    finished = len(everything) - len(open_pieces)
    if workers == 1:
        results: Iterator[Piece] = map(_worked, open_pieces)
    else:
        results = in_processes(_worked, open_pieces, workers)
    for piece in results:
        finished += 1
        note = f"fold {piece.fold.number} {piece.condition.name} seed {piece.seed}"
        done(finished, len(everything), note)


def default_workers(settings: EvaluationSettings, folds: Sequence[Fold]) -> int:
    """One process per core, as far as memory reaches; one alone where a GPU does the work."""
    import torch

    if torch.cuda.is_available():
        return 1
    cores, free = len(os.sched_getaffinity(0)), _free_bytes()
    room = cores if free is None else free // max(_worker_bytes(settings, f) for f in folds)
    return max(1, min(cores, room))


def _worker_bytes(settings: EvaluationSettings, fold: Fold) -> int:
    """About what a process takes that trains detectors on `fold`: its photos and a pool."""
    photos = (*fold.train, *fold.train_good, *fold.test, *fold.test_good)
    largest = max(imaging.pixel_count(sample.image_path) for sample in fold.train)
    count = len(photos) + pool_size(fold, quick=settings.quick)
    return BYTES_ALONE + BYTES_PER_PIXEL * count * min(largest, settings.longest**2)


def _free_bytes(path: Path = Path("/proc/meminfo")) -> int | None:
    """Memory that the system can give, where it says so."""
    try:
        lines = path.read_text(encoding="ascii").splitlines()
        return next(int(s.split()[1]) * 1024 for s in lines if s.startswith("MemAvailable:"))
    except (OSError, ValueError, IndexError, StopIteration):
        return None


def train_and_score(piece: Piece) -> Run:
    """Train the piece's detector and try it on the fold's test photos.

    A detector that diverges gives a run that says so, not an error: it is part of the result.
    """
    sides = _photos(piece.settings, piece.fold)
    name = (piece.fold.number, piece.condition.name, piece.seed)
    try:
        predict = _detector(piece.settings)(_lesson(piece, sides), piece.seed)
        seen = [*sides.train, *sides.train_good[::EVERY_NTH_GOOD]]
        threshold = train_threshold(predict, seen)
        tried = [
            _judged(photo, predict(photo.image), threshold)
            for photo in (*sides.test, *sides.test_good)
        ]
    except DetectorDivergedError as error:
        return Run(*name, 0.0, (), {}, failed=str(error))
    rows = [one.row for one in tried]
    strict, loose = map_of([one.instances for one in tried]) or (None, None)
    figures = {
        "ap": sum_of(one.histogram for one in tried).average_precision(),
        "auroc": area_under_roc(rows),
        "map50_95": strict,
        "map50": loose,
    }
    rounded = {k: None if v is None else round(v, 6) for k, v in figures.items()}
    return Run(*name, round(threshold, 5), tuple(rows), rounded)


@dataclass(frozen=True, eq=False)
class _Judged:
    """What is kept of a photo's score map: hundreds of maps would not fit into memory."""

    row: ImageScore
    histogram: Histogram
    instances: PhotoInstances


def _judged(photo: Photo, found: NDArray[np.float32], threshold: float) -> _Judged:
    return _Judged(
        score_photo(photo, found, threshold),
        histogram([(found, photo.mask > 0)]),
        photo_instances(found, photo.mask, threshold),
    )


@dataclass(frozen=True, eq=False)
class _Sides:
    """The photos of a fold, small enough for the detectors."""

    train: list[Photo]
    train_good: list[Photo]
    test: list[Photo]
    test_good: list[Photo]


@functools.lru_cache(maxsize=1)  # a process trains one detector after another on the same photos
def _photos(settings: EvaluationSettings, fold: Fold) -> _Sides:
    def side(samples: Sequence[Sample]) -> list[Photo]:
        return [shrunk(photo, settings.longest) for photo in read_photos(samples, settings.data)]

    return _Sides(side(fold.train), side(fold.train_good), side(fold.test), side(fold.test_good))


def shrunk(photo: Photo, longest: int) -> Photo:
    """`photo` with its longer side at most `longest` pixels; small ones as they are."""
    height, width = photo.mask.shape
    if max(height, width) <= longest:
        return photo
    scale = longest / max(height, width)
    hw = (max(1, round(height * scale)), max(1, round(width * scale)))
    mask = crops.resize_mask(photo.mask, hw)
    return replace(photo, image=crops.resize(photo.image, hw), mask=mask)


def _lesson(piece: Piece, sides: _Sides) -> Lesson:
    condition = piece.condition
    synthetic: list[Photo] = []
    if condition.pool != "none":
        folder = pool_dir(piece.out, piece.fold, pool_name(condition))
        synthetic = load_pool(folder, lambda photo: shrunk(photo, piece.settings.longest))
    return Lesson(
        real=sides.train if condition.real else [],
        synthetic=synthetic,
        good=sides.train_good,
        ratio=condition.ratio,
        augment=condition.augment,
    )


def _detector(settings: EvaluationSettings) -> Detector:
    if settings.detector == "ultralytics":
        from aliaug_edge.evaluation.detector.ultralytics import settings_for, ultralytics_detector

        return ultralytics_detector(settings_for(settings.detector_steps))
    from aliaug_edge.evaluation.detector.fit import FitSettings, unet_detector

    return unet_detector(FitSettings(steps=settings.detector_steps))


def _worked(piece: Piece) -> Piece:
    """On one thread, whatever the number of processes: sums on two are rounded in another order."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        save_run(train_and_score(piece), piece.out)
    finally:
        torch.set_num_threads(before)
    return piece


def in_processes(work: Callable[[T], R], items: Sequence[T], workers: int) -> Iterator[R]:
    """What `work` gives for `items`, as it is finished, by `workers` processes of one thread each.

    They end when this ends, and when the process that called it does, however it came to that.

    Raises:
        AliAugError: one of them was killed.
    """
    context = multiprocessing.get_context("spawn")  # a forked torch keeps dead threads
    with ProcessPoolExecutor(workers, context, _prepare_worker) as executor:
        try:
            for future in as_completed([executor.submit(work, item) for item in items]):
                yield future.result()
        except BrokenProcessPool as error:
            raise AliAugError(
                "a process that trained a detector was killed, perhaps for lack of memory; what is "
                "finished stays: start again, with fewer --workers"
            ) from error
        finally:
            executor.shutdown(wait=False, cancel_futures=True)
            for child in multiprocessing.active_children():
                child.terminate()  # else an interrupted run would wait for minutes


def _prepare_worker() -> None:
    """Ctrl-C ends it in silence, and so does the end of its parent."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    keep_freed_memory()


def _end_with_parent() -> None:
    """A parent that is killed tells nobody: its workers would go on, and then wait for ever."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)
