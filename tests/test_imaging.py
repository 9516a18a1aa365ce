"""Images in and out: every kind of file that a user may bring, good and bad."""

from __future__ import annotations

import io
import struct
import warnings
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from aliaug_edge import imaging
from aliaug_edge.errors import DataError


def save(path: Path, array: NDArray[np.generic], **options: Any) -> Path:
    Image.fromarray(array).save(path, **options)
    return path


def noise(height: int = 9, width: int = 7, channels: int = 3) -> NDArray[np.uint8]:
    shape = (height, width, channels) if channels > 1 else (height, width)
    return np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)


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


# ---------------------------------------------------------------- good images


def test_an_rgb_image_of_odd_size_comes_back_as_stored(tmp_path: Path) -> None:
    image = noise(7, 5)
    loaded = imaging.load_image(save(tmp_path / "a.png", image))
    assert loaded.dtype == np.uint8
    assert loaded.flags.writeable
    np.testing.assert_array_equal(loaded, image)


def test_a_grey_image_gets_three_equal_channels(tmp_path: Path) -> None:
    grey = noise(channels=1)
    loaded = imaging.load_image(save(tmp_path / "a.png", grey))
    np.testing.assert_array_equal(loaded, np.stack([grey] * 3, axis=2))
    assert imaging.is_grey(loaded)
    assert not imaging.is_grey(noise())


def test_a_sixteen_bit_image_is_scaled_from_its_full_range(tmp_path: Path) -> None:
    levels = np.array([[0, 257, 128 * 257, 65535, 127, 129]], dtype=np.uint16)
    expected = [0, 1, 128, 255, 0, 1]
    for suffix in ("png", "tif"):
        loaded = imaging.load_image(save(tmp_path / f"a.{suffix}", levels))
        assert loaded[0, :, 0].tolist() == expected


def test_transparent_pixels_lie_over_black(tmp_path: Path) -> None:
    rgba = np.full((2, 2, 4), 255, dtype=np.uint8)
    rgba[0, :, 3] = 0
    loaded = imaging.load_image(save(tmp_path / "a.png", rgba))
    assert (loaded[0] == 0).all()
    assert (loaded[1] == 255).all()


def test_palette_images_are_read_through_their_palette(tmp_path: Path) -> None:
    image = np.zeros((4, 4, 3), dtype=np.uint8)
    image[1:3, 1:3] = (200, 30, 10)
    palette = Image.fromarray(image).convert("P", palette=Image.Palette.ADAPTIVE, colors=2)
    palette.save(tmp_path / "a.png")
    np.testing.assert_array_equal(imaging.load_image(tmp_path / "a.png"), image)


def test_a_transparent_palette_leaks_no_warning(tmp_path: Path) -> None:
    palette = Image.fromarray(noise()).convert("P", palette=Image.Palette.ADAPTIVE, colors=4)
    palette.save(tmp_path / "a.png", transparency=bytes([0, 255, 128, 255]))
    assert imaging.load_image(tmp_path / "a.png").shape == (9, 7, 3)


@pytest.mark.parametrize("mode", ["1", "LA", "CMYK"])
def test_rarer_modes_are_read(tmp_path: Path, mode: str) -> None:
    path = tmp_path / ("a.tif" if mode == "CMYK" else "a.png")
    Image.fromarray(noise()).convert(mode).save(path)
    assert imaging.load_image(path).shape == (9, 7, 3)


@pytest.mark.parametrize("suffix", ["png", "jpg"])
def test_exif_orientation_is_applied(tmp_path: Path, suffix: str) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # the camera was turned: rotate by 90 degrees clockwise
    wide = np.zeros((8, 16, 3), dtype=np.uint8)
    wide[:, :8] = 250
    loaded = imaging.load_image(save(tmp_path / f"a.{suffix}", wide, exif=exif))
    assert loaded.shape == (16, 8, 3)
    assert loaded[:7].min() > 200
    assert loaded[9:].max() < 50


def test_the_peak_of_sixteen_bits_is_as_stored_and_others_have_none(tmp_path: Path) -> None:
    levels = np.array([[0, 4095]], dtype=np.uint16)
    for suffix in ("png", "tif"):
        assert imaging.sixteen_bit_peak(save(tmp_path / f"a.{suffix}", levels)) == 4095
    assert imaging.sixteen_bit_peak(save(tmp_path / "b.png", noise())) is None


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


# ---------------------------------------------------------------- bad images


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
    "array",
    [np.zeros((4, 4), dtype=np.float32), np.full((4, 4), 70_000, dtype=np.int32)],
    ids=["float", "32-bit"],
)
def test_pixel_formats_without_an_8_bit_meaning_are_refused(
    tmp_path: Path, array: NDArray[np.generic]
) -> None:
    with pytest.raises(DataError, match=r"a\.tif .*not supported; save it as"):
        imaging.load_image(save(tmp_path / "a.tif", array))


# ---------------------------------------------------------------- masks


def test_an_anti_aliased_mask_is_cut_above_127(tmp_path: Path) -> None:
    mask = np.array([[0, 127, 128, 255]], dtype=np.uint8)
    loaded = imaging.load_mask(save(tmp_path / "a.png", mask))
    assert loaded.dtype == np.uint8
    assert loaded.tolist() == [[0, 0, 255, 255]]


def test_a_sixteen_bit_mask_is_scaled_before_it_is_cut(tmp_path: Path) -> None:
    mask = np.array([[0, 255, 65535]], dtype=np.uint16)
    assert imaging.load_mask(save(tmp_path / "a.png", mask)).tolist() == [[0, 0, 255]]


