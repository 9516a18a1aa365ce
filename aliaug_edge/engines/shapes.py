"""Free dimensions: what the names in a graph's shapes stand for once a size is chosen.

The names are those of `aliaug_edge.tensors`: "batch", "height", "width"; "latent_height" for the
latent's, "height_4" for a quarter of the image's. Any other name stays free.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from aliaug_edge.errors import AliAugError
from aliaug_edge.tensors import LATENT_FACTOR, TensorSpec

_DERIVED = re.compile(r"(?P<latent>latent_)?(?P<axis>height|width)(?:_(?P<part>[1-9]\d*))?")


def free_dimensions(size_hw: tuple[int, int] | None, batch: int | None) -> dict[str, int]:
    """The values of "batch", "height" and "width", as far as they are chosen.

    Raises:
        AliAugError: a value is not positive.
    """
    chosen: dict[str, int] = {}
    if batch is not None:
        chosen["batch"] = batch
    if size_hw is not None:
        chosen["height"], chosen["width"] = size_hw
    for name, value in chosen.items():
        if value < 1:
            raise AliAugError(f"{name} must be at least 1, got {value}")
    return chosen


def bind_specs(
    specs: Sequence[TensorSpec], dimensions: Mapping[str, int]
) -> tuple[TensorSpec, ...]:
    """`specs` with every free dimension that `dimensions` decides replaced by its number.

    Raises:
        AliAugError: a size is not a multiple of what the graph divides it by.
    """
    return tuple(
        TensorSpec(s.name, s.dtype, tuple(_bound(d, dimensions) for d in s.shape)) for s in specs
    )


def bound_names(specs: Sequence[TensorSpec], dimensions: Mapping[str, int]) -> dict[str, int]:
    """Every free dimension's name in `specs` that `dimensions` decides, and its value."""
    names = {d for spec in specs for d in spec.shape if isinstance(d, str)}
    values = {name: _bound(name, dimensions) for name in sorted(names)}
    return {name: value for name, value in values.items() if isinstance(value, int)}


def may_agree(declared: Sequence[int | str], found: Sequence[Any]) -> bool:
    """Whether two shapes may be one: a length that is free in either is not compared."""
    return len(declared) == len(found) and all(
        want == have
        for want, have in zip(declared, found, strict=True)
        if isinstance(want, int) and isinstance(have, int)
    )


def _bound(dimension: int | str, dimensions: Mapping[str, int]) -> int | str:
    if isinstance(dimension, int):
        return dimension
    if dimension in dimensions:
        return dimensions[dimension]
    derived = _DERIVED.fullmatch(dimension)
    if derived is None or derived["axis"] not in dimensions:
        return dimension
    axis = derived["axis"]
    part = int(derived["part"] or 1) * (LATENT_FACTOR if derived["latent"] else 1)
    if dimensions[axis] % part:
        raise AliAugError(
            f"{axis} {dimensions[axis]} is not a multiple of {part}; choose another size"
        )
    return dimensions[axis] // part
