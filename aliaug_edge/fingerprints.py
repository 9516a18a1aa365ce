"""What a photo shows, in a few kilobytes: enough to tell a copy of it, not to look at it.

A fingerprint is the photo in grey, squeezed into a square and freed of its light: the difference of
two Gaussians, divided by its own strength and rounded to 16 steps. `TrainingPhotos` are those that
a run learned from, with the SHA-256 of their pixels; they travel in the bundle, so that an
evaluation can refuse a generator that has seen its test photos.
"""

from __future__ import annotations

import functools
import hashlib
import io
import zipfile
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

SIDE = 96
STEPS = (-8, 7)
FINE, COARSE = 0.5, 6.0  # pixels of the square: the Gaussians whose difference is kept
STEPS_PER_SD = 2.0
PLAIN_SPREAD, PLAIN_DRIFT = 3.0, 8.0  # grey levels within a line of a border, and between lines
MOST_BORDER = 0.6  # of a side; more is no border
JPEG_RIM = 4  # pixels
FILE = "training_photos.npz"

UInt8 = NDArray[np.uint8]
Float32 = NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class TrainingPhotos:
    """Per photo its name, the SHA-256 of its pixels, and its fingerprint: `codes` (n, SIDE, SIDE)
    int8 of `STEPS`."""

    names: tuple[str, ...]
    sha256: tuple[str, ...]
    codes: NDArray[np.int8]


def describe(photos: Iterable[tuple[str, UInt8]]) -> TrainingPhotos:
    """The description of named images (H, W, 3) uint8, each taken from `photos` once."""
    names, hashes, codes = [], [], []
    for name, image in photos:
        names.append(name)
        hashes.append(pixels_sha256(image))
        codes.append(fingerprint(image))
    empty = np.zeros((0, SIDE, SIDE), np.int8)
    return TrainingPhotos(tuple(names), tuple(hashes), np.stack(codes) if codes else empty)


def pixels_sha256(image: UInt8) -> str:
    """SHA-256 of an image (H, W, 3), its size included: equal for any lossless file of it."""
    digest = hashlib.sha256(repr(image.shape).encode())
    digest.update(np.ascontiguousarray(image).tobytes())
    return digest.hexdigest()


def fingerprint(image: UInt8) -> NDArray[np.int8]:
    """(SIDE, SIDE) int8 in `STEPS` of an image (H, W, 3); all 0 where it is of one grey."""
    squeezed = _without_border(Image.fromarray(np.ascontiguousarray(image)).convert("L"))
    square = squeezed.resize((SIDE, SIDE), Image.Resampling.BOX)
    grey = np.asarray(square, np.float32)
    band = blur(grey, FINE) - blur(grey, COARSE)
    strength = float(np.sqrt(np.mean(band**2)))
    if strength < 1e-3:  # nothing but the rounding of the arithmetic
        return np.zeros((SIDE, SIDE), np.int8)
    code: NDArray[np.int8] = np.clip(np.rint(band * (STEPS_PER_SD / strength)), *STEPS).astype(
        np.int8
    )
    return code


def _without_border(photo: Image.Image) -> Image.Image:
    """A grey photo without margins of one grey, which a copy may have got, or lost."""
    grey = np.asarray(photo, np.float32)
    top, bottom = _margin(grey), _margin(grey[::-1])
    left, right = _margin(grey.T), _margin(grey.T[::-1])
    height, width = grey.shape
    if top + bottom > MOST_BORDER * height or left + right > MOST_BORDER * width:
        return photo
    return photo.crop((left, top, width - right, height - bottom))


def _margin(lines: Float32) -> int:
    """How many of the first lines (n, length) are of one grey, and what JPEG blurred of the rest
    beside them."""
    middle = np.median(lines, axis=1)
    spread = np.abs(lines - middle[:, None]).mean(axis=1)
    plain = (spread <= PLAIN_SPREAD) & (np.abs(middle - middle[0]) <= PLAIN_DRIFT)
    count = int(np.argmin(plain)) if not plain.all() else len(plain)
    return count + min(JPEG_RIM, count) if count >= len(lines) // 64 + 1 else 0


def blur(images: Float32, sigma: float) -> Float32:
    """Gaussian blur of the last two axes (…, n, n), reflected at the borders."""
    kernel = _kernel(images.shape[-1], sigma)
    blurred: Float32 = (kernel @ images @ kernel.T).astype(np.float32)
    return blurred


def to_bytes(photos: TrainingPhotos) -> bytes:
    """The bytes of a `training_photos.npz`: equal photos give equal bytes."""
    levels = (photos.codes.astype(np.int16) - STEPS[0]).astype(np.uint8)
    buffer = io.BytesIO()
    np.savez_compressed(
        buffer,
        names=np.array(photos.names, dtype=np.str_),
        sha256=np.array(photos.sha256, dtype=np.str_),
        codes=levels[..., ::2] << 4 | levels[..., 1::2],
    )
    return buffer.getvalue()


def from_bytes(data: bytes) -> TrainingPhotos:
    """What `to_bytes` wrote.

    Raises:
        ValueError: `data` is something else.
    """
    try:
        with np.load(io.BytesIO(data), allow_pickle=False) as arrays:
            names, hashes, packed = (arrays[key] for key in ("names", "sha256", "codes"))
    except (OSError, EOFError, LookupError, zipfile.BadZipFile) as error:
        raise ValueError(f"not a file of fingerprints: {error!r}") from error
    if packed.shape != (len(names), SIDE, SIDE // 2) or packed.dtype != np.uint8:
        raise ValueError(f"fingerprints of shape {packed.shape} for {len(names)} photos")
    if hashes.shape != names.shape:
        raise ValueError(f"{len(hashes)} hashes for {len(names)} photos")
    levels = np.stack([packed >> 4, packed & 15], axis=-1).reshape(len(names), SIDE, SIDE)
    codes = (levels.astype(np.int16) + STEPS[0]).astype(np.int8)
    return TrainingPhotos(tuple(map(str, names)), tuple(map(str, hashes)), codes)


@functools.lru_cache(maxsize=32)
def _kernel(side: int, sigma: float) -> Float32:
    """(side, side): row i holds the weights of pixel i's neighbours."""
    reach = int(4 * sigma) + 1
    matrix = np.zeros((side, side))
    for step in range(-reach, reach + 1):
        source = np.abs(np.arange(side) + step)
        source = np.where(source >= side, 2 * side - 1 - source, source)
        weight = np.exp(-0.5 * (step / sigma) ** 2)
        np.add.at(matrix, (np.arange(side), np.clip(source, 0, side - 1)), weight)
    kernel: Float32 = (matrix / matrix.sum(axis=1, keepdims=True)).astype(np.float32)
    return kernel
