"""What goes into a paste, what comes out, and how a job is laid into the block that is sent."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from aliaug_edge.crops import Window
from aliaug_edge.engines.kernels import MODES
from aliaug_edge.engines.latents import content_key
from aliaug_edge.tensors import Arrays


@dataclass(frozen=True)
class PasteJob:
    """What goes into one place of one image.

    `photo` (H, W, 3) uint8; `mask` (H, W) uint8 of 0 and 255; `window` of the model's size, no
    larger: what has to be scaled is given as the model sees it, whole. `conditions` holds the
    model's inputs other than image and mask, without the batch axis. `mode` is none | feather |
    hard, as in `generation.blend`; `grey` keeps a grey image grey.
    """

    photo: NDArray[np.uint8]
    mask: NDArray[np.uint8]
    window: Window
    conditions: Mapping[str, NDArray[Any]]
    mode: str = "feather"
    grey: bool = False


@dataclass(frozen=True)
class Pasted:
    """`patch` (h, w, 3) uint8 to be put under the window, `raw` (h, w, 3) float32 in about [-1, 1]
    as the model gave it, how many of its values are NaN or infinite, and `culprit`, the tensor and
    stage where that began ("output denoised of unet"), empty where all are finite."""

    patch: NDArray[np.uint8]
    raw: NDArray[np.float32]
    broken: int
    culprit: str = ""


def fill(given: Arrays, item: int, job: PasteJob) -> str:
    """Write a job into its place of the pinned block; the key of what the encoder will see."""
    window, (height, width) = job.window, job.photo.shape[:2]
    rows = _needed(window.top, window.height, height)
    columns = _needed(window.left, window.width, width)
    region = (slice(rows[0], rows[1]), slice(columns[0], columns[1]))
    photo = job.photo[region]
    given["photo"][item].reshape(-1)[: photo.size] = photo.reshape(-1)
    given["painted"][item].reshape(-1)[: photo.size // 3] = job.mask[region].reshape(-1)
    where = (rows[0], columns[0], photo.shape[1], window.top, window.left, height, width)
    given["geometry"][item] = (*where, job.grey, MODES[job.mode], 0)
    for name, value in job.conditions.items():
        given[name][item] = value
    return content_key(photo, *where)


def _needed(start: int, length: int, limit: int) -> tuple[int, int]:
    """First and end of the indices in 0 … limit that `length` ones from `start` on fold into."""
    if start >= 0 and start + length <= limit:
        return start, start + length
    period = max(2 * (limit - 1), 1)
    folded = np.arange(start, start + length) % period
    folded = np.minimum(folded, period - folded)
    return int(folded.min()), int(folded.max()) + 1
