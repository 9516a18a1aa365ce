"""Opens and decodes image files; whatever is wrong with one is a `DataError` in one line.

What a file says of itself is here too: that needs its header alone.
"""

from __future__ import annotations

import contextlib
import threading
import warnings
from collections.abc import Iterator
from pathlib import Path

from PIL import ExifTags, Image, ImageOps, UnidentifiedImageError

from aliaug_edge.errors import DataError

MAX_PIXELS = 100_000_000

_SIDEWAYS = frozenset({5, 6, 7, 8})  # EXIF orientations that turn by 90 degrees

# `warnings` filters are global; the lock keeps two reading threads from restoring each other's.
_warnings_lock = threading.Lock()


def pixel_format(path: Path) -> str:
    """What the file stores, in Pillow's words (L, RGB, P, I;16 …), without decoding it.

    Raises:
        DataError: the file cannot be opened as an image.
    """
    with opened(path) as image:
        return str(image.mode)


def pixel_count(path: Path) -> int:
    """Width × height that the file stores, without decoding it.

    Raises:
        DataError: the file cannot be opened as an image.
    """
    with opened(path) as image:
        return int(image.width * image.height)


def is_turned(path: Path) -> bool:
    """Whether the file's EXIF orientation swaps the width and height that it stores.

    Raises:
        DataError: the file cannot be opened as an image.
    """
    with opened(path) as image, _quiet():
        return image.getexif().get(ExifTags.Base.Orientation) in _SIDEWAYS


def decoded(path: Path) -> Image.Image:
    """The decoded first frame, upright. Damage anywhere in the file is found, not padded over."""
    with opened(path) as image:
        if image.format == "PNG":
            image.verify()  # checks the checksums, which decoding alone does not
    with opened(path) as image:
        image.load()
        with _quiet():
            ImageOps.exif_transpose(image, in_place=True)
        return image


@contextlib.contextmanager
def opened(path: Path) -> Iterator[Image.Image]:
    """The image behind its header; whatever goes wrong inside the block is a `DataError`."""
    try:
        with path.open("rb") as stream:
            if path.stat().st_size == 0:
                raise DataError(f"{path} is empty (0 bytes); expected an image")
            with _quiet():
                image = Image.open(stream)
                frames = getattr(image, "n_frames", 1)
            _check_header(path, image, frames)
            yield image
    except DataError:
        raise
    except FileNotFoundError:
        raise DataError(f"{path} does not exist; expected an image") from None
    except (PermissionError, IsADirectoryError) as error:
        raise DataError(f"{path} cannot be read: {error.strerror}") from error
    except UnidentifiedImageError as error:
        raise DataError(
            f"{path} is not an image that can be read (its content is no known image format)"
        ) from error
    except Image.DecompressionBombError as error:
        raise DataError(f"{path} is too large: above {MAX_PIXELS // 10**6} megapixels") from error
    except Exception as error:  # Pillow's decoders raise a dozen kinds for damaged bytes
        raise DataError(f"{path} is damaged or truncated: {error}") from error


def _check_header(path: Path, image: Image.Image, frames: int) -> None:
    width, height = image.size
    if width * height > MAX_PIXELS:
        raise DataError(
            f"{path} is too large: {width} x {height} pixels, the limit is "
            f"{MAX_PIXELS // 10**6} megapixels; scale it down or cut it into tiles"
        )
    if frames > 1 and image.format != "MPO":  # MPO: a camera's JPEG with previews behind it
        raise DataError(f"{path} is animated or has pages ({frames} frames); expected one image")


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Pillow warns about large or oddly tagged files; here they are either fine or an error."""
    with _warnings_lock, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
