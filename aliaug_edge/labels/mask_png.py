"""Masks as 8-bit single-channel PNG of 0 and 255, lossless; 255 = change here."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from aliaug_edge import files, imaging


def save_mask_png(path: Path, mask: NDArray[np.uint8]) -> None:
    """Write `mask` (H, W) uint8 of 0 and 255.

    Raises:
        ValueError: another shape, dtype or value: our own mistake, never the user's.
        OutputError: the file cannot be written.
    """
    if mask.ndim != 2 or mask.dtype != np.uint8 or not np.isin(mask, (0, 255)).all():
        raise ValueError(f"a mask is (H, W) uint8 of 0 and 255, got {mask.shape} {mask.dtype}")
    files.write_bytes(path, imaging.encode_png(mask))


def load_mask_png(path: Path) -> NDArray[np.uint8]:
    """The mask at `path`, (H, W) uint8 of 0 and 255.

    Raises:
        DataError: it cannot be read as an image.
    """
    return imaging.load_mask(path)
