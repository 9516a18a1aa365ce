"""Photos in memory: large ones as patches, with the crops that whole ones would have given."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from aliaug_edge.data.procedural import render_pair
from aliaug_edge.data.reader import load_dataset
from aliaug_edge.data.samples import Sample
from aliaug_edge.training import photos
from aliaug_edge.training.defects import DefectSource, draw_defects, load_source, mask_bank
from aliaug_edge.training.photos import read_defect, read_good, same_part
from tests.support.bases import write_dataset

CROP = 64


def rng() -> np.random.Generator:
    return np.random.default_rng(3)


def save(path: Path, pixels: np.ndarray) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)
    return path


def new_sample(
    folder: Path, image: np.ndarray, mask: np.ndarray, good: np.ndarray | None = None
) -> Sample:
    return Sample(
        image_path=save(folder / "image.png", image),
        mask_path=save(folder / "mask.png", mask),
        defect_class="crack",
        group="a",
        split="train",
        good_path=None if good is None else save(folder / "good.png", good),
    )


@pytest.fixture
def large(tmp_path: Path) -> Sample:
    """Three megapixels; one defect at the upper left corner, one inside, one at the right edge."""
    image = rng().integers(90, 130, (1500, 2000, 1), dtype=np.uint8).repeat(3, axis=2)
    mask = np.zeros(image.shape[:2], np.uint8)
    mask[0:12, 0:30] = mask[700:720, 900:905] = mask[1300:1340, 1990:2000] = 255
    image[mask > 0] //= 3
    return new_sample(tmp_path, image, mask)


def held_bytes(defect: photos.Defect) -> int:
    patches = {id(patch): patch for patch, _ in defect.spots}.values()
    return sum(p.image.nbytes + p.good.nbytes + p.mask.nbytes for p in patches)


def test_a_large_photo_is_held_as_patches_around_its_defects(large: Sample) -> None:
    defect, other = read_defect(large, CROP, rng())
    assert other is None
    assert len(defect.spots) == len({id(patch) for patch, _ in defect.spots}) == 3
    assert held_bytes(defect) < 0.05 * 1500 * 2000 * 7
    assert all(patch.paired for patch, _ in defect.spots)


def test_crops_of_patches_are_those_of_the_whole_photo(
    large: Sample, monkeypatch: pytest.MonkeyPatch
) -> None:
    held = read_defect(large, CROP, rng())[0]
    monkeypatch.setattr(photos, "WHOLE_PIXELS", 10**9)
    whole = read_defect(large, CROP, rng())[0]
    assert len(held.shapes) == len(whole.shapes) == 3
    for mine, theirs in zip(held.shapes, whole.shapes, strict=True):
        assert np.array_equal(mine.pixels, theirs.pixels)
        assert mine.borders == theirs.borders
    assert {shape.borders for shape in held.shapes} == {"tl", "", "r"}
    for step in range(12):
        a, b = (
            draw_defects(
                DefectSource({"crack": (defect,)}, (), {"crack": "x"}, {"crack": (1, 0, 0)}),
                step,
                seed=0,
                size=2,
                crop=CROP,
                colour_carrier=False,
                unpaired_share=0.0,
            )
            for defect in (held, whole)
        )
        assert torch.equal(a.real, b.real)
        assert torch.equal(a.real_mask, b.real_mask)


def test_a_defect_far_larger_than_the_crop_is_held_scaled_down(tmp_path: Path) -> None:
    image = rng().integers(90, 130, (1200, 1600, 3), dtype=np.uint8)
    mask = np.zeros(image.shape[:2], np.uint8)
    mask[300:700, 200:1000] = 255
    defect, _ = read_defect(new_sample(tmp_path, image, mask), CROP, rng())
    ((patch, box),) = defect.spots
    assert max(patch.mask.shape) < 4 * CROP
    assert 1.5 * box.width > 1.2 * 2 * CROP  # hardly ever scaled up again
    inside = patch.mask[box.top : box.top + box.height, box.left : box.left + box.width]
    assert (inside > 0).mean() > 0.98
    assert defect.shapes[0].pixels.shape == (400, 800)
    assert defect.shapes[0].pixels.base is None  # not a view that keeps the whole mask


def test_near_defects_share_a_patch(tmp_path: Path) -> None:
    image = np.full((1000, 1000, 3), 120, np.uint8)
    mask = np.zeros((1000, 1000), np.uint8)
    mask[500:520, 500:520] = mask[500:520, 540:560] = mask[20:40, 20:40] = 255
    image[mask > 0] = 20
    defect, _ = read_defect(new_sample(tmp_path, image, mask), CROP, rng())
    assert len(defect.spots) == 3
    assert len({id(patch) for patch, _ in defect.spots}) == 2
    for patch, box in defect.spots:
        assert patch.mask[box.top : box.top + box.height, box.left : box.left + box.width].all()


def test_a_counterpart_of_the_same_part_is_used(tmp_path: Path) -> None:
    pair = render_pair(1, 96, 128, defect_class="crack")
    noisy = np.clip(pair.good + rng().normal(0, 2, pair.good.shape), 0, 255).astype(np.uint8)
    defect, other = read_defect(new_sample(tmp_path, pair.defect, pair.mask, noisy), CROP, rng())
    assert other is None
    assert np.array_equal(defect.spots[0][0].good, noisy)


def test_a_counterpart_of_another_part_is_a_good_photo_and_no_pair(tmp_path: Path) -> None:
    pair, another = (render_pair(seed, 96, 128, defect_class="crack") for seed in (1, 2))
    sample = new_sample(tmp_path, pair.defect, pair.mask, another.good)
    assert not same_part(pair.defect, another.good, pair.mask)
    defect, other = read_defect(sample, CROP, rng())
    assert other == sample.good_path
    patch = defect.spots[0][0]
    far = photos.dilate(patch.mask, photos.MARGIN) == 0
    assert np.array_equal(patch.good[far], patch.image[far])  # inpainted instead


def test_unpaired_inputs_of_the_released_layout_join_the_good_photos(tmp_path: Path) -> None:
    for index in range(3):
        pair, another = (render_pair(10 * s + index, 96, 128) for s in (1, 2))
        for letter, pixels in (("A", pair.mask), ("B", pair.defect), ("C", another.good)):
            save(tmp_path / f"train_{letter}" / f"crack_{index}.png", pixels)
    dataset = load_dataset(tmp_path)
    source = load_source(dataset, ("crack",), {"crack": "x"}, seed=0, crop=CROP)
    assert len(source.goods) == 3
    batch = draw_defects(
        source, 0, seed=0, size=8, crop=CROP, colour_carrier=False, unpaired_share=0.5
    )
    assert 0 < int(batch.paired.sum()) < 8


def test_a_defect_that_cannot_be_inpainted_is_learned_from_unpaired(tmp_path: Path) -> None:
    image = rng().integers(90, 130, (96, 128, 3), dtype=np.uint8)
    mask = np.zeros((96, 128), np.uint8)
    mask[4:90, 4:120] = 255
    image[mask > 0] //= 3
    defect, _ = read_defect(new_sample(tmp_path, image, mask), CROP, rng())
    assert not defect.spots[0][0].paired
    for goods, paired in (((np.full((96, 128, 3), 100, np.uint8),), 0), ((), 6)):
        batch = draw_defects(
            DefectSource({"crack": (defect,)}, goods, {"crack": "x"}, {"crack": (1, 0, 0)}),
            0,
            seed=0,
            size=6,
            crop=CROP,
            colour_carrier=False,
            unpaired_share=0.0,
        )
        assert int(batch.paired.sum()) == paired


def test_good_photos_share_a_budget_of_bytes(tmp_path: Path) -> None:
    image = rng().integers(0, 255, (600, 900, 3), dtype=np.uint8)
    path = save(tmp_path / "good.png", image)
    assert np.array_equal(read_good(path, CROP, image.nbytes, rng()), image)
    window = read_good(path, CROP, 100_000, rng())
    assert 80_000 < window.nbytes <= 100_000
    assert window.base is None
    assert read_good(path, CROP, 1, rng()).shape == (80, 80, 3)  # still one training window


def test_many_large_good_photos_stay_within_the_budget(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(photos, "GOODS_BYTES", 60_000)
    dataset = load_dataset(write_dataset(tmp_path / "parts", defects=1))
    source = load_source(dataset, ("crack",), {"crack": "x"}, seed=0, crop=32)
    assert len(source.goods) == 4
    assert sum(good.nbytes for good in source.goods) <= 60_000


def test_reading_is_counted_on_stderr(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    dataset = load_dataset(write_dataset(tmp_path / "parts", defects=2))
    load_source(dataset, ("crack",), {"crack": "x"}, seed=0, crop=32, progress=True)
    said = capsys.readouterr().err
    assert re.search(r"read (\d)/\1 photos with defects\n", said)
    assert "read 4/4 good photos\n" in said
    load_source(dataset, ("crack",), {"crack": "x"}, seed=0, crop=32)
    assert capsys.readouterr().err == ""


def test_masks_of_the_bank_come_at_full_size(large: Sample) -> None:
    defect = replace(read_defect(large, CROP, rng())[0], severity=0.5)
    bank = mask_bank(DefectSource({"crack": (defect,)}, (), {"crack": "x"}, {"crack": (1, 0, 0)}))
    assert [shape.pixels.shape for shape in bank["crack"]] == [(12, 30), (20, 5), (40, 10)]
