"""Pixels as a model takes and gives them: planar float32, batch first."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def images_to_tensor(images: NDArray[np.uint8]) -> NDArray[np.float32]:
    """(B, H, W, 3) uint8 to (B, 3, H, W) float32 in [-1, 1]: x / 127.5 - 1, contiguous."""
    planar = np.ascontiguousarray(images.transpose(0, 3, 1, 2), dtype=np.float32)
    planar *= np.float32(1 / 127.5)
    planar -= np.float32(1)
    return planar


def tensor_to_images(tensor: NDArray[np.float32]) -> NDArray[np.uint8]:
    """(B, 3, H, W) float32 to (B, H, W, 3) uint8: clipped to [-1, 1], rounded half to even.

    Values must be finite (`tensors.require_finite`). Undoes `images_to_tensor` exactly.
    """
    levels = (tensor + np.float32(1)) * np.float32(127.5)
    np.rint(levels, out=levels)
    np.clip(levels, 0, 255, out=levels)
    return np.ascontiguousarray(levels.astype(np.uint8).transpose(0, 2, 3, 1))


def masks_to_tensor(masks: NDArray[np.uint8]) -> NDArray[np.float32]:
    """(B, H, W) uint8 of 0 and 255 to (B, 1, H, W) float32 of 0 and 1."""
    return (masks[:, None] > 127).astype(np.float32)
