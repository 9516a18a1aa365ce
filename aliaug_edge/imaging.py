"""Decode, encode, and the one place that knows colour order and value ranges.

Inside the project an image is (H, W, 3) uint8 RGB and a mask (H, W) uint8 of 0 and 255, where 255
means: change here. What enters is brought to that form, and a file that cannot be is one clear
`DataError`:

- 16-bit samples are scaled from their full range (v / 257), never stretched to what occurs;
- transparent pixels lie over black, so a mask painted on a transparent ground is unpainted there;
- EXIF orientation is applied, so an image and its mask agree whatever the camera wrote.
"""

from __future__ import annotations

import contextlib
import io
import os
import threading
import warnings
import zlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import ExifTags, Image, ImageOps, PngImagePlugin, UnidentifiedImageError

from aliaug_edge.errors import DataError

IMAGE_SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff", ".webp"})
MAX_PIXELS = 100_000_000
SYNTHETIC_SOURCE = (
    "http://cv.iptc.org/newscodes/digitalsourcetype/compositeWithTrainedAlgorithmicMedia"
)

# Measured on photos of machined surfaces (grey; colour in brackets), one core, zlib-ng 1.2.13:
#   default strategy, level 1   32 ms/Mpx  0.63 B/px   (63 ms/Mpx  1.42 B/px)
#   default strategy, level 6   72 ms/Mpx  0.60 B/px  (179 ms/Mpx  1.24 B/px)
#   run lengths (any level)     25 ms/Mpx  0.55 B/px   (55 ms/Mpx  1.62 B/px)
# After PNG's row filter grain holds no repeats worth searching for, and masks are all runs.
_COMPRESSION = {"compress_level": 1, "compress_type": zlib.Z_RLE}
_PNG_END = bytes.fromhex("00000000") + b"IEND" + bytes.fromhex("ae426082")
_XMP_KEY = "XML:com.adobe.xmp"
_XMP = f"""<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>
<x:xmpmeta xmlns:x="adobe:ns:meta/">
 <rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">
  <rdf:Description rdf:about=""
    xmlns:Iptc4xmpExt="http://iptc.org/std/Iptc4xmpExt/2008-02-29/"
    Iptc4xmpExt:DigitalSourceType="{SYNTHETIC_SOURCE}"/>
 </rdf:RDF>
</x:xmpmeta>
<?xpacket end="r"?>"""

# Both IPTC terms count: a picture that is wholly generated is as synthetic as one that is in part.
_SYNTHETIC_TERMS = (SYNTHETIC_SOURCE, "digitalsourcetype/trainedAlgorithmicMedia")
_SIXTEEN_BIT = frozenset({"I", "I;16", "I;16B", "I;16L", "I;16N"})
_EIGHT_BIT = frozenset({"1", "L", "P", "RGB", "RGBX", "CMYK", "YCbCr"})
_WITH_ALPHA = frozenset({"LA", "La", "PA", "RGBA", "RGBa"})

_SIDEWAYS = frozenset({5, 6, 7, 8})  # EXIF orientations that turn by 90 degrees

# Difference between channels that makes a colour of a pixel: the darkest of PASCAL VOC's palette,
# (64, 0, 0), has it; the ringing of a JPEG does not.
_CLEAR_COLOUR = 64

# `warnings` filters are global; the lock keeps two reading threads from restoring each other's.
_warnings_lock = threading.Lock()


def load_image(path: Path) -> NDArray[np.uint8]:
    """The image at `path` as (H, W, 3) uint8 RGB, in [0, 255]; grey images have equal channels.

    Raises:
        DataError: missing, empty, damaged, truncated, not an image, above `MAX_PIXELS`, of several
            frames, or of a pixel format that has no 8-bit meaning (32-bit, float, Lab).
    """
    return _to_rgb(path, _decode(path))


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


