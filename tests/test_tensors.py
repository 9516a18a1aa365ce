"""Names, dtypes and shapes at the seams."""

from __future__ import annotations

import numpy as np
import pytest

from aliaug_edge.errors import AliAugError
from aliaug_edge.tensors import TensorSpec, check_feeds, require_finite

SPECS = (
    TensorSpec("image", "float32", ("batch", 3, "height", "width")),
    TensorSpec("mask", "float32", ("batch", 1, "height", "width")),
)


def feeds(**shapes: tuple[int, ...]) -> dict[str, np.ndarray]:
    chosen = {"image": (2, 3, 8, 16), "mask": (2, 1, 8, 16), **shapes}
    return {name: np.zeros(shape, np.float32) for name, shape in chosen.items()}


def test_feeds_that_fit_pass() -> None:
    check_feeds("engine", SPECS, feeds())


def test_missing_and_unexpected_names_are_listed() -> None:
    wrong = feeds(masc=(1,))
    del wrong["mask"]
    with pytest.raises(
        AliAugError, match=r"engine \| wrong inputs: missing \['mask'\], unexpected \['masc'\]"
    ):
        check_feeds("engine", SPECS, wrong)


def test_a_dtype_is_not_converted_silently() -> None:
    wrong = {**feeds(), "image": np.zeros((2, 3, 8, 16), np.float64)}
    with pytest.raises(AliAugError, match="input image: expected dtype float32, got float64"):
        check_feeds("engine", SPECS, wrong)


@pytest.mark.parametrize("shape", [(2, 1, 8, 16), (2, 3, 8), (2, 3, 8, 16, 1), ()])
def test_a_fixed_dimension_and_the_rank_must_fit(shape: tuple[int, ...]) -> None:
    with pytest.raises(AliAugError, match=r"input image: expected shape .*'batch', 3, 'height'"):
        check_feeds("engine", SPECS, feeds(image=shape))


@pytest.mark.parametrize("shape", [(1, 1, 8, 16), (2, 1, 16, 16), (2, 1, 16, 8)])
def test_a_named_dimension_has_one_value_across_all_feeds(shape: tuple[int, ...]) -> None:
    with pytest.raises(
        AliAugError, match=r"input mask: expected shape .* with batch=2, height=8, width=16, got"
    ):
        check_feeds("engine", SPECS, feeds(mask=shape))


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_a_value_that_is_not_finite_is_refused_by_name(value: float) -> None:
    tensors = feeds()
    require_finite("engine", tensors)
    tensors["mask"][1, 0, 3, 4] = value
    with pytest.raises(AliAugError, match=r"engine \| output mask holds non-finite values"):
        require_finite("engine", tensors)
