"""The MVTec layout, with and without split.json."""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from aliaug_edge.data.mvtec import load_mvtec
from aliaug_edge.data.reader import load_dataset
from aliaug_edge.data.samples import Dataset
from aliaug_edge.errors import DataError

MAGNETIC_TILE = Path(
    os.environ.get("ALIAUG_DATA", Path(__file__).parents[3] / "shared" / "data" / "magnetic_tile")
)


def counts(dataset: Dataset) -> dict[tuple[str, str], int]:
    return dict(Counter((s.defect_class, s.split) for s in dataset.samples))


def edit(root: Path, change: Callable[[Any], None]) -> None:
    path = root / "split.json"
    document = json.loads(path.read_text())
    change(document)
    path.write_text(json.dumps(document))


def test_split_json_decides_what_may_be_learned_from(split_mvtec: Path) -> None:
    dataset = load_mvtec(split_mvtec)
    assert counts(dataset) == {
        ("crack", "train"): 6,
        ("crack", "test"): 4,
        ("pit", "train"): 2,
        ("pit", "test"): 2,
        ("good", "train"): 5,
        ("good", "test"): 2,
    }
    assert dataset.problems == ()
    assert dataset.classes == ("crack", "pit")
    for sample in dataset.defects("train"):
        assert sample.mask_path is not None
        assert sample.mask_path.stem == f"{sample.image_path.stem}_mask"
        assert sample.mask_path.parent.name == sample.defect_class


def test_another_pool_may_be_chosen(split_mvtec: Path) -> None:
    dataset = load_mvtec(split_mvtec, pool="few")
    assert len(dataset.defects("train")) == 3
    assert len(dataset.defects("test")) == 6
    assert len(dataset.goods("train")) == 5


def test_the_folder_may_have_been_renamed(split_mvtec: Path) -> None:
    renamed = split_mvtec.rename(split_mvtec.with_name("moved"))
    assert len(load_mvtec(renamed).samples) == 21


@pytest.mark.parametrize(
    ("pool", "message"),
    [("none", "no pool `none` for crack; it has few, train"), ("test", "kept for evaluation")],
)
def test_a_pool_that_cannot_be_learned_from_is_refused(
    split_mvtec: Path, pool: str, message: str
) -> None:
    with pytest.raises(DataError, match=message):
        load_mvtec(split_mvtec, pool=pool)


def test_a_pool_needs_a_split_file(mvtec: Path) -> None:
    with pytest.raises(DataError, match=r"named in split\.json"):
        load_mvtec(mvtec, pool="few")


def test_a_file_in_two_pools_is_a_problem(split_mvtec: Path) -> None:
    both = "product/test/crack/000.png"
    edit(split_mvtec, lambda d: d["defect"]["crack"]["test"].append(both))
    with pytest.raises(DataError, match=r"000\.png into both"):
        load_dataset(split_mvtec)


def test_a_group_in_two_pools_is_refused(split_mvtec: Path) -> None:
    rows = "test/crack/000.png,p1\ntest/crack/009.png,p1\n"
    (split_mvtec / "groups.csv").write_text(f"file,group\n{rows}")
    with pytest.raises(DataError, match=r"group p1 lies in both splits.*ali-aug data check"):
        load_dataset(split_mvtec)


def test_a_listed_file_that_is_not_there_is_a_problem(split_mvtec: Path) -> None:
    edit(split_mvtec, lambda d: d["defect"]["pit"]["train"].append("product/../../etc/passwd.png"))
    problems = load_mvtec(split_mvtec).problems
    assert len(problems) == 1
    assert "lists product/../../etc/passwd.png, which is not a usable image" in problems[0]


def test_a_file_listed_as_another_class_is_a_problem(split_mvtec: Path) -> None:
    edit(split_mvtec, lambda d: d["defect"]["pit"]["test"].append("product/test/crack/009.png"))
    assert any("as pit, but its folder says crack" in p for p in load_mvtec(split_mvtec).problems)


def test_files_that_no_pool_lists_are_left_out_with_a_note(split_mvtec: Path) -> None:
    edit(split_mvtec, lambda d: d["defect"]["crack"]["test"].remove("product/test/crack/009.png"))
    dataset = load_mvtec(split_mvtec)
    assert len(dataset.defects("test")) == 5
    assert any("1 images are in no pool" in note and "009.png" in note for note in dataset.notes)


def test_good_photos_keep_their_folder_when_the_file_is_silent(split_mvtec: Path) -> None:
    edit(split_mvtec, lambda d: d.pop("good"))
    dataset = load_mvtec(split_mvtec)
    assert (len(dataset.goods("train")), len(dataset.goods("test"))) == (5, 2)


@pytest.mark.parametrize(
    "text", ["{", "[]", "{}", '{"defect": {"crack": []}}', '{"defect": {"crack": {"train": "a"}}}']
)
def test_a_malformed_split_file_is_one_clear_error(mvtec: Path, text: str) -> None:
    (mvtec / "split.json").write_text(text)
    with pytest.raises(DataError, match=r"split\.json is not a split file: expected"):
        load_mvtec(mvtec)


