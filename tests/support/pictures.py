"""Small pictures, and files of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image


def save(path: Path, array: NDArray[np.generic], **options: Any) -> Path:
    Image.fromarray(array).save(path, **options)
    return path


def noise(height: int = 9, width: int = 7, channels: int = 3) -> NDArray[np.uint8]:
    shape = (height, width, channels) if channels > 1 else (height, width)
    return np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
