"""Procedural pairs for pretraining: rendered once into a cache on disk, then drawn by step."""

from __future__ import annotations

import multiprocessing
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from aliaug_edge import files
from aliaug_edge.data.procedural import DEFECT_CLASSES, MATERIALS, render_pair
from aliaug_edge.model.text import COLOUR_PROMPT, class_prompt
from aliaug_edge.training.batch import WHITE, Batch, class_colour

IDENTITY_SHARE = 0.08  # samples with an empty mask, whose target is the input
COLOUR_SHARE = 0.5  # samples whose class is carried by the mask's colour instead of the prompt


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
    """The cache in `folder`, rendered first if it is not there (about 12 ms a pair and core)."""
    done = folder / "pairs.json"
    facts = {"count": count, "side": side, "seed": seed}
    if not done.is_file() or done.read_text(encoding="utf-8") != files.json_text(facts):
        _render_all(folder, count, side, seed)
        files.write_json(done, facts)
    loaded = {name: np.load(folder / f"{name}.npy", mmap_mode="r") for name in _SHAPES}
    return PairCache(**loaded)


def draw_batch(cache: PairCache, step: int, *, seed: int, size: int, crop: int) -> Batch:
    """The batch of this step: `size` pairs, `crop`² pixels on the defect, turned and flipped."""
    rng = np.random.default_rng([seed, step])
    chosen = rng.integers(0, len(cache.severity), size=size)
    rows = [_draw(cache, int(index), crop, rng) for index in chosen]
    columns = {name: [row[name] for row in rows] for name in rows[0]}
    tensors = {
        name: torch.from_numpy(np.stack(columns[name]).astype(np.float32))
        for name in ("image", "target", "mask", "colour", "class_colour", "severity", "paired")
    }
    # The discriminator's real examples: the targets of this batch show real defects, in place.
    return Batch(
        **tensors,
        prompts=tuple(columns["prompt"]),
        real=tensors["target"],
        real_mask=tensors["mask"],
    )


_SHAPES: dict[str, tuple[Any, Any]] = {
    "good": (lambda s: (s, s, 3), np.uint8),
    "defect": (lambda s: (s, s, 3), np.uint8),
    "mask": (lambda s: (s, s), np.uint8),
    "material": (lambda s: (), np.uint8),  # noqa: ARG005
    "defect_class": (lambda s: (), np.uint8),  # noqa: ARG005
    "severity": (lambda s: (), np.float32),  # noqa: ARG005
}


def _render_all(folder: Path, count: int, side: int, seed: int) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    arrays = {
        name: np.lib.format.open_memmap(
            folder / f"{name}.npy", mode="w+", dtype=dtype, shape=(count, *shape(side))
        )
        for name, (shape, dtype) in _SHAPES.items()
    }
    jobs = [(seed * 1_000_003 + index, side) for index in range(count)]
    with multiprocessing.get_context("spawn").Pool(2) as pool:
        for index, pair in enumerate(pool.imap(_render_one, jobs, chunksize=32)):
            for name, value in pair.items():
                arrays[name][index] = value
            if index % 500 == 499:
                print(f"rendered {index + 1}/{count} pairs", file=sys.stderr, flush=True)
    for array in arrays.values():
        array.flush()


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


def _draw(cache: PairCache, index: int, crop: int, rng: np.random.Generator) -> dict[str, Any]:
    good, defect, mask = cache.good[index], cache.defect[index], cache.mask[index]
    top, left = _crop_corner(mask, crop, rng)
    where = (slice(top, top + crop), slice(left, left + crop))
    turns, flip = int(rng.integers(4)), bool(rng.integers(2))
    good, defect, mask = (_turned(a[where], turns, flip) for a in (good, defect, mask))
    if rng.random() < IDENTITY_SHARE:
        defect, mask = good, np.zeros_like(mask)
    defect_class = int(cache.defect_class[index])
    name, colour = DEFECT_CLASSES[defect_class], class_colour(defect_class)
    by_colour = rng.random() < COLOUR_SHARE
    material = MATERIALS[int(cache.material[index])].replace("_", " ")
    prompts = (class_prompt(name), name, f"{class_prompt(name)} on {material}", f"add a {name}")
    return {
        "image": _to_model(good),
        "target": _to_model(defect),
        "mask": (mask > 0)[None],
        "colour": colour if by_colour else WHITE,
        "class_colour": colour,
        "severity": [cache.severity[index]],
        "paired": 1.0,
        "prompt": COLOUR_PROMPT if by_colour else prompts[int(rng.integers(len(prompts)))],
    }


def _crop_corner(mask: NDArray[np.uint8], crop: int, rng: np.random.Generator) -> tuple[int, int]:
    """A corner whose crop shows at least part of the mask: it contains one random masked pixel."""
    side = mask.shape[0]
    points = np.argwhere(mask)
    y, x = points[int(rng.integers(len(points)))]
    corners = [int(rng.integers(max(0, at - crop + 1), min(at, side - crop) + 1)) for at in (y, x)]
    return corners[0], corners[1]


def _turned(array: NDArray[np.uint8], turns: int, flip: bool) -> NDArray[np.uint8]:
    turned = np.rot90(array, turns)
    return turned[:, ::-1] if flip else turned


def _to_model(image: NDArray[np.uint8]) -> NDArray[np.float32]:
    return np.ascontiguousarray(image.transpose(2, 0, 1)).astype(np.float32) / 127.5 - 1.0
