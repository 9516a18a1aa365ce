"""The PNG files that we write, and the mark that they carry."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from support.pictures import noise, save

from aliaug_edge import imaging


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
