"""The bank of training masks: borders, and its form on disk."""

from __future__ import annotations

import numpy as np
import pytest

from aliaug_edge.crops import Window
from aliaug_edge.mask_bank import MaskShape, pack, shape_at, unpack


@pytest.mark.parametrize(
    "box, borders",
    [
        (Window(5, 5, 6, 8), ""),
        (Window(0, 5, 6, 8), "t"),
        (Window(1, 5, 6, 8), "t"),
        (Window(2, 5, 6, 8), ""),
        (Window(14, 0, 6, 8), "bl"),
        (Window(0, 22, 20, 8), "tbr"),
    ],
)
def test_a_shape_knows_the_borders_of_its_photo(box: Window, borders: str) -> None:
    mask = np.zeros((20, 30), dtype=np.uint8)
    mask[box.top : box.top + box.height, box.left : box.left + box.width] = 255
    shape = shape_at(mask, box)
    assert shape.borders == borders
    assert shape.pixels.shape == (box.height, box.width)
    assert shape.pixels.all()


def test_what_was_packed_is_unpacked() -> None:
    small, large = np.full((2, 3), 255, np.uint8), np.full((5, 4), 255, np.uint8)
    bank = {
        "crack": [MaskShape(small), MaskShape(large, "tl")],
        "dent": [],
        "fray": [MaskShape(large, "b")],
    }
    packed = pack(bank)
    assert sorted(packed) == ["0/0000", "0/0001/tl", "2/0000/b"]
    back = unpack(packed, list(bank))
    borders = {name: [shape.borders for shape in shapes] for name, shapes in back.items()}
    assert borders == {"crack": ["", "tl"], "dent": [], "fray": ["b"]}
    assert np.array_equal(back["crack"][1].pixels, large)


@pytest.mark.parametrize("key", ["3/0", "x/0", "0", "0/0/q", "0/0/t/z"])
def test_keys_of_another_kind_are_refused(key: str) -> None:
    with pytest.raises((LookupError, ValueError)):
        unpack({key: np.full((1, 1), 255, np.uint8)}, ["crack"])
