"""What the names of free dimensions stand for."""

from __future__ import annotations

import pytest

from aliaug_edge.engines.shapes import bind_specs, bound_names, free_dimensions, may_agree
from aliaug_edge.errors import AliAugError
from aliaug_edge.tensors import TensorSpec


def bound(*shape: int | str, size_hw: tuple[int, int] | None = (64, 96)) -> tuple[int | str, ...]:
    (spec,) = bind_specs([TensorSpec("x", "float32", shape)], free_dimensions(size_hw, 2))
    return spec.shape


def test_every_name_of_the_contract_gets_its_number() -> None:
    assert bound("batch", 3, "height", "width") == (2, 3, 64, 96)
    assert bound("batch", 4, "latent_height", "latent_width") == (2, 4, 8, 12)
    assert bound("height_2", "width_4", "height_8") == (32, 24, 8)


def test_other_names_and_undecided_ones_stay_free() -> None:
    names = ("tokens", "height2", "height_0", "my_width", "height_")
    assert bound(*names) == names
    assert bound("batch", "height", "latent_width", size_hw=None) == (2, "height", "latent_width")


def test_only_decided_names_are_handed_to_the_runtime() -> None:
    specs = [TensorSpec("x", "float32", ("batch", 4, "latent_height", "tokens"))]
    assert bound_names(specs, free_dimensions((64, 64), None)) == {"latent_height": 8}


def test_a_size_that_does_not_divide_is_refused() -> None:
    with pytest.raises(AliAugError, match="width 100 is not a multiple of 8"):
        bound("latent_width", size_hw=(64, 100))


@pytest.mark.parametrize(
    ("declared", "found", "agree"),
    [
        ((1, 3, 128, 128), (1, 3, 128, 128), True),
        ((1, 3, 128, 128), ("batch", 3, "height", None), True),
        (("batch", 3, "height", "width"), (1, 3, 64, 64), True),
        ((1, 3, 128, 128), (1, 4, "height", "width"), False),
        ((1, 3), (1, 3, 128, 128), False),
    ],
)
def test_shapes_agree_where_both_name_a_length(
    declared: tuple[int | str, ...], found: tuple[int | str | None, ...], agree: bool
) -> None:
    assert may_agree(declared, found) == agree
