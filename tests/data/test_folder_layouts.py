"""The Ali-AUG layout, plain folders, and how a layout is recognised."""

from __future__ import annotations

import errno
import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from aliaug_edge.data.aliaug import load_aliaug
from aliaug_edge.data.class_names import class_of
from aliaug_edge.data.folders import load_folders
from aliaug_edge.data.prompts import shared_words
from aliaug_edge.data.reader import layout_of, load_dataset
from aliaug_edge.errors import DataError

Write = Callable[..., Path]


def test_triplets_are_read_with_class_prompt_and_good_photo(aliaug: Path) -> None:
    dataset = load_dataset(aliaug)
    assert dataset.layout == "aliaug"
    found = {(s.split, s.image_path.stem): s.defect_class for s in dataset.samples}
    assert found == {
        ("train", "000"): "crack",
        ("train", "001"): "gray_stroke",
        ("train", "002"): "crack",
        ("test", "000"): "crack",
        ("test", "001"): "gray_stroke",
    }
    assert not any("read from prompts" in note for note in dataset.notes)
    first = dataset.defects("train")[0]
    assert first.image_path == aliaug / "train_B" / "000.png"
    assert first.mask_path == aliaug / "train_A" / "000.png"
    assert first.good_path == aliaug / "train_C" / "000.png"
    assert first.prompt == "Add a crack defect to the tile."


@pytest.mark.parametrize(
    ("prompt", "stem", "expected"),
    [
        ("Add a crack defect.", "000", "crack"),
        ("add a Gray-Stroke defect", "000", "gray_stroke"),
        ("Add a defect.", "gray_stroke_017", "gray_stroke"),
        (None, "crack-3_mask", "crack"),
        ("Add a defect.", "017", "defect"),
        (None, "17", "defect"),
        ("Add a crack defect to the tile.", "000", "crack"),
        ("Add a crack to the tile.", "000", "crack"),
        ("On the tile, draw an oil stain.", "000", "oil_stain"),
        ("photo of a tile with a crack", "000", "crack"),
        ("Crack", "000", "crack"),
        ("insert a defect of type dent into the image", "000", "dent"),
        ("a part showing a defect called oil", "000", "oil"),
        ("Add a defect to this metal nut.", "000", "defect"),
        ("Add a defect on the tile.", "dent_000", "dent"),
    ],
)
def test_the_class_is_in_the_prompt_else_in_the_name(
    prompt: str | None, stem: str, expected: str
) -> None:
    assert class_of(prompt, stem, shared=frozenset()) == expected


def test_words_that_all_prompts_share_name_no_class() -> None:
    assert class_of("crack of grey tile", "0", shared=frozenset({"grey", "tile"})) == "crack"


def test_words_of_the_product_are_left_out_but_never_the_whole_class() -> None:
    tiles = shared_words(["crack of grey tile", "oil of grey tile"])
    assert class_of("crack of grey tile", "0", tiles) == "crack"
    nested = shared_words(["Add a crack defect.", "Add a gray crack defect."])
    assert class_of("Add a crack defect.", "0", nested) == "crack"


def test_free_text_that_makes_a_class_of_every_photo_is_noted(aliaug: Path) -> None:
    words = ("thin dark line", "wide bright patch", "small round hole")
    prompts = {f"{n:03d}.png": f"The {text} lies here" for n, text in enumerate(words)}
    (aliaug / "train_prompts.json").write_text(json.dumps(prompts))
    (note,) = (n for n in load_aliaug(aliaug).notes if "read from prompts" in n)
    assert note.startswith("5 classes in 5 photos")
    assert "`The thin dark line lies here`" in note


def test_a_constant_prompt_leaves_the_class_to_the_names(
    tmp_path: Path, photo: Write, mask: Write
) -> None:
    for seed, stem in enumerate(("crack_000", "oil_001")):
        photo(tmp_path / "train_B" / f"{stem}.png", seed=seed)
        mask(tmp_path / "train_A" / f"{stem}.png")
    prompts = {"crack_000.png": "Add a defect.", "oil_001.png": "Add a defect."}
    (tmp_path / "train_prompts.json").write_text(json.dumps(prompts))
    assert load_aliaug(tmp_path).classes == ("crack", "oil")


