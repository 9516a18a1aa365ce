"""The procedural pairs of a pretraining, rendered once into a cache on disk.

Apart from `procedural_pairs`, and without torch, because every rendering process imports this.
"""

from __future__ import annotations

import errno
import multiprocessing
import os
import signal
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from aliaug_edge import files
from aliaug_edge.data.procedural import DEFECT_CLASSES, MATERIALS, render_pair
from aliaug_edge.errors import OutputError

DONE = "pairs.json"


@dataclass(frozen=True)
class PairCache:
    """Rendered pairs: good and defect (n, side, side, 3), mask (n, side, side), uint8."""

    good: NDArray[np.uint8]
    defect: NDArray[np.uint8]
    mask: NDArray[np.uint8]
    material: NDArray[np.uint8]
    defect_class: NDArray[np.uint8]
    severity: NDArray[np.float32]


def pair_cache(folder: Path, count: int, side: int, seed: int) -> PairCache:
    """The cache in `folder`, rendered first if it is not there (about 12 ms a pair and core).

    Raises:
        OutputError: the folder cannot be written, or the disk has no room for it.
    """
    done = folder / DONE
    facts = {"count": count, "side": side, "seed": seed}
    if not done.is_file() or done.read_text(encoding="utf-8") != files.json_text(facts):
        _render_all(folder, count, side, seed)
        files.write_json(done, facts)
    loaded = {name: np.load(folder / f"{name}.npy", mmap_mode="r") for name in _SHAPES}
    return PairCache(**loaded)


_SHAPES: dict[str, tuple[Any, Any]] = {
    "good": (lambda s: (s, s, 3), np.uint8),
    "defect": (lambda s: (s, s, 3), np.uint8),
    "mask": (lambda s: (s, s), np.uint8),
    "material": (lambda s: (), np.uint8),  # noqa: ARG005
    "defect_class": (lambda s: (), np.uint8),  # noqa: ARG005
    "severity": (lambda s: (), np.float32),  # noqa: ARG005
}


def _render_all(folder: Path, count: int, side: int, seed: int) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / DONE).unlink(missing_ok=True)  # what it vouched for is about to be overwritten
        arrays = {
            name: _new_array(folder / f"{name}.npy", (count, *shape(side)), dtype)
            for name, (shape, dtype) in _SHAPES.items()
        }
    except OSError as error:
        room = count * (7 * side * side + 6) / 2**30
        raise OutputError(
            f"cannot write {folder}: {error.strerror or error}; {count} pairs of {side}² pixels "
            f"take {room:.1f} GiB: free some space, choose another output folder or render fewer "
            "with --pairs"
        ) from error
    jobs = [(seed * 1_000_003 + index, side) for index in range(count)]
    deaf = (signal.signal, (signal.SIGINT, signal.SIG_IGN))  # Ctrl-C is the parent's to handle
    with multiprocessing.get_context("spawn").Pool(2, *deaf) as pool:
        for index, pair in enumerate(pool.imap(_render_one, jobs, chunksize=32)):
            for name, value in pair.items():
                arrays[name][index] = value
            if index % 500 == 499:
                print(f"rendered {index + 1}/{count} pairs", file=sys.stderr, flush=True)
    for array in arrays.values():
        array.flush()


def _new_array(path: Path, shape: tuple[int, ...], dtype: Any) -> Any:
    """A new array on the disk, with its room reserved: writing to a hole in a mapped file kills the
    process when the disk is full."""
    array = np.lib.format.open_memmap(path, mode="w+", dtype=dtype, shape=shape)
    if hasattr(os, "posix_fallocate"):
        with path.open("r+b") as stream:
            try:
                os.posix_fallocate(stream.fileno(), 0, path.stat().st_size)
            except OSError as error:
                if error.errno not in (errno.EINVAL, errno.EOPNOTSUPP):  # file systems without it
                    path.unlink()  # gives back what could be had
                    raise
    return array


def _render_one(job: tuple[int, int]) -> dict[str, Any]:
    seed, side = job
    pair = render_pair(seed, side, side)
    return {
        "good": pair.good,
        "defect": pair.defect,
        "mask": pair.mask,
        "material": MATERIALS.index(pair.material),
        "defect_class": DEFECT_CLASSES.index(pair.defect_class),
        "severity": pair.severity,
    }