def encode_png(image: NDArray[np.uint8], *, synthetic: bool = False) -> bytes:
    """PNG bytes of `image` (H, W, 3) or (H, W) uint8; an RGB image that is grey is written as L.

    Equal input gives equal bytes (with the same zlib). `synthetic` marks the file in its XMP with
    the IPTC digital source type of composites made with a trained model.
    """
    if image.ndim == 3 and is_grey(image):
        image = image[..., 0]
    info = PngImagePlugin.PngInfo()
    if synthetic:
        info.add_text("Software", "aliaug-edge")
        info.add_itxt(_XMP_KEY, _XMP)
    buffer = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(image)).save(
        buffer, format="PNG", pnginfo=info, **_COMPRESSION
    )
    return buffer.getvalue()


def is_whole_png(path: Path) -> bool:
    """Whether there is a file at `path` that ends as a PNG does: not one that was cut off, or whose
    bytes never reached the disk. Nothing is decoded."""
    try:
        with path.open("rb") as stream:
            stream.seek(-len(_PNG_END), os.SEEK_END)
            return stream.read() == _PNG_END
    except OSError:  # missing, or shorter than that
        return False


def is_marked_synthetic(path: Path) -> bool:
    """Whether the file's XMP calls it made, wholly or in part, by a trained model.

    Raises:
        DataError: the file cannot be opened as an image.
    """
    with _opened(path) as image:
        packet = image.info.get("xmp") or image.info.get(_XMP_KEY) or b""
    text = packet.decode("utf-8", "replace") if isinstance(packet, bytes) else str(packet)
    return any(term in text for term in _SYNTHETIC_TERMS)


def pixel_format(path: Path) -> str:
    """What the file stores, in Pillow's words (L, RGB, P, I;16 …), without decoding it.

    Raises:
        DataError: the file cannot be opened as an image.
    """
    with _opened(path) as image:
        return str(image.mode)


def pixel_count(path: Path) -> int:
    """Width × height that the file stores, without decoding it.

    Raises:
        DataError: the file cannot be opened as an image.
    """
    with _opened(path) as image:
        return int(image.width * image.height)


def sixteen_bit_peak(path: Path) -> int | None:
    """The largest sample of a 16-bit grey image, 0 … 65535; None for any other pixel format.

    Raises:
        DataError: as `load_image`.
    """
    if pixel_format(path) not in _SIXTEEN_BIT:
        return None
    return int(np.asarray(_decode(path)).max())


def is_turned(path: Path) -> bool:
    """Whether the file's EXIF orientation swaps the width and height that it stores.

    Raises:
        DataError: the file cannot be opened as an image.
    """
    with _opened(path) as image, _quiet():
        return image.getexif().get(ExifTags.Base.Orientation) in _SIDEWAYS


def list_images(folder: Path) -> list[Path]:
    """The images directly in `folder`, sorted by name; hidden files are skipped.

    Raises:
        DataError: the folder is missing, cannot be read, or holds no image.
    """
    found = find_images(folder)
    if found:
        return found
    if not folder.exists():
        raise DataError(f"{folder} does not exist; expected a folder of images")
    raise DataError(f"{folder} holds no images; expected {', '.join(sorted(IMAGE_SUFFIXES))}")


def find_images(folder: Path) -> list[Path]:
    """As `list_images`, but none where the folder is missing or holds none.

    Raises:
        DataError: it is no folder, or cannot be read.
    """
    try:
        return sorted(
            p
            for p in folder.iterdir()
            if p.suffix.lower() in IMAGE_SUFFIXES and not p.name.startswith(".") and p.is_file()
        )
    except FileNotFoundError:
        return []
    except NotADirectoryError:
        raise DataError(f"{folder} is not a folder; expected a folder of images") from None
    except OSError as error:
        raise DataError(f"{folder} cannot be read: {error.strerror or error}") from error


def _decode(path: Path) -> Image.Image:
    """The decoded first frame, upright. Damage anywhere in the file is found, not padded over."""
    with _opened(path) as image:
        if image.format == "PNG":
            image.verify()  # checks the checksums, which decoding alone does not
    with _opened(path) as image:
        image.load()
        with _quiet():
            ImageOps.exif_transpose(image, in_place=True)
        return image


@contextlib.contextmanager
def _opened(path: Path) -> Iterator[Image.Image]:
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


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Pillow warns about large or oddly tagged files; here they are either fine or an error."""
    with _warnings_lock, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
