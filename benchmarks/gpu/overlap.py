"""What is left of the engine's speed in the whole: `generate`, and uint8 to uint8 on the device."""

from __future__ import annotations

import tempfile
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

from aliaug_edge.bundle import Bundle
from aliaug_edge.crops import Window
from aliaug_edge.data.procedural import render_pair
from aliaug_edge.engines import open_engine
from aliaug_edge.engines.jobs import PasteJob
from aliaug_edge.engines.paste import PastePipeline
from aliaug_edge.generation.request import RunSettings
from aliaug_edge.generation.run import generate_dataset
from aliaug_edge.profiling.gpu_profile import is_tensorrt
from aliaug_edge.profiling.latency import summarise

from .runners import feeds_of
from .settings import Settings

PIXELS = ("image", "mask")
WARM = 3


def generate(settings: Settings, bundle: Bundle, engine: str) -> dict[str, Any]:
    """Images/s of `ali-aug generate` from drawn surfaces to files, beside its engine's time."""
    side = min(settings.sizes)
    run = RunSettings(
        count=settings.images, engine=engine, quality="off", retries=0, procedural_hw=(side, side)
    )
    with tempfile.TemporaryDirectory(dir=settings.work) as folder:
        summary = generate_dataset(bundle, run, Path(folder) / "out")
    engine_s = summary.engine_s or 1e-9
    return {
        "engine": summary.engine,
        "images": summary.requested,
        "side": side,
        "wall_s": summary.wall_s,
        "engine_s": summary.engine_s,
        "images_per_s": round(summary.requested / summary.wall_s, 2),
        "engine_images_per_s": round(summary.requested / engine_s, 2),
        "engine_share": round(summary.engine_s / summary.wall_s, 3),
    }


def paste(settings: Settings, bundle: Bundle, side: int) -> dict[str, Any]:
    """uint8 photo and mask to uint8 patch at batch 1: one at a time, and one after another with
    copies hidden. Every photo is another one, so no latent is kept from before.

    Raises:
        AliAugError: no TensorRT engine here.
    """
    jobs = [_job(bundle, side, seed) for seed in range(settings.images)]
    with open_engine(bundle, engine="tensorrt", size_hw=(side, side), batch=1) as engine:
        assert is_tensorrt(engine)
        with PastePipeline(engine, (side, side), cache_mib=0) as pipeline:
            alone = []
            for job in [*jobs[:WARM], *jobs]:
                started = time.perf_counter()
                list(pipeline.paste([[job]]))
                alone.append((time.perf_counter() - started) * 1000)
            started = time.perf_counter()
            count = sum(len(made) for made in pipeline.paste([job] for job in jobs))
            seconds = time.perf_counter() - started
    return {
        "side": side,
        "one_at_a_time": asdict(summarise(alone[WARM:])),
        "overlapped_images_per_s": round(count / seconds, 2),
    }


def _job(bundle: Bundle, side: int, seed: int) -> PasteJob:
    pair = render_pair(seed, side, side)
    known = feeds_of(bundle, side, 1)
    names = [spec.name for spec in bundle.graphs["generator"].inputs if spec.name not in PIXELS]
    conditions = {name: known[name][0] for name in names}
    return PasteJob(pair.good, pair.mask, Window(0, 0, side, side), conditions)
