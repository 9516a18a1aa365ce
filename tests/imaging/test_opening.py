"""What is wrong with an image file is said in one line, and never padded over."""

from __future__ import annotations

import struct
import warnings
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from support.pictures import noise, save

from aliaug_edge import imaging
from aliaug_edge.errors import DataError


def png_chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png_header_of(width: int, height: int) -> bytes:
    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + png_chunk(b"IHDR", header)
        + png_chunk(b"IDAT", b"")
        + png_chunk(b"IEND", b"")
    )


def test_a_missing_image_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"nowhere\.png does not exist"):
        imaging.load_image(tmp_path / "nowhere.png")


def test_a_folder_is_no_image(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="cannot be read"):
        imaging.load_image(tmp_path)


def test_zero_bytes_are_refused(tmp_path: Path) -> None:
    (tmp_path / "a.png").touch()
    with pytest.raises(DataError, match=r"a\.png is empty \(0 bytes\)"):
        imaging.load_image(tmp_path / "a.png")


def test_text_named_png_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_text("this is no image, whatever its name says\n" * 20)
    with pytest.raises(DataError, match=r"a\.png is not an image"):
        imaging.load_image(tmp_path / "a.png")


@pytest.mark.parametrize("suffix", ["png", "jpg", "bmp", "tif", "webp"])
def test_a_truncated_image_is_refused_not_padded(tmp_path: Path, suffix: str) -> None:
    whole = save(tmp_path / f"whole.{suffix}", noise(64, 64)).read_bytes()
    part = tmp_path / f"part.{suffix}"
    part.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(DataError, match="part"):
        imaging.load_image(part)


def test_no_cut_and_no_flipped_byte_of_a_png_changes_pixels_silently(tmp_path: Path) -> None:
    image = noise(6, 5)
    whole = save(tmp_path / "whole.png", image).read_bytes()
    cuts = [whole[:n] for n in range(len(whole))]
    flips = [
        whole[:n] + bytes([whole[n] ^ bit]) + whole[n + 1 :]
        for n in range(len(whole))
        for bit in (1, 128)
    ]
    path = tmp_path / "damaged.png"
    refused = 0
    for data in cuts + flips:
        path.write_bytes(data)
        try:
            loaded = imaging.load_image(path)
        except DataError as error:
            assert "damaged.png" in str(error)
            assert "\n" not in str(error)
            refused += 1
        else:
            np.testing.assert_array_equal(loaded, image)
    assert refused > 0.95 * len(cuts + flips)


@pytest.mark.parametrize(("width", "height"), [(10_001, 10_000), (60_000, 60_000)])
def test_a_decompression_bomb_is_refused_by_its_header(
    tmp_path: Path, width: int, height: int
) -> None:
    (tmp_path / "bomb.png").write_bytes(png_header_of(width, height))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(DataError, match=r"bomb\.png is too large.*100 megapixels"):
            imaging.load_image(tmp_path / "bomb.png")


def test_pillows_own_limit_does_not_warn_below_ours(tmp_path: Path) -> None:
    Image.new("1", (10_000, 9_000)).save(tmp_path / "large.png")  # Pillow warns above 89.5 Mpx
    assert not imaging.is_marked_synthetic(tmp_path / "large.png")


@pytest.mark.parametrize("suffix", ["gif", "png", "webp", "tif"])
def test_several_frames_are_refused(tmp_path: Path, suffix: str) -> None:
    frames = [Image.new("RGB", (8, 8), colour) for colour in ("red", "lime", "blue")]
    path = tmp_path / f"moving.{suffix}"
    frames[0].save(path, save_all=True, append_images=frames[1:])
    with pytest.raises(DataError, match=r"moving.*3 frames"):
        imaging.load_image(path)


@pytest.mark.parametrize(
    ("orientation", "turned"), [(1, False), (3, False), (5, True), (6, True), (8, True)]
)
def test_a_sideways_exif_orientation_is_known(
    tmp_path: Path, orientation: int, turned: bool
) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    assert imaging.is_turned(save(tmp_path / "a.jpg", noise(), exif=exif)) is turned
    assert not imaging.is_turned(save(tmp_path / "b.png", noise()))
