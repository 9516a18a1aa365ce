"""Folds that never leak, exchange their sides, and say in one line why data cannot be split."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from aliaug_edge.data.samples import Sample
from aliaug_edge.errors import AliAugError, DataError
from aliaug_edge.evaluation.folds import (
    Fold,
    evaluation_folds,
    is_small,
    two_folds,
    with_fewer,
    with_fewer_goods,
)

Lists = dict[str, dict[str, list[str]]]


def write(path: Path, pixels: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)


def write_defects(root: Path, name: str, count: int) -> list[str]:
    """`count` photos with masks in MVTec's layout; their names for split.json."""
    for number in range(count):
        rng = np.random.default_rng([len(name), number])
        mask = np.zeros((16, 20), np.uint8)
        mask[2:6, 3:7] = 255
        write(root / "test" / name / f"{number}.png", rng.integers(0, 255, (16, 20), np.uint8))
        write(root / "ground_truth" / name / f"{number}_mask.png", mask)
    return [f"test/{name}/{number}.png" for number in range(count)]


def write_goods(root: Path, side: str, count: int) -> list[str]:
    for number in range(count):
        write(root / side / "good" / f"{number}.png", np.full((16, 20), 90 + number, np.uint8))
    return [f"{side}/good/{number}.png" for number in range(count)]


@pytest.fixture
def product(tmp_path: Path) -> Path:
    """6 cracks and 4 pits, half of each to learn from; small pools on both sides for cracks."""
    root = tmp_path / "product"
    cracks, pits = write_defects(root, "crack", 6), write_defects(root, "pit", 4)
    split = {
        "crack": {
            "train": cracks[:3],
            "test": cracks[3:],
            "train_few": cracks[:1],
            "test_few": cracks[3:4],
        },
        "pit": {"train": pits[:2], "test": pits[2:], "train_few": pits[:1]},
    }
    write_split(root, split, write_goods(root, "train", 3), write_goods(root, "test", 2))
    return root


def write_split(root: Path, defects: Lists, train_good: list[str], test_good: list[str]) -> None:
    document: dict[str, Any] = {
        "defect": defects,
        "good": {"train": train_good, "test": test_good},
    }
    (root / "split.json").write_text(json.dumps(document))


def edit_split(root: Path, name: str, **lists: list[str]) -> None:
    document = json.loads((root / "split.json").read_text())
    document["defect"][name] |= lists
    (root / "split.json").write_text(json.dumps(document))


def names(samples: Any) -> list[str]:
    return [f"{s.image_path.parent.name}/{s.image_path.stem}" for s in samples]


def test_first_fold_is_the_split_of_the_data(product: Path) -> None:
    (fold,) = evaluation_folds(product, exchange=False)

    assert names(fold.train) == ["crack/0", "crack/1", "crack/2", "pit/0", "pit/1"]
    assert names(fold.test) == ["crack/3", "crack/4", "crack/5", "pit/2", "pit/3"]
    assert (len(fold.train_good), len(fold.test_good)) == (3, 2)


def test_exchange_turns_the_sides_round(product: Path) -> None:
    first, second = two_folds(product)

    assert (names(second.train), names(second.test)) == (names(first.test), names(first.train))
    assert names(second.train_good) == names(first.test_good)
    assert names(second.test_good) == names(first.train_good)
    assert {s.split for s in (*second.train, *second.train_good)} == {"train"}
    assert {s.split for s in (*second.test, *second.test_good)} == {"test"}


def test_second_fold_learns_from_the_matching_pool_and_is_tried_on_the_whole_train_list(
    product: Path,
) -> None:
    first, second = two_folds(product, pool="train_few")

    assert names(first.train) == ["crack/0", "pit/0"]
    assert names(second.train) == ["crack/3", "pit/2", "pit/3"]  # pits have no test_few
    assert names(second.test) == ["crack/0", "crack/1", "crack/2", "pit/0", "pit/1"]


def test_every_defect_is_tried_once(product: Path) -> None:
    first, second = two_folds(product)

    assert len(names(first.test) + names(second.test)) == 10
    assert len(set(names(first.test) + names(second.test))) == 10


def test_small_sets_are_exchanged_unless_told_otherwise(product: Path) -> None:
    assert len(evaluation_folds(product)) == 2
    assert len(evaluation_folds(product, exchange=False)) == 1


def test_large_sets_are_not_exchanged_unless_asked(tmp_path: Path) -> None:
    root = tmp_path / "large"
    write_defects(root, "crack", 136)  # 30 % of the groups are tried: 41
    write_goods(root, "train", 1)
    write_goods(root, "test", 1)
    (fold,) = evaluation_folds(root)

    assert fold.test_groups == 41 and not is_small(fold)
    assert len(evaluation_folds(root, exchange=True)) == 2


def test_classes_are_kept_as_asked(product: Path) -> None:
    assert [f.classes for f in two_folds(product, classes=["pit"])] == [("pit",), ("pit",)]


