"""Engines behind one call: fixed inputs in, the image and the time out."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from aliaug_edge import imaging
from aliaug_edge.appearances import NUMBERS
from aliaug_edge.bundle import Bundle
from aliaug_edge.data.procedural import render_pair
from aliaug_edge.engines import open_engine
from aliaug_edge.generation.feeds import bundle_feeds
from aliaug_edge.profiling.gpu_profile import is_tensorrt
from aliaug_edge.profiling.gpu_trace import Tracer
from aliaug_edge.tensors import Arrays

from .settings import Settings

# In the order in which torch's generator takes them.
INPUTS = (
    "image", "mask", "colour", "noise", "grain", "severity", "appearance", "prompt_embeds"
)  # fmt: skip


@dataclass(frozen=True)
class Runner:
    """`infer` gives the image (B, 3, H, W) of inputs; `turn` runs the runner's own inputs once, for
    (wall ms from host arrays to host array, ms on the device by CUDA events or None); `uncaptured`
    says after that why an engine of ours did not replay a CUDA graph, "" where it did."""

    name: str
    infer: Callable[[Arrays], Any]
    turn: Callable[[], tuple[float, float | None]]
    uncaptured: Callable[[], str] = str


def feeds_of(
    bundle: Bundle, side: int, batch: int, *, mask_seed: int = 11, class_index: int = 0
) -> Arrays:
    """Inputs of a drawn part; another `mask_seed` moves the mask, a class brings its prompt."""
    pair, other = render_pair(11, side, side), render_pair(mask_seed, side, side)
    name = bundle.class_names[class_index % len(bundle.class_names)]
    images, masks = (np.repeat(a[None], batch, axis=0) for a in (pair.good, other.mask))
    seeds, severities = list(range(batch)), [0.7] * batch
    return bundle_feeds(bundle, images, masks, [name] * batch, seeds, severities)


@contextlib.contextmanager
def ours(name: str, bundle: Bundle, side: int, batch: int) -> Iterator[Runner]:
    """An engine of ours on the fused generator."""
    with contextlib.ExitStack() as stack:
        engine = stack.enter_context(
            open_engine(bundle, engine=name, size_hw=(side, side), batch=batch)
        )
        wanted = [spec.name for spec in engine.inputs]
        own = {n: feeds_of(bundle, side, batch)[n] for n in wanted}

        def infer(feeds: Arrays) -> Any:
            return engine.infer({n: feeds[n] for n in wanted})["generated"]

        def wall() -> tuple[float, float | None]:
            started = time.perf_counter()
            engine.infer(own)
            return _ms_since(started), None

        def uncaptured() -> str:
            if is_tensorrt(engine):
                return next(iter(engine.graphs.refused.values()), "")
            return str(getattr(engine, "uncaptured", ""))

        turn = wall
        if is_tensorrt(engine):
            tracer = stack.enter_context(Tracer(engine, own))

            def traced() -> tuple[float, float | None]:
                query = tracer.run(staged=False)
                return query.end_to_end, query.compute

            turn = traced
        yield Runner(name, infer, turn, uncaptured)


def torch_runner(
    name: str,
    settings: Settings,
    forward: Callable[..., Any],
    own: Arrays,
) -> Runner:
    """`forward(*tensors)` of torch tensors on the settings' device, in the order of `INPUTS`."""
    import torch

    def put(feeds: Arrays) -> list[Any]:
        given = {**_unasked(feeds), **feeds}
        return [torch.from_numpy(given[n]).to(settings.device) for n in INPUTS]

    @torch.no_grad()
    def infer(feeds: Arrays) -> Any:
        return forward(*put(feeds)).float().cpu().numpy()

    @torch.no_grad()
    def turn() -> tuple[float, float | None]:
        started = time.perf_counter()
        if settings.cpu:
            infer(own)
            return _ms_since(started), None
        tensors = put(own)
        start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        start.record()
        made = forward(*tensors)
        end.record()
        made.float().cpu()
        return _ms_since(started), float(start.elapsed_time(end))

    return Runner(name, infer, turn)


def _unasked(feeds: Arrays) -> Arrays:
    """What the torch model takes and a bundle from before it does not: nothing is asked for."""
    mask = feeds["mask"]
    return {
        "grain": np.zeros_like(mask),
        "appearance": np.zeros((len(mask), NUMBERS), np.float32),
    }


def pixels(image: Any) -> Any:
    """(B, 3, H, W) as uint8 (B, H, W, 3)."""
    return imaging.tensor_to_images(np.asarray(image, dtype=np.float32))


def _ms_since(started: float) -> float:
    return (time.perf_counter() - started) * 1000
