"""Procedural pairs as training batches, drawn from the cache by step."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from aliaug_edge.data.procedural import DEFECT_CLASSES, MATERIALS
from aliaug_edge.model.text import COLOUR_PROMPT, class_prompt
from aliaug_edge.training.batch import WHITE, Batch, class_colour
from aliaug_edge.training.pair_cache import PairCache

COLOUR_SHARE = 0.5  # samples whose class is carried by the mask's colour instead of the prompt


def draw_batch(cache: PairCache, step: int, *, seed: int, size: int, crop: int) -> Batch:
    """The batch of this step: `size` pairs, `crop`² pixels on the defect, turned and flipped."""
    rng = np.random.default_rng([seed, step])
    chosen = rng.integers(0, len(cache.severity), size=size)
    rows = [_draw(cache, int(index), crop, rng) for index in chosen]
    columns = {name: [row[name] for row in rows] for name in rows[0]}
    tensors = {
        name: torch.from_numpy(np.stack(columns[name]).astype(np.float32))
        for name in ("image", "target", "mask", "colour", "severity", "paired")
    }
    # The discriminator's real examples: the targets of this batch show real defects, in place.
    return Batch(
        **tensors,
        class_index=torch.tensor([row["class_index"] for row in rows]),
        prompts=tuple(columns["prompt"]),
        real=tensors["target"],
        real_mask=tensors["mask"],
    )


def _draw(cache: PairCache, index: int, crop: int, rng: np.random.Generator) -> dict[str, Any]:
    good, defect, mask = cache.good[index], cache.defect[index], cache.mask[index]
    top, left = _crop_corner(mask, crop, rng)
    where = (slice(top, top + crop), slice(left, left + crop))
    turns, flip = int(rng.integers(4)), bool(rng.integers(2))
    good, defect, mask = (_turned(a[where], turns, flip) for a in (good, defect, mask))
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
        "class_index": defect_class,
        "severity": [cache.severity[index]],
        "paired": 1.0,
        "prompt": COLOUR_PROMPT if by_colour else prompts[int(rng.integers(len(prompts)))],
    }


def _crop_corner(mask: NDArray[np.uint8], crop: int, rng: np.random.Generator) -> tuple[int, int]:
    """A corner whose crop has one random masked pixel in its middle half, or near the border."""
    side = mask.shape[0]
    points = np.argwhere(mask)
    y, x = points[int(rng.integers(len(points)))]
    offsets = rng.integers(crop // 4, 3 * crop // 4, size=2)
    top, left = (
        int(min(max(at - off, 0), side - crop)) for at, off in zip((y, x), offsets, strict=True)
    )
    return top, left


def _turned(array: NDArray[np.uint8], turns: int, flip: bool) -> NDArray[np.uint8]:
    turned = np.rot90(array, turns)
    return turned[:, ::-1] if flip else turned


def _to_model(image: NDArray[np.uint8]) -> NDArray[np.float32]:
    return np.ascontiguousarray(image.transpose(2, 0, 1)).astype(np.float32) / 127.5 - 1.0