def test_paired_data_give_the_counterparts_as_good_photos(tmp_path: Path) -> None:
    root = tmp_path / "paired"
    mask = np.zeros((16, 20), np.uint8)
    mask[4:8, 4:8] = 255
    for side in ("train", "test"):
        for number in range(2):
            noise = np.random.default_rng([len(side), number]).integers(0, 255, (16, 20), np.uint8)
            write(root / f"{side}_A" / f"crack_{number}.png", mask)
            write(root / f"{side}_B" / f"crack_{number}.png", noise | mask)
            write(root / f"{side}_C" / f"crack_{number}.png", noise)
    fold: Fold = evaluation_folds(root, exchange=False)[0]

    assert [s.image_path.parent.name for s in fold.train_good] == ["train_C", "train_C"]
    assert {s.defect_class for s in fold.test_good} == {"good"}


def test_a_class_with_one_group_is_named_with_what_can_still_be_run(product: Path) -> None:
    write_defects(product, "dent", 1)
    edit_split(product, "crack")
    document = json.loads((product / "split.json").read_text())
    document["defect"]["dent"] = {"train": ["test/dent/0.png"], "test": []}
    (product / "split.json").write_text(json.dumps(document))

    with pytest.raises(DataError, match=r"dent shows 1 group.*needs at least 2") as caught:
        evaluation_folds(product)
    assert "`--classes crack,pit` runs without" in str(caught.value)
    assert len(evaluation_folds(product, classes=["crack", "pit"])) == 2


def test_a_class_without_test_images_is_named(product: Path) -> None:
    edit_split(product, "pit", test=[])

    with pytest.raises(DataError, match=r"class pit has 2 groups and all are on the train side"):
        evaluation_folds(product)


def test_nothing_to_run_is_said(tmp_path: Path) -> None:
    root = tmp_path / "one"
    write_defects(root, "crack", 1)
    write_goods(root, "train", 1)
    write_goods(root, "test", 1)

    with pytest.raises(DataError, match="no class can be evaluated yet"):
        evaluation_folds(root)


def test_a_group_on_both_sides_is_refused(product: Path, tmp_path: Path) -> None:
    groups = tmp_path / "groups.csv"
    groups.write_text("file,group\ntest/crack/0.png,tile7\ntest/crack/4.png,tile7\n")

    with pytest.raises(DataError, match="group tile7 lies in both splits"):
        evaluation_folds(product, groups=groups)


def test_a_group_that_only_the_whole_pool_puts_on_both_sides_is_refused(
    product: Path, tmp_path: Path
) -> None:
    groups = tmp_path / "groups.csv"
    groups.write_text("file,group\ntest/crack/2.png,tile7\ntest/crack/4.png,tile7\n")

    assert len(evaluation_folds(product, pool="train_few", groups=groups, exchange=False)) == 1
    with pytest.raises(DataError, match="group tile7 lies in both splits"):
        evaluation_folds(product, pool="train_few", groups=groups, exchange=True)


@pytest.mark.parametrize("side", ["train", "test"])
def test_missing_good_photos_are_named_with_their_side(product: Path, side: str) -> None:
    document = json.loads((product / "split.json").read_text())
    document["good"][side] = []
    (product / "split.json").write_text(json.dumps(document))

    with pytest.raises(DataError, match=f"fold 0 has no good photos on the {side} side"):
        evaluation_folds(product)


def test_masks_that_cover_everything_are_named_before_anything_is_trained(product: Path) -> None:
    for stem in ("1", "4"):
        full = np.full((16, 20), 255, np.uint8)
        write(product / "ground_truth" / "crack" / f"{stem}_mask.png", full)

    with pytest.raises(DataError, match=r"1_mask.png is full.*4_mask.png is full"):
        evaluation_folds(product)


def test_fewer_defects_leave_the_test_side_and_the_good_photos(product: Path) -> None:
    fold = evaluation_folds(product, exchange=False)[0]
    few = with_fewer(fold, 3, product, seed=0)
    assert sorted(s.defect_class for s in few.train) == ["crack", "crack", "pit"]
    assert set(few.train) < set(fold.train)
    assert (few.test, few.train_good, few.test_good) == (
        fold.test,
        fold.train_good,
        fold.test_good,
    )
    assert set(with_fewer(fold, 2, product, seed=0).train) < set(few.train)


def test_fewer_defects_than_classes_are_refused(product: Path) -> None:
    fold = evaluation_folds(product, exchange=False)[0]
    with pytest.raises(AliAugError, match="max_defects 1: expected at least 2, one per class"):
        with_fewer(fold, 1, product, seed=0)


def test_good_photos_beyond_the_limit_are_left_out_by_name_and_not_by_order(tmp_path):
    goods = tuple(
        Sample(tmp_path / f"{number:03d}.png", None, "good", f"g{number}", "train")
        for number in range(20)
    )
    fold = Fold(0, (), (), goods, goods[:3])
    fewer = with_fewer_goods(fold, 5, 3)
    assert len(fewer.train_good) == 5
    assert fewer.test_good == goods[:3]
    turned = with_fewer_goods(Fold(0, (), (), goods[::-1], ()), 5, 3)
    assert set(turned.train_good) == set(fewer.train_good)
    assert [goods.index(s) for s in fewer.train_good] == sorted(
        goods.index(s) for s in fewer.train_good
    )
