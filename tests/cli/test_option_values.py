"""Values of options are written alike in every command; what cannot be read is wrong usage."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import typer

from aliaug_edge.cli.values import read_base, read_names, read_size, read_sizes


@pytest.mark.parametrize(
    ("text", "size"),
    [("128", (128, 128)), ("256x320", (256, 320)), ("64X96", (64, 96)), (" 64x96 ", (64, 96))],
)
def test_a_size_is_a_side_or_height_by_width(text: str, size: tuple[int, int]) -> None:
    assert read_size(text, "--size") == size
    assert read_sizes(text, "--sizes") == (size,)


NO_SIZES = ["", "big", "128x", "x128", "1x2x3", "-64", "12.5", "²", "१२८", "64by64", "64 x 96"]


@pytest.mark.parametrize("text", NO_SIZES)
def test_what_is_no_size_is_said_with_the_option_and_what_came(text: str) -> None:
    said = re.escape(f"expected 128 or 128x192, got {text!r}")
    with pytest.raises(typer.BadParameter, match=said) as caught:
        read_size(text, "--size")
    assert caught.value.param_hint == "--size"
    with pytest.raises(typer.BadParameter, match=said):
        read_sizes(text, "--sizes")


def test_sizes_stand_between_commas_in_their_order() -> None:
    assert read_sizes("256x320, 128,", "--sizes") == ((256, 320), (128, 128))


def test_of_several_sizes_the_wrong_one_is_named() -> None:
    with pytest.raises(typer.BadParameter, match="got 'big'"):
        read_sizes("128,big", "--sizes")


def test_a_list_of_no_sizes_is_refused() -> None:
    with pytest.raises(typer.BadParameter, match="got ','"):
        read_sizes(",", "--sizes")


@pytest.mark.parametrize(
    ("text", "names"), [("", ()), (" , ", ()), ("crack", ("crack",)), (" b,,a ,", ("b", "a"))]
)
def test_names_keep_their_order_and_lose_what_is_empty(text: str, names: tuple[str, ...]) -> None:
    assert read_names(text) == names


def test_a_base_in_a_folder_is_known_by_its_whole_path(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "tiny").mkdir()  # the word means the shipped one all the same
    monkeypatch.chdir(tmp_path)
    assert read_base("mine") == str(tmp_path.resolve() / "mine")
    assert read_base("tiny") == "tiny"
    assert read_base("stabilityai/sd-turbo") == "stabilityai/sd-turbo"
