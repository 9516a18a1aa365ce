"""Masks belong to images by name."""

from __future__ import annotations

from pathlib import Path

from aliaug_edge.data.pairing import pair_by_name


def paths(folder: str, *names: str) -> list[Path]:
    return [Path(folder, name) for name in names]


def test_a_mask_has_the_stem_of_its_image_or_that_and_mask() -> None:
    images = paths("i", "a.jpg", "b.png")
    pairs, problems = pair_by_name(images, paths("m", "b_mask.png", "a.png"))
    assert pairs == {Path("i/a.jpg"): Path("m/a.png"), Path("i/b.png"): Path("m/b_mask.png")}
    assert problems == []


def test_sort_order_plays_no_part() -> None:
    images = paths("i", "9.png", "10.png", "1.png")
    masks = paths("m", "1_mask.png", "10_mask.png", "9_mask.png")
    pairs, _ = pair_by_name(images, masks)
    assert {i.stem: m.stem for i, m in pairs.items()} == {n: f"{n}_mask" for n in ("1", "9", "10")}


def test_a_missing_mask_and_a_mask_without_image_are_named() -> None:
    pairs, problems = pair_by_name(paths("i", "a.png", "b.png"), paths("m", "a.png", "c_mask.png"))
    assert list(pairs) == [Path("i/a.png")]
    assert problems == [
        "mask m/c_mask.png has no image named c",
        "i/b.png has no mask named b or b_mask",
    ]


def test_two_masks_for_one_image_are_both_named() -> None:
    pairs, problems = pair_by_name(paths("i", "a.png"), paths("m", "a.png", "a_mask.png"))
    assert pairs == {}
    assert problems == ["i/a.png has two files as its mask: m/a.png and m/a_mask.png; keep one"]


def test_two_images_of_one_name_are_both_named() -> None:
    pairs, problems = pair_by_name(paths("i", "a.png", "a.jpg"), paths("m", "a.png"))
    assert pairs == {}
    assert problems == [
        "i/a.jpg and i/a.png have the same name, so their mask cannot be told apart"
    ]


def test_an_image_that_is_itself_named_mask_keeps_its_own() -> None:
    images = paths("i", "a.png", "a_mask.png")
    pairs, problems = pair_by_name(images, paths("m", "a_mask.png"))
    assert pairs == {Path("i/a_mask.png"): Path("m/a_mask.png")}
    assert problems == ["i/a.png has no mask named a or a_mask"]


def test_the_suffix_may_be_written_in_any_case() -> None:
    pairs, problems = pair_by_name(paths("i", "000.png"), paths("m", "000_MASK.png"))
    assert pairs == {Path("i/000.png"): Path("m/000_MASK.png")}
    assert problems == []


def test_accents_may_be_stored_composed_or_apart() -> None:
    composed, apart = "f\u00e9lure.png", "fe\u0301lure_mask.png"
    pairs, problems = pair_by_name(paths("i", composed), paths("m", apart))
    assert pairs == {Path("i", composed): Path("m", apart)}
    assert problems == []
