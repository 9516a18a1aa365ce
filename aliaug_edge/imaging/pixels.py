"""Images and masks as the project has them, whatever the file stores: see the package."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from aliaug_edge.errors import DataError
from aliaug_edge.imaging.opening import decoded, pixel_format

_SIXTEEN_BIT = frozenset({"I", "I;16", "I;16B", "I;16L", "I;16N"})
_EIGHT_BIT = frozenset({"1", "L", "P", "RGB", "RGBX", "CMYK", "YCbCr"})
_WITH_ALPHA = frozenset({"LA", "La", "PA", "RGBA", "RGBa"})

# Difference between channels that makes a colour of a pixel: the darkest of PASCAL VOC's palette,
# (64, 0, 0), has it; the ringing of a JPEG does not.
_CLEAR_COLOUR = 64


def load_image(path: Path) -> NDArray[np.uint8]:
    """The image at `path` as (H, W, 3) uint8 RGB, in [0, 255]; grey images have equal channels.

    Raises:
        DataError: missing, empty, damaged, truncated, not an image, above `MAX_PIXELS`, of several
            frames, or of a pixel format that has no 8-bit meaning (32-bit, float, Lab).
    """
    return _to_rgb(path, decoded(path))


def load_mask(path: Path) -> NDArray[np.uint8]:
    """The mask at `path` as (H, W) uint8 of 0 and 255; 255 = change here.

    Raises:
        DataError: as `load_image`.
    """
    return np.where(painted(load_image(path)), 255, 0).astype(np.uint8)


def painted(image: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """Which pixels of a mask (H, W, 3) uint8 count as marked: (H, W) bool.

    Those with any channel above 127, which for a grey mask is its luminance; and those of a clear
    colour however dark, since class colours such as (0, 100, 0) are meant in full.
    """
    red, green, blue = np.moveaxis(image, 2, 0)  # max(axis=2) is 10 times slower
    most = np.maximum(np.maximum(red, green), blue)
    least = np.minimum(np.minimum(red, green), blue)
    marked: NDArray[np.bool_] = (most > 127) | (most - least >= _CLEAR_COLOUR)
    return marked


def is_grey(image: NDArray[np.uint8]) -> bool:
    """Whether the three channels of `image` (H, W, 3) are equal everywhere."""
    red = image[..., 0]
    return bool((red == image[..., 1]).all() and (red == image[..., 2]).all())


def sixteen_bit_peak(path: Path) -> int | None:
    """The largest sample of a 16-bit grey image, 0 … 65535; None for any other pixel format.

    Raises:
        DataError: as `load_image`.
    """
    if pixel_format(path) not in _SIXTEEN_BIT:
        return None
    return int(np.asarray(decoded(path)).max())


def _to_rgb(path: Path, image: Image.Image) -> NDArray[np.uint8]:
    if image.mode in _SIXTEEN_BIT:
        return np.repeat(_eight_bit(path, image)[..., None], 3, axis=2)
    if image.mode in _WITH_ALPHA or "transparency" in image.info:
        rgba = image.convert("RGBA")
        over_black = Image.new("RGB", image.size)
        over_black.paste(rgba, mask=rgba.getchannel("A"))
        return np.array(over_black)
    if image.mode in _EIGHT_BIT:
        return np.array(image.convert("RGB"))
    raise DataError(
        f"{path} has the pixel format {image.mode}, which is not supported; "
        "save it as 8- or 16-bit grey or as RGB"
    )


def _eight_bit(path: Path, image: Image.Image) -> NDArray[np.uint8]:
    """16-bit samples over their full range to 8 bits: 65535 / 257 = 255."""
    samples = np.asarray(image).astype(np.int64)
    if samples.min() < 0 or samples.max() > 65535:
        raise DataError(
            f"{path} has 32-bit samples beyond 0 … 65535, which is not supported; "
            "save it as 8- or 16-bit grey or as RGB"
        )
    return ((samples + 128) // 257).astype(np.uint8)