def test_missing_parts_of_a_triplet_are_reported(aliaug: Path) -> None:
    (aliaug / "train_A" / "000.png").unlink()
    (aliaug / "train_C" / "001.png").unlink()
    prompts = json.loads((aliaug / "train_prompts.json").read_text())
    del prompts["002.png"]
    (aliaug / "train_prompts.json").write_text(json.dumps(prompts))
    problems = "\n".join(load_aliaug(aliaug).problems)
    assert "train_B/000.png has no mask named 000" in problems
    assert "train_B/001.png has no input named 001" in problems
    assert "train_prompts.json has no prompt for 002.png" in problems


@pytest.mark.parametrize("text", ["{", "[]", '{"a.png": 3}'])
def test_a_malformed_prompts_file_is_one_clear_error(aliaug: Path, text: str) -> None:
    (aliaug / "test_prompts.json").write_text(text)
    with pytest.raises(DataError, match=r"test_prompts\.json is not"):
        load_aliaug(aliaug)


def test_a_prompts_file_may_begin_with_a_byte_order_mark(aliaug: Path) -> None:
    path = aliaug / "train_prompts.json"
    path.write_text("\ufeff" + path.read_text(), encoding="utf-8")
    assert load_dataset(aliaug).classes == ("crack", "gray_stroke")


def test_sub_folders_are_classes(folders: Path) -> None:
    dataset = load_dataset(folders)
    assert dataset.layout == "folders"
    assert dataset.classes == ("dent", "scratch")
    assert dataset.problems == ()
    train = [s.defect_class for s in dataset.defects("train")]
    assert (train.count("scratch"), train.count("dent")) == (7, 1)
    assert (len(dataset.goods("train")), len(dataset.goods("test"))) == (3, 1)


def test_without_sub_folders_there_is_one_class(tmp_path: Path, photo: Write, mask: Write) -> None:
    for number in range(3):
        photo(tmp_path / "images" / f"{number}.png", seed=number)
        mask(tmp_path / "masks" / f"{number}_mask.png")
    dataset = load_folders(tmp_path)
    assert dataset.classes == ("defect",)
    assert len(dataset.defects("train")) == 2
    assert "there are no good photos" in dataset.notes


def test_good_photos_may_lie_among_the_images(folders: Path) -> None:
    (folders / "good").rename(folders / "images" / "good")
    dataset = load_folders(folders)
    assert dataset.problems == ()
    assert len(dataset.goods("train")) == 3


def test_plain_folders_may_have_a_split_file(folders: Path) -> None:
    pools = {
        "scratch": {"train": ["images/scratch/p0.png"], "test": ["images/scratch/p1.png"]},
        "dent": {"train": ["images/dent/p10.png"], "test": []},
    }
    (folders / "split.json").write_text(json.dumps({"defect": pools}))
    dataset = load_folders(folders)
    assert [s.image_path.stem for s in dataset.defects("train")] == ["p10", "p0"]
    assert len(dataset.goods("train")) == 4


def test_masks_of_another_class_do_not_count(folders: Path) -> None:
    (folders / "masks" / "dent" / "p10.png").rename(folders / "masks" / "scratch" / "p10.png")
    with pytest.raises(DataError, match=r"p10\.png has no mask.*p10\.png has no image"):
        load_dataset(folders)


def test_only_the_first_problems_are_named_and_the_rest_counted(folders: Path) -> None:
    for mask in (folders / "masks" / "scratch").iterdir():
        mask.unlink()
    with pytest.raises(DataError, match=r"and 7 more; run `ali-aug data check .*photos`"):
        load_dataset(folders)


