"""A generator's inputs, from pixels, classes, seeds and severities."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence

import numpy as np
from numpy.typing import NDArray

from aliaug_edge import appearances, imaging, tensors
from aliaug_edge.bundle import Bundle

GRAIN = 1  # the grain's stream of random numbers; the latent noise's is 0

UInt8 = NDArray[np.uint8]


def bundle_feeds(
    bundle: Bundle,
    crops: UInt8,
    masks: UInt8,
    classes: Sequence[str],
    seeds: Sequence[int],
    severities: Sequence[float],
) -> tensors.Arrays:
    """`model_feeds` with the colours and prompts of a bundle's classes.

    Raises:
        BundleError: unknown class.
    """
    size_hw = (crops.shape[1], crops.shape[2])
    conditions = bundle_conditions(bundle, size_hw, classes, seeds, severities)
    return {**pixel_feeds(crops, masks), **conditions}


def pixel_feeds(crops: UInt8, masks: UInt8) -> tensors.Arrays:
    """The two inputs that are pixels, from uint8 `crops` (B, h, w, 3) and `masks` (B, h, w)."""
    return {"image": imaging.images_to_tensor(crops), "mask": imaging.masks_to_tensor(masks)}


def bundle_conditions(
    bundle: Bundle,
    size_hw: tuple[int, int],
    classes: Sequence[str],
    seeds: Sequence[int],
    severities: Sequence[float],
) -> tensors.Arrays:
    """Every input beside image and mask that a bundle's generator takes, for `size_hw` and the
    bundle's classes: an older bundle, or one of another conditioning, takes fewer.

    Raises:
        BundleError: unknown class.
    """
    return _conditions(
        size_hw,
        taken={spec.name for spec in bundle.graphs["generator"].inputs},
        colours=np.array([bundle.class_spec(name).colour for name in classes], dtype=np.float32),
        prompt_embeds=np.stack([bundle.prompts[name] for name in classes]),
        looks=[
            appearances.drawn(bundle.appearances[name], severity, seed)
            for name, severity, seed in zip(classes, severities, seeds, strict=True)
        ],
        seeds=seeds,
        severities=severities,
        latent_channels=bundle.latent_channels,
    )


def model_feeds(
    crops: UInt8,
    masks: UInt8,
    *,
    colours: NDArray[np.float32],
    prompt_embeds: NDArray[np.float32],
    looks: Sequence[NDArray[np.float32]],
    seeds: Sequence[int],
    severities: Sequence[float],
    latent_channels: int,
) -> tensors.Arrays:
    """Every input that a generator may have, from uint8 `crops` (B, h, w, 3), `masks` (B, h, w).

    `colours` (B, 3) and `prompt_embeds` (B, 77, D) name the classes, `looks` are B appearances;
    shapes and ranges of the result are those of `aliaug_edge.tensors`.
    """
    return {
        **pixel_feeds(crops, masks),
        **_conditions(
            (crops.shape[1], crops.shape[2]),
            colours=colours,
            prompt_embeds=prompt_embeds,
            looks=looks,
            seeds=seeds,
            severities=severities,
            latent_channels=latent_channels,
        ),
    }


def _conditions(
    size_hw: tuple[int, int],
    *,
    colours: NDArray[np.float32],
    prompt_embeds: NDArray[np.float32],
    looks: Sequence[NDArray[np.float32]],
    seeds: Sequence[int],
    severities: Sequence[float],
    latent_channels: int,
    taken: Collection[str] | None = None,
) -> tensors.Arrays:
    """Those of the inputs that are `taken`, or all; what is not taken is not drawn either."""
    factor = tensors.LATENT_FACTOR
    latent = (latent_channels, size_hw[0] // factor, size_hw[1] // factor)
    makers: dict[str, Callable[[], NDArray[np.float32]]] = {
        "colour": lambda: colours,
        "noise": lambda: np.stack([noise(seed, latent) for seed in seeds]),
        "grain": lambda: np.stack([noise(seed, (1, *size_hw), GRAIN) for seed in seeds]),
        "severity": lambda: np.array(severities, dtype=np.float32)[:, None],
        "appearance": lambda: np.stack(looks),
        "prompt_embeds": lambda: prompt_embeds,
    }
    return {name: make() for name, make in makers.items() if taken is None or name in taken}


def noise(seed: int, shape: tuple[int, int, int], stream: int = 0) -> NDArray[np.float32]:
    """Standard normal (C, h, w) float32 of `seed`; another `stream` is independent of the first."""
    source = np.random.default_rng([stream, seed] if stream else seed)
    return source.standard_normal(shape, dtype=np.float32)
