"""The model as one function of arrays: a bundle, and an engine per size, opened when needed."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Sequence
from types import TracebackType

import numpy as np
from numpy.typing import NDArray

from aliaug_edge import imaging, tensors
from aliaug_edge.bundle import Bundle
from aliaug_edge.engines import open_engine
from aliaug_edge.engines.base import Engine
from aliaug_edge.errors import AliAugError

GRAPH = "generator"


class NonFiniteError(AliAugError):
    """The model gave NaN or infinity for a crop."""


class Pipeline:
    """Runs a bundle's fused generator. A context manager; `engine_s` sums the time inside it.

    Threads may share it: one at a time gets into the engine, which has threads of its own.
    A fixed `batch` lets the engine optimise for it, and every call must then have it.
    """

    def __init__(
        self,
        bundle: Bundle,
        engine: str = "auto",
        threads: int | None = None,
        batch: int | None = None,
    ) -> None:
        self.bundle = bundle
        self.engine_s = 0.0
        self._choice = engine
        self._threads = threads
        self._batch = batch
        self._engines: dict[tuple[int, int], Engine] = {}
        self._stack = contextlib.ExitStack()
        self._turn = threading.Lock()
        self._inputs = {spec.name for spec in bundle.graphs[GRAPH].inputs}

    def __enter__(self) -> Pipeline:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._engines.clear()
        self._stack.close()

    def engine_name(self) -> str:
        """The name of the engine in use; opens the first one when none is open yet."""
        if not self._engines:
            self._engine(self.bundle.sizes[0])
        return next(iter(self._engines.values())).name

    def generate(
        self,
        crops: NDArray[np.uint8],
        masks: NDArray[np.uint8],
        classes: Sequence[str],
        seeds: Sequence[int],
        severities: Sequence[float],
    ) -> NDArray[np.float32]:
        """The raw output (B, h, w, 3) float32 in about [-1, 1] for `crops` (B, h, w, 3) and `masks`
        (B, h, w), both uint8, of one of the bundle's sizes.

        The noise of a crop depends on its seed alone, never on what else is in the batch.

        Raises:
            BundleError: unknown class. NonFiniteError: the model gave NaN or infinity.
        """
        feeds = bundle_feeds(self.bundle, crops, masks, classes, seeds, severities)
        given = {name: feeds[name] for name in sorted(self._inputs)}
        with self._turn:
            engine = self._engine((crops.shape[1], crops.shape[2]))
            started = time.perf_counter()
            outputs = engine.infer(given)
            self.engine_s += time.perf_counter() - started
        try:
            tensors.require_finite(f"bundle {self.bundle.name}", outputs)
        except AliAugError as error:
            raise NonFiniteError(str(error)) from error
        generated: NDArray[np.float32] = outputs["generated"].astype(np.float32, copy=False)
        return np.ascontiguousarray(generated.transpose(0, 2, 3, 1))

    def _engine(self, size_hw: tuple[int, int]) -> Engine:
        if size_hw not in self._engines:
            self._engines[size_hw] = self._stack.enter_context(
                open_engine(
                    self.bundle,
                    GRAPH,
                    engine=self._choice,
                    size_hw=size_hw,
                    batch=self._batch,
                    threads=self._threads,
                )
            )
            self._choice = self._engines[size_hw].name  # auto decides once, for all sizes
        return self._engines[size_hw]


def bundle_feeds(
    bundle: Bundle,
    crops: NDArray[np.uint8],
    masks: NDArray[np.uint8],
    classes: Sequence[str],
    seeds: Sequence[int],
    severities: Sequence[float],
) -> tensors.Arrays:
    """`model_feeds` with the colours and prompts of a bundle's classes.

    Raises:
        BundleError: unknown class.
    """
    return model_feeds(
        crops,
        masks,
        colours=np.array([bundle.class_spec(name).colour for name in classes], dtype=np.float32),
        prompt_embeds=np.stack([bundle.prompts[name] for name in classes]),
        seeds=seeds,
        severities=severities,
        latent_channels=bundle.latent_channels,
    )


def model_feeds(
    crops: NDArray[np.uint8],
    masks: NDArray[np.uint8],
    *,
    colours: NDArray[np.float32],
    prompt_embeds: NDArray[np.float32],
    seeds: Sequence[int],
    severities: Sequence[float],
    latent_channels: int,
) -> tensors.Arrays:
    """Every input that a generator may have, from uint8 `crops` (B, h, w, 3), `masks` (B, h, w).

    `colours` (B, 3) and `prompt_embeds` (B, 77, D) name the classes; shapes and ranges of the
    result are those of `aliaug_edge.tensors`.
    """
    factor = tensors.LATENT_FACTOR
    latent = (latent_channels, crops.shape[1] // factor, crops.shape[2] // factor)
    return {
        "image": imaging.images_to_tensor(crops),
        "mask": imaging.masks_to_tensor(masks),
        "colour": colours,
        "noise": np.stack([noise(seed, latent) for seed in seeds]),
        "severity": np.array(severities, dtype=np.float32)[:, None],
        "prompt_embeds": prompt_embeds,
    }


def noise(seed: int, shape: tuple[int, int, int]) -> NDArray[np.float32]:
    """Standard normal (C, h, w) float32 of `seed`."""
    return np.random.default_rng(seed).standard_normal(shape, dtype=np.float32)
