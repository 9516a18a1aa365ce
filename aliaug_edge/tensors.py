"""What a tensor looks like at a seam: its name, dtype and shape, and the check against real arrays.

The generator's graphs speak these names, in the bundle, in every engine and in the profile:

    encoder    image -> latent, tap_0 .. tap_3
    unet       latent, mask, colour, noise, severity, appearance, prompt_embeds [, mask_latent]
               -> denoised
    decoder    denoised, image, mask, appearance, grain [, colour], tap_* [, mask_tap_*]
               -> generated
    generator  image, mask, colour, noise, grain, severity, appearance, prompt_embeds -> generated

Shapes, with B the batch and h, w = H/8, W/8:

    image, generated  (B, 3, H, W)   float32 in [-1, 1], RGB
    mask              (B, 1, H, W)   float32 in {0, 1}; 1 = change here
    colour            (B, 3)         float32 in [0, 1]: the class colour; white for carrier `text`
    noise             (B, 4, h, w)   float32, standard normal
    grain             (B, 1, H, W)   float32, standard normal: the noise that becomes texture
    severity          (B, 1)         float32 in [0, 1]
    appearance        (B, 7)         float32: `aliaug_edge.model.appearance`
    prompt_embeds     (B, 77, D)     float32
    latent, denoised, mask_latent    (B, 4, h, w)
    tap_i, mask_tap_i                activations before the encoder's i-th down block

A free dimension is called "batch", "height", "width", "latent_height", "latent_width", or
"height_4" and "width_4" for a quarter of the image's (the taps').
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from aliaug_edge.errors import AliAugError

Arrays = dict[str, NDArray[Any]]
LATENT_FACTOR = 8


@dataclass(frozen=True)
class TensorSpec:
    """One tensor of a graph. In `shape` an int is fixed and a str is a named free dimension."""

    name: str
    dtype: str
    shape: tuple[int | str, ...]


def check_feeds(
    subject: str, specs: Sequence[TensorSpec], feeds: Mapping[str, NDArray[Any]]
) -> None:
    """Check names, dtypes and shapes of `feeds` before any engine is touched.

    A named dimension must have one value across all feeds.

    Raises:
        AliAugError: *subject | what is wrong*, then what was expected and what came.
    """
    expected = {spec.name for spec in specs}
    if expected != set(feeds):
        missing, extra = sorted(expected - set(feeds)), sorted(set(feeds) - expected)
        raise AliAugError(
            f"{subject} | wrong inputs: missing {missing}, unexpected {extra}; "
            f"expected {sorted(expected)}"
        )
    bound: dict[str, int] = {}
    for spec in specs:
        array = feeds[spec.name]
        if str(array.dtype) != spec.dtype:
            raise AliAugError(
                f"{subject} | input {spec.name}: expected dtype {spec.dtype}, got {array.dtype}"
            )
        if not _shape_fits(spec.shape, array.shape, bound):
            raise AliAugError(
                f"{subject} | input {spec.name}: expected shape {list(spec.shape)}"
                f"{_bindings(bound)}, got {list(array.shape)}"
            )


def require_finite(subject: str, tensors: Mapping[str, NDArray[Any]]) -> None:
    """Refuse NaN and infinity before they become pixels.

    Raises:
        AliAugError: names the first tensor that is not finite.
    """
    for name, array in tensors.items():
        if not np.isfinite(array).all():
            raise AliAugError(f"{subject} | output {name} holds non-finite values")


def _shape_fits(spec: tuple[int | str, ...], shape: tuple[int, ...], bound: dict[str, int]) -> bool:
    if len(spec) != len(shape):
        return False
    return all(
        want == got if isinstance(want, int) else bound.setdefault(want, got) == got
        for want, got in zip(spec, shape, strict=True)
    )


def _bindings(bound: Mapping[str, int]) -> str:
    return f" with {', '.join(f'{k}={v}' for k, v in bound.items())}" if bound else ""