def test_a_mask_painted_in_any_colour_counts_as_painted(tmp_path: Path) -> None:
    painted = np.zeros((1, 4, 3), dtype=np.uint8)
    painted[0, 1:] = [(0, 0, 255), (128, 0, 0), (100, 100, 100)]
    save(tmp_path / "rgb.png", painted)
    Image.fromarray(painted).convert("P", palette=Image.Palette.ADAPTIVE).save(tmp_path / "p.png")
    assert imaging.load_mask(tmp_path / "rgb.png").tolist() == [[0, 255, 255, 0]]
    assert imaging.load_mask(tmp_path / "p.png").tolist() == [[0, 255, 255, 0]]


def test_a_mask_painted_in_a_dark_class_colour_counts_but_dark_grey_does_not(
    tmp_path: Path,
) -> None:
    painted = np.zeros((1, 5, 3), dtype=np.uint8)
    painted[0, 1:] = [(0, 100, 0), (64, 0, 0), (63, 0, 0), (127, 127, 127)]
    save(tmp_path / "rgb.png", painted)
    assert imaging.load_mask(tmp_path / "rgb.png").tolist() == [[0, 255, 255, 0, 0]]


def test_a_mask_painted_on_a_transparent_ground_is_unpainted_there(tmp_path: Path) -> None:
    painted = np.full((1, 2, 4), 255, dtype=np.uint8)
    painted[0, 0, 3] = 0
    assert imaging.load_mask(save(tmp_path / "a.png", painted)).tolist() == [[0, 255]]


# ---------------------------------------------------------------- tensors


def test_all_levels_survive_the_way_to_the_tensor_and_back() -> None:
    images = np.arange(256, dtype=np.uint8).repeat(3).reshape(1, 16, 16, 3)
    tensor = imaging.images_to_tensor(images)
    assert tensor.shape == (1, 3, 16, 16)
    assert tensor.dtype == np.float32
    assert tensor.flags.c_contiguous
    assert (tensor.min(), tensor.max()) == (-1, 1)
    np.testing.assert_array_equal(imaging.tensor_to_images(tensor), images)


def test_channels_and_places_keep_their_order() -> None:
    images = noise(4, 6)[None]
    tensor = imaging.images_to_tensor(images)
    assert tensor[0, 2, 3, 5] == pytest.approx(images[0, 3, 5, 2] / 127.5 - 1, abs=1e-6)


def test_values_beyond_the_range_are_clipped() -> None:
    tensor = np.array([-3, 0, 3], dtype=np.float32).reshape(1, 3, 1, 1)
    assert imaging.tensor_to_images(tensor).ravel().tolist() == [0, 128, 255]


def test_masks_become_zeros_and_ones() -> None:
    masks = np.array([[[0, 255]], [[255, 0]]], dtype=np.uint8)
    tensor = imaging.masks_to_tensor(masks)
    assert tensor.shape == (2, 1, 1, 2)
    assert tensor.dtype == np.float32
    assert tensor.ravel().tolist() == [0, 1, 1, 0]


# ---------------------------------------------------------------- writing


@pytest.mark.parametrize("synthetic", [False, True])
def test_what_is_encoded_is_what_is_read(tmp_path: Path, synthetic: bool) -> None:
    image = noise(33, 17)
    data = imaging.encode_png(image, synthetic=synthetic)
    assert data == imaging.encode_png(image.copy(), synthetic=synthetic)
    (tmp_path / "a.png").write_bytes(data)
    np.testing.assert_array_equal(imaging.load_image(tmp_path / "a.png"), image)
    assert imaging.is_marked_synthetic(tmp_path / "a.png") is synthetic


def test_grey_pictures_are_written_as_one_channel(tmp_path: Path) -> None:
    grey = noise(channels=1)
    rgb = np.stack([grey] * 3, axis=2)
    assert imaging.encode_png(rgb) == imaging.encode_png(grey)
    (tmp_path / "a.png").write_bytes(imaging.encode_png(rgb))
    assert imaging.pixel_format(tmp_path / "a.png") == "L"
    assert imaging.pixel_count(tmp_path / "a.png") == grey.size
    np.testing.assert_array_equal(imaging.load_image(tmp_path / "a.png"), rgb)


def test_the_mark_is_the_iptc_term_in_an_xmp_packet() -> None:
    with Image.open(io.BytesIO(imaging.encode_png(noise(), synthetic=True))) as image:
        assert image.info["Software"] == "aliaug-edge"
        assert "Iptc4xmpExt:DigitalSourceType" in image.info["XML:com.adobe.xmp"]
        assert (
            "http://cv.iptc.org/newscodes/digitalsourcetype/compositeWithTrainedAlgorithmicMedia"
            in image.info["XML:com.adobe.xmp"]
        )


def test_marks_in_other_formats_are_found(tmp_path: Path) -> None:
    packet = b"<x>http://cv.iptc.org/newscodes/digitalsourcetype/trainedAlgorithmicMedia</x>"
    assert imaging.is_marked_synthetic(save(tmp_path / "a.jpg", noise(), xmp=packet))
    assert not imaging.is_marked_synthetic(save(tmp_path / "b.jpg", noise()))


# ---------------------------------------------------------------- folders


def test_images_are_listed_by_name_without_hidden_and_other_files(tmp_path: Path) -> None:
    for name in ("b.png", "a.JPG", ".hidden.png", "notes.txt", "sub/c.png"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    assert [p.name for p in imaging.list_images(tmp_path)] == ["a.JPG", "b.png"]


def test_missing_and_empty_folders_are_refused(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="gone does not exist"):
        imaging.list_images(tmp_path / "gone")
    with pytest.raises(DataError, match="file is not a folder"):
        imaging.list_images(tmp_path / "file")
    with pytest.raises(DataError, match="empty holds no images"):
        imaging.list_images(tmp_path / "empty")