def test_an_unknown_layout_lists_what_is_expected_and_what_is_there(tmp_path: Path) -> None:
    (tmp_path / "pictures").mkdir()
    with pytest.raises(DataError, match=r"MVTec.*Ali-AUG.*images/ and masks/; found pictures/"):
        layout_of(tmp_path)


def test_missing_empty_and_no_folders_are_refused(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "file").touch()
    with pytest.raises(DataError, match="gone does not exist"):
        load_dataset(tmp_path / "gone")
    with pytest.raises(DataError, match="found no folders"):
        load_dataset(tmp_path / "empty")
    with pytest.raises(DataError, match="file cannot be read: Not a directory"):
        load_dataset(tmp_path / "file")


def test_a_layout_of_empty_folders_is_refused(tmp_path: Path) -> None:
    (tmp_path / "images").mkdir()
    (tmp_path / "masks").mkdir()
    with pytest.raises(DataError, match="holds no images"):
        load_dataset(tmp_path)


# ---------------------------------------------------------------- what cannot be read


@pytest.mark.parametrize("place", ["train/good", "test", "ground_truth", "test/crack"])
def test_a_folder_that_cannot_be_read_is_named_and_not_taken_for_empty(
    mvtec: Path, place: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    listing = Path.iterdir

    def denied(folder: Path) -> Iterator[Path]:
        if folder == mvtec / place:
            raise PermissionError(errno.EACCES, "Permission denied", str(folder))
        return listing(folder)

    monkeypatch.setattr(Path, "iterdir", denied)
    with pytest.raises(DataError, match=rf"{place} cannot be read: Permission denied"):
        load_dataset(mvtec)


def test_a_file_in_the_place_of_a_folder_is_named(mvtec: Path) -> None:
    shutil.rmtree(mvtec / "train" / "good")
    (mvtec / "train" / "good").touch()
    with pytest.raises(DataError, match=r"train/good is not a folder"):
        load_dataset(mvtec)


# ---------------------------------------------------------------- choosing classes


def test_a_class_left_out_does_not_stand_in_the_way(split_mvtec: Path) -> None:
    document = json.loads((split_mvtec / "split.json").read_text())
    document["defect"]["pit"]["train"] = []
    (split_mvtec / "split.json").write_text(json.dumps(document))
    (split_mvtec / "test" / "fray").mkdir()
    (split_mvtec / "ground_truth" / "pit" / "012_mask.png").unlink()
    with pytest.raises(DataError, match="no images of the class fray"):
        load_dataset(split_mvtec)
    dataset = load_dataset(split_mvtec, classes=("crack",))
    assert dataset.classes == ("crack",)
    assert (len(dataset.defects("train")), len(dataset.goods("train"))) == (6, 5)


@pytest.mark.parametrize(
    ("name", "message"),
    [("fray", "holds no images of the class fray"), ("pit", "pit has no training masks")],
)
def test_a_chosen_class_must_be_sound(split_mvtec: Path, name: str, message: str) -> None:
    document = json.loads((split_mvtec / "split.json").read_text())
    document["defect"]["pit"]["train"] = []
    (split_mvtec / "split.json").write_text(json.dumps(document))
    (split_mvtec / "test" / "fray").mkdir()
    with pytest.raises(DataError, match=message):
        load_dataset(split_mvtec, classes=("crack", name))


def test_an_unknown_class_is_refused_with_those_that_are_there(mvtec: Path) -> None:
    with pytest.raises(DataError, match=r"unknown class dent, rust: .*product has crack, pit"):
        load_dataset(mvtec, classes=("rust", "crack", "dent"))


def test_a_pool_that_one_class_lacks_blocks_only_that_class(split_mvtec: Path) -> None:
    document = json.loads((split_mvtec / "split.json").read_text())
    del document["defect"]["pit"]["few"]
    (split_mvtec / "split.json").write_text(json.dumps(document))
    with pytest.raises(DataError, match="no pool `few` for pit; it has train"):
        load_dataset(split_mvtec, pool="few")
    assert len(load_dataset(split_mvtec, pool="few", classes=["crack"]).defects("train")) == 2
