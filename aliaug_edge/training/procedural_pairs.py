"""Procedural pairs as training batches, drawn from the cache by step."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from aliaug_edge.appearances import NUMBERS, Appearances
from aliaug_edge.data.procedural import DEFECT_CLASSES, MATERIALS
from aliaug_edge.model.appearance import FLOOR, appearance_of
from aliaug_edge.model.text import COLOUR_PROMPT, class_prompt
from aliaug_edge.training.batch import WHITE, Batch, class_colour
from aliaug_edge.training.pair_cache import PairCache

Floats = NDArray[np.float32]
GAMMA = (0.7, 1.4)
STRENGTHENED, STRENGTH = 0.5, (0.6, 2.2)  # share of the samples; factor on the logs of levels
TINTED, TINT = 0.25, 0.5  # share; deviation of the factor's channels
RATIO = (-3.0, 1.4)  # logs of levels: soot, glare
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


def drawn_appearances(cache: PairCache, per_class: int) -> Appearances:
    """Severity and appearance of the first `per_class` defects of each class, as they are."""
    found = {}
    for index, name in enumerate(DEFECT_CLASSES):
        chosen = np.flatnonzero(cache.defect_class == index)[:per_class]
        images = [torch.from_numpy(_to_model(_levels(cache.defect[at]))) for at in chosen]
        masks = [torch.from_numpy(cache.mask[at] > 0)[None].float() for at in chosen]
        numbers = [
            appearance_of(image[None], mask[None])[0].numpy()
            for image, mask in zip(images, masks, strict=True)
        ]
        rows = [[cache.severity[at], *row] for at, row in zip(chosen, numbers, strict=True)]
        found[name] = np.array(rows, dtype=np.float32).reshape(-1, 1 + NUMBERS)
    return found


def _draw(cache: PairCache, index: int, crop: int, rng: np.random.Generator) -> dict[str, Any]:
    good, defect, mask = cache.good[index], cache.defect[index], cache.mask[index]
    top, left = _crop_corner(mask, crop, rng)
    where = (slice(top, top + crop), slice(left, left + crop))
    turns, flip = int(rng.integers(4)), bool(rng.integers(2))
    good, defect, mask = (_turned(a[where], turns, flip) for a in (good, defect, mask))
    good, defect = _restyled(_levels(good), _levels(defect), rng)
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


def _levels(image: NDArray[np.uint8]) -> Floats:
    return image.astype(np.float32) / np.float32(255)


def _restyled(good: Floats, defect: Floats, rng: np.random.Generator) -> tuple[Floats, Floats]:
    """The pair in other colours and another tone, its defect stronger, weaker or tinted.

    Drawn defects are nearly as grey as their surface and seldom darker than half of it; soot and
    paint on real parts are not. Where the two were equal they stay so.
    """
    channels, gamma = rng.permutation(3), rng.uniform(*GAMMA)
    good, defect = (image[..., channels] ** np.float32(gamma) for image in (good, defect))
    strength = np.full(3, 1.0)
    if rng.random() < STRENGTHENED:
        strength *= np.exp(rng.uniform(*np.log(STRENGTH)))
    if rng.random() < TINTED:
        strength *= 1 + TINT * rng.standard_normal(3)
    ratio = np.log((defect + FLOOR) / (good + FLOOR)) * strength.astype(np.float32)
    changed = (good + FLOOR) * np.exp(ratio.clip(*RATIO)) - FLOOR
    return good, np.where(defect == good, good, changed.clip(0, 1)).astype(np.float32)


def _to_model(image: Floats) -> Floats:
    return np.ascontiguousarray(image.transpose(2, 0, 1)) * 2 - 1
