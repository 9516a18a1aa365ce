"""COCO's run-length code, uncompressed: column by column, runs of 0 and 1 in turn, 0 first.

Source: cocodataset/cocoapi, `common/maskApi.h`.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from aliaug_edge.errors import DataError


def rle_from_mask(pixels: NDArray[np.bool_]) -> dict[str, Any]:
    """{"size": [height, width], "counts": [...]} of `pixels` (H, W)."""
    flat = np.concatenate([[False], pixels.ravel(order="F")])  # the first run is of zeros
    edges = np.flatnonzero(flat[1:] != flat[:-1])
    counts = np.diff(edges, prepend=0, append=pixels.size)
    return {"size": list(pixels.shape), "counts": [int(n) for n in counts]}


def mask_from_rle(rle: dict[str, Any]) -> NDArray[np.bool_]:
    """The (H, W) bool mask of an uncompressed code.

    Raises:
        DataError: compressed, or the runs do not fill the size.
    """
    counts, (height, width) = rle["counts"], rle["size"]
    if not isinstance(counts, list):
        raise DataError("run-length code is compressed; expected a list of counts")
    if sum(counts) != height * width or min(counts, default=0) < 0:
        raise DataError(f"run-length code covers {sum(counts)} pixels of {height} x {width}")
    values = np.arange(len(counts)) % 2 == 1
    return np.repeat(values, counts).reshape((height, width), order="F")
