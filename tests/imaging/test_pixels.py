"""Every kind of image and mask that a user may bring comes in as the project has them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from support.pictures import noise, save

from aliaug_edge import imaging
from aliaug_edge.errors import DataError


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
    "array",
    [np.zeros((4, 4), dtype=np.float32), np.full((4, 4), 70_000, dtype=np.int32)],
    ids=["float", "32-bit"],
)
def test_pixel_formats_without_an_8_bit_meaning_are_refused(
    tmp_path: Path, array: NDArray[np.generic]
) -> None:
    with pytest.raises(DataError, match=r"a\.tif .*not supported; save it as"):
        imaging.load_image(save(tmp_path / "a.tif", array))


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
