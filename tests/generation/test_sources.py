"""Sources as they are checked before a run: by header where the size is all that is needed."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image, ImageFile

from aliaug_edge import imaging
from aliaug_edge.errors import DataError
from aliaug_edge.generation.sources import Sources

HW = (64, 64)


def save_turned(folder, suffix: str) -> None:
    """A 40 x 30 photo that its EXIF turns upright: 30 wide, 40 high."""
    exif = Image.Exif()
    exif[0x0112] = 6
    pixels = np.random.default_rng(0).integers(0, 255, (30, 40, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(folder / f"turned.{suffix}", exif=exif)


def test_masks_are_checked_without_decoding_an_image(good_dir, masks_dir, monkeypatch):
    sources = Sources(good_dir, masks_dir, HW)
    decoded: list[str] = []
    load = ImageFile.ImageFile.load

    def noted(self: ImageFile.ImageFile):
        decoded.append(self.fp.name if self.fp and hasattr(self.fp, "name") else "")
        return load(self)

    monkeypatch.setattr(ImageFile.ImageFile, "load", noted)
    sources.check_masks(sources.names)
    assert any(str(masks_dir) in name for name in decoded)
    assert not any(str(good_dir) in name for name in decoded)


@pytest.mark.parametrize("suffix", ["jpg", "png", "tif", "webp"])
def test_the_size_is_that_of_the_upright_image(tmp_path, suffix):
    images, masks = tmp_path / "images", tmp_path / "masks"
    for folder in (images, masks):
        folder.mkdir()
    save_turned(images, suffix)
    mask = np.zeros((40, 30), np.uint8)
    mask[5:9, 5:9] = 255
    Image.fromarray(mask).save(masks / "turned.png")
    assert imaging.load_image(images / f"turned.{suffix}").shape == (40, 30, 3)
    Sources(images, masks, HW).check_masks([f"turned.{suffix}"])
    Image.fromarray(np.ascontiguousarray(mask.T)).save(masks / "turned.png")
    with pytest.raises(DataError, match="is 40 x 30 px, its image is 30 x 40 px"):
        Sources(images, masks, HW).check_masks([f"turned.{suffix}"])


def test_the_fingerprint_follows_the_content_of_the_masks_that_are_used(good_dir, masks_dir):
    used = ["part_0.png", "part_1.png"]
    before = Sources(good_dir, masks_dir, HW).fingerprint(used)
    assert Sources(good_dir, masks_dir, HW).fingerprint(reversed(used)) == before
    for name, differs in (("part_5_mask.png", False), ("part_0_mask.png", True)):
        content = bytearray((masks_dir / name).read_bytes())
        content[-1] ^= 1
        (masks_dir / name).write_bytes(content)
        assert (Sources(good_dir, masks_dir, HW).fingerprint(used) != before) is differs


def test_a_source_that_vanishes_is_one_clear_error(good_dir):
    sources = Sources(good_dir, None, HW)
    (good_dir / "part_0.png").unlink()
    assert sources.sha256("part_0.png") is None
    with pytest.raises(DataError, match=r"part_0\.png cannot be read: No such file"):
        sources.fingerprint([])