def test_a_split_file_may_begin_with_a_byte_order_mark(split_mvtec: Path) -> None:
    path = split_mvtec / "split.json"
    path.write_text("\ufeff" + path.read_text(), encoding="utf-8")
    assert len(load_dataset(split_mvtec).samples) == 21


def test_a_split_file_may_spell_accents_otherwise_than_the_disk(split_mvtec: Path) -> None:
    apart, composed = "fe\u0301lure.png", "f\u00e9lure.png"
    (split_mvtec / "test" / "crack" / "000.png").rename(split_mvtec / "test" / "crack" / apart)
    masks = split_mvtec / "ground_truth" / "crack"
    (masks / "000_mask.png").rename(masks / composed)

    def respell(document: Any) -> None:
        pools = document["defect"]["crack"]
        for pool in pools:
            pools[pool] = [name.replace("000.png", composed) for name in pools[pool]]

    edit(split_mvtec, respell)
    assert len(load_dataset(split_mvtec).defects("train")) == 8


def test_without_a_split_file_whole_groups_are_drawn(mvtec: Path) -> None:
    rows = "".join(f"test/crack/{n:03d}.png,p{n // 2}\n" for n in range(10))
    (mvtec / "groups.csv").write_text(f"file,group\n{rows}")
    dataset = load_mvtec(mvtec)
    train = {s.group for s in dataset.defects("train")}
    assert not train & {s.group for s in dataset.defects("test")}
    assert len({g for g in train if g.startswith("p")}) == 4  # of 5 parts with cracks
    assert len(dataset.goods("train")) == 5
    assert any("no split.json" in note for note in dataset.notes)
    assert load_mvtec(mvtec) == dataset
    assert any(load_mvtec(mvtec, seed=s).samples != dataset.samples for s in range(1, 5))


def test_a_part_with_good_photos_stays_where_they_are(mvtec: Path) -> None:
    rows = "train/good/000.png,p1\ntest/pit/010.png,p1\ntest/good/005.png,p2\ntest/pit/011.png,p2\n"
    (mvtec / "groups.csv").write_text(f"file,group\n{rows}")
    dataset = load_mvtec(mvtec)
    assert {s.group: s.split for s in dataset.samples if s.group in ("p1", "p2")} == {
        "p1": "train",
        "p2": "test",
    }


def test_masks_may_have_the_plain_name(mvtec: Path) -> None:
    mask = mvtec / "ground_truth" / "crack" / "000_mask.png"
    mask.rename(mask.with_name("000.png"))
    assert load_mvtec(mvtec).problems == ()


def test_unpaired_files_and_empty_classes_are_all_reported(mvtec: Path) -> None:
    (mvtec / "ground_truth" / "crack" / "000_mask.png").unlink()
    (mvtec / "test" / "crack" / "001.png").unlink()
    (mvtec / "test" / "fray").mkdir()
    problems = load_mvtec(mvtec).problems
    assert any("000.png has no mask named 000 or 000_mask" in p for p in problems)
    assert any("001_mask.png has no image named 001" in p for p in problems)
    assert any("holds no images of the class fray" in p for p in problems)
    assert len(problems) == 3


@pytest.mark.parametrize("folder", ["train/good", "test/good"])
def test_a_good_photo_whose_name_is_no_text_is_a_problem(mvtec: Path, folder: str) -> None:
    photo = min((mvtec / folder).iterdir())
    odd = photo.rename(photo.with_name("p\udcff.png"))
    assert load_mvtec(mvtec).problems == (f"{odd} has a name that is not valid UTF-8; rename it",)
    with pytest.raises(DataError, match="not valid UTF-8; rename it; run `ali-aug data check"):
        load_dataset(mvtec, classes=["pit"])


def test_a_defect_whose_name_is_no_text_is_a_problem_of_its_class(mvtec: Path) -> None:
    for path in (mvtec / "test/crack/003.png", mvtec / "ground_truth/crack/003_mask.png"):
        path.rename(path.with_name(path.name.replace("003", "p\udcff")))
    (problem,) = load_mvtec(mvtec).problems
    assert problem.endswith("p\udcff.png has a name that is not valid UTF-8; rename it")
    assert load_dataset(mvtec, classes=["pit"]).classes == ("pit",)


def test_a_class_without_training_masks_is_a_problem(split_mvtec: Path) -> None:
    edit(split_mvtec, lambda d: d["defect"]["pit"]["train"].clear())
    with pytest.raises(DataError, match="the class pit has no training masks"):
        load_dataset(split_mvtec)


@pytest.mark.skipif(not MAGNETIC_TILE.is_dir(), reason=f"{MAGNETIC_TILE} is not there")
@pytest.mark.parametrize("pool", ["train", "train_one_per_tile"])
def test_real_data_have_the_counts_of_their_split_file(pool: str) -> None:
    split = json.loads((MAGNETIC_TILE / "split.json").read_text())
    dataset = load_dataset(MAGNETIC_TILE, pool=pool)
    expected = {("good", s): len(split["good"][s]) for s in ("train", "test")}
    for name, pools in split["defect"].items():
        expected |= {(name, "train"): len(pools[pool]), (name, "test"): len(pools["test"])}
    assert counts(dataset) == expected
