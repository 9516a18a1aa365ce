"""Batches from a user's photos: seeded, ranked, paired by inpainting or put on other good parts."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from aliaug_edge import crops
from aliaug_edge.appearances import NUMBERS
from aliaug_edge.data.reader import load_dataset
from aliaug_edge.data.samples import Sample
from aliaug_edge.errors import AliAugError, DataError
from aliaug_edge.training.batch import Batch
from aliaug_edge.training.config import TrainConfig
from aliaug_edge.training.defects import (
    DefectSource,
    draw_defects,
    learned_appearances,
    load_source,
    mask_bank,
)
from aliaug_edge.training.photos import read_defect
from aliaug_edge.training.trainer import class_prompts
from tests.support.bases import CLASSES, write_dataset


def draw(source: DefectSource, step: int = 0, **changes: object) -> Batch:
    settings = {
        "seed": 0,
        "size": 6,
        "crop": 48,
        "colour_carrier": False,
        "unpaired_share": 0.5,
    }
    return draw_defects(source, step, **{**settings, **changes})  # type: ignore[arg-type]


def source_of(folder: Path, photo: np.ndarray, mask: np.ndarray, crop: int) -> DefectSource:
    """One photo of class pit, and no good ones."""
    paths = folder / "image.png", folder / "mask.png"
    for path, pixels in zip(paths, (photo, mask), strict=True):
        Image.fromarray(pixels).save(path)
    sample = Sample(*paths, defect_class="pit", group="a", split="train")
    defect, _ = read_defect(sample, crop, np.random.default_rng(0))
    return DefectSource({"pit": (defect,)}, (), {"pit": "x"}, {"pit": (1.0, 0.0, 0.0)})


def equal(a: Batch, b: Batch) -> bool:
    return all(
        torch.equal(x, y) if isinstance(x, torch.Tensor) else x == y
        for x, y in zip(vars(a).values(), vars(b).values(), strict=True)
    )


def test_a_batch_has_the_contract_s_shapes_and_ranges(source: DefectSource) -> None:
    batch = draw(source)
    for name in ("image", "target", "real"):
        tensor = getattr(batch, name)
        assert tensor.shape == (6, 3, 48, 48)
        assert tensor.dtype == torch.float32
        assert -1 <= tensor.min() < tensor.max() <= 1
    for name in ("mask", "real_mask"):
        mask = getattr(batch, name)
        assert mask.shape == (6, 1, 48, 48)
        assert set(mask.unique().tolist()) == {0, 1}
        assert bool((mask.sum(dim=(1, 2, 3)) > 0).all())
    assert batch.colour.shape == (6, 3)
    assert batch.severity.shape == (6, 1)
    assert batch.paired.shape == (6,)
    assert set(batch.prompts) <= {"a crack", "a stain"}


def test_a_batch_depends_on_seed_and_step_alone(source: DefectSource, data_dir: Path) -> None:
    again = load_source(load_dataset(data_dir), CLASSES, dict(source.prompts), seed=0, crop=48)
    assert equal(draw(source, 3), draw(again, 3))
    assert not equal(draw(source, 3), draw(source, 4))
    assert not equal(draw(source, 3), draw(source, 3, seed=1))


def test_severity_is_the_rank_of_contrast_within_the_class(source: DefectSource) -> None:
    for name in CLASSES:
        items = source.defects[name]
        assert sorted(d.severity for d in items) == [
            pytest.approx((rank + 0.5) / len(items)) for rank in range(len(items))
        ]
        by_severity = sorted(items, key=lambda d: d.severity)
        contrasts = [
            np.abs(p.image[p.mask > 0].astype(float) - p.good[p.mask > 0]).mean()
            for p in (defect.spots[0][0] for defect in by_severity)
        ]
        assert contrasts == sorted(contrasts)


def test_an_unpaired_sample_s_target_is_its_input(source: DefectSource) -> None:
    batch = draw(source, unpaired_share=1.0)
    assert not batch.paired.any()
    assert torch.equal(batch.image, batch.target)
    assert not torch.equal(batch.real, batch.target)


def test_a_paired_sample_differs_from_its_target_at_the_defect_alone(source: DefectSource) -> None:
    batch = draw(source, unpaired_share=0.0, size=8)
    assert batch.paired.all()
    assert torch.equal(batch.real, batch.target)
    assert torch.equal(batch.real_mask, batch.mask)
    near = torch.nn.functional.max_pool2d(batch.mask, 15, stride=1, padding=7)
    difference = (batch.image - batch.target).abs()
    assert (difference * (1 - near)).max() == 0
    assert ((difference * batch.mask).sum(dim=(1, 2, 3)) > 0).all()


def test_without_good_photos_every_sample_is_paired(source: DefectSource) -> None:
    assert draw(replace(source, goods=()), unpaired_share=1.0).paired.all()


def test_the_colour_carries_the_class_only_where_asked(source: DefectSource) -> None:
    text, colour = draw(source), draw(source, colour_carrier=True)
    assert (text.colour == 1).all()
    assert torch.equal(text.class_index, colour.class_index)
    assert len({tuple(row) for row in colour.colour.tolist()}) == 2


def test_a_photo_smaller_than_the_crop_is_reflected(source: DefectSource) -> None:
    assert draw(source, crop=160, size=2).image.shape == (2, 3, 160, 160)


@pytest.mark.parametrize("length", [20, 60, 80, 120])
def test_a_defect_is_learned_at_the_scale_at_which_generation_shows_it(
    tmp_path: Path, length: int
) -> None:
    """Red rises by one level a row: its slope in a crop says how many rows a pixel holds."""
    crop, rows = 64, np.mgrid[:250, :250][0].astype(np.uint8)
    photo, mask = np.stack([rows, rows, rows], axis=2), np.zeros((250, 250), np.uint8)
    mask[60 : 60 + length, 70:110] = 255
    batch = draw(source_of(tmp_path, photo, mask, crop), size=40, crop=crop)
    slopes = (batch.real[:, 0] * 127.5).diff(dim=1).abs().mean(dim=(1, 2))
    box = crops.mask_box(mask)
    size = crops.size_for(box, [(crop, crop), (2 * crop, 2 * crop)])
    shown = crops.window_around(box, mask.shape, size).height / size[0]
    alike = float(((slopes / shown - 1).abs() < 0.45).float().mean())  # exposure and zoom vary
    assert alike == 1 if size == (crop, crop) else 0.3 < alike < 0.7  # the rest shows the whole


def test_a_large_defect_is_seen_whole_and_a_piece_at_a_time_all_over(tmp_path: Path) -> None:
    """Each quarter of the mask has its own colour."""
    photo, mask = np.full((200, 200, 3), 128, np.uint8), np.zeros((200, 200), np.uint8)
    mask[60:140, 60:140] = 255
    for number, (y, x) in enumerate([(60, 60), (60, 100), (100, 60), (100, 100)]):
        photo[y : y + 40, x : x + 40] = 20 + 30 * number
    batch = draw(source_of(tmp_path, photo, mask, 64), size=60, crop=64)
    assert bool((batch.mask.sum(dim=(1, 2, 3)) > 0).all())
    assert float(batch.mask.mean(dim=(1, 2, 3)).std()) > 0.05  # now more of it, now less
    levels = batch.real[batch.mask.expand_as(batch.real) > 0] * 127.5 + 127.5
    seen = torch.histc(levels, bins=4, min=5, max=125)
    assert bool((seen > 0.05 * seen.sum()).all())
    whole = (batch.mask.mean(dim=(1, 2, 3)) - (40 / 64) ** 2).abs() < 0.15
    assert 0.2 < float(whole.float().mean()) < 0.9


def test_the_mask_bank_holds_tight_shapes_of_every_class(source: DefectSource) -> None:
    bank = mask_bank(source)
    assert list(bank) == list(CLASSES)
    for shapes in bank.values():
        for shape in (entry.pixels for entry in shapes):
            assert shape.dtype == np.uint8
            assert set(np.unique(shape)) <= {0, 255}
            assert shape[0].any() and shape[-1].any()
            assert shape[:, 0].any() and shape[:, -1].any()


def test_a_class_without_masks_to_learn_from_is_refused(data_dir: Path) -> None:
    dataset = load_dataset(data_dir)
    with pytest.raises(DataError, match="no train defects with masks for dent"):
        load_source(dataset, ("crack", "dent"), {"crack": "a", "dent": "b"}, seed=0, crop=48)


def test_an_unknown_class_is_refused_with_those_that_exist(data_dir: Path) -> None:
    config = TrainConfig(data=str(data_dir), classes=("crack", "dent"))
    with pytest.raises(AliAugError, match=r"unknown class dent: .* has crack, stain"):
        class_prompts(load_dataset(data_dir), config)


def test_prompts_name_the_class_or_nothing(data_dir: Path) -> None:
    dataset = load_dataset(data_dir)
    text = class_prompts(dataset, TrainConfig(data=str(data_dir), label_carrier="text"))
    assert text == {"crack": "a crack", "stain": "a stain"}
    colour = class_prompts(dataset, TrainConfig(data=str(data_dir), label_carrier="colour"))
    assert colour == {"crack": "add a defect", "stain": "add a defect"}
    both = class_prompts(dataset, TrainConfig(data=str(data_dir), label_carrier="both"))
    none = class_prompts(dataset, TrainConfig(data=str(data_dir), label_carrier="none"))
    assert (both, none) == (text, colour)


def test_classes_that_only_their_prompt_could_tell_apart_are_refused(tmp_path: Path) -> None:
    root = write_dataset(tmp_path / "parts", defects=1)
    for folder in ("test", "ground_truth"):
        (root / folder / "crack").rename(root / folder / "gray_stroke")
        (root / folder / "stain").rename(root / folder / "gray-stroke")
    dataset = load_dataset(root)
    with pytest.raises(AliAugError, match=r"gray-stroke and gray_stroke have the same prompt"):
        class_prompts(dataset, TrainConfig(data=str(root), label_carrier="text"))
    colour = TrainConfig(data=str(root), label_carrier="colour")
    assert len(class_prompts(dataset, colour)) == 2


def test_a_good_counterpart_of_another_size_is_refused(tmp_path: Path) -> None:
    root = write_dataset(tmp_path / "parts", defects=1)
    dataset = load_dataset(root)
    small = tmp_path / "small.png"
    Image.fromarray(np.zeros((8, 8, 3), np.uint8)).save(small)
    samples = tuple(replace(s, good_path=small) if s.mask_path else s for s in dataset.samples)
    with pytest.raises(DataError, match=r"small.png: its size 8x8 differs"):
        load_source(replace(dataset, samples=samples), ("crack",), {"crack": "x"}, seed=0, crop=48)


def test_every_spot_s_severity_and_appearance_are_learned(source: DefectSource) -> None:
    learned = learned_appearances(source, 48)
    assert list(learned) == list(source.classes)
    for name, rows in learned.items():
        spots = [defect.severity for defect in source.defects[name] for _ in defect.spots]
        assert rows.shape == (len(spots), 1 + NUMBERS)
        assert rows[:, 0] == pytest.approx(spots)
        assert np.isfinite(rows).all()
        assert rows[:, 1:].std(axis=0).max() > 0
    again = learned_appearances(source, 48)
    assert all(np.array_equal(again[name], rows) for name, rows in learned.items())


def test_an_unpaired_sample_is_asked_for_at_its_own_defect_s_severity(source: DefectSource) -> None:
    severities = {round(d.severity, 4) for items in source.defects.values() for d in items}
    batch = draw(source, unpaired_share=1.0)
    assert not batch.paired.any()
    assert {round(float(value), 4) for value in batch.severity} <= severities
