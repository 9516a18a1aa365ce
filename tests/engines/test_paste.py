"""uint8 in and out on the device, held against the CPU's path pixel by pixel."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from support.gpu.rig import STAGED, Rig, rig

from aliaug_edge import assets, crops
from aliaug_edge.bundle import Bundle, load_bundle
from aliaug_edge.data.procedural import render_surface
from aliaug_edge.engines.jobs import PasteJob
from aliaug_edge.engines.onnxruntime import OnnxRuntimeEngine
from aliaug_edge.engines.paste import PastePipeline
from aliaug_edge.generation.blend import blend
from aliaug_edge.generation.pipeline import bundle_feeds

SIZE = (64, 64)


@pytest.fixture(scope="module")
def tiny() -> Bundle:
    return load_bundle(assets.tiny_bundle_dir())


def job(
    bundle: Bundle,
    seed: int,
    *,
    size: tuple[int, int] = SIZE,
    photo_hw: tuple[int, int] = (96, 120),
    photo: int = 0,
    corner: tuple[int, int] | None = None,
    mode: str = "feather",
    grey: bool = False,
) -> PasteJob:
    rng = np.random.default_rng([seed, 5])
    pixels = render_surface(photo, *photo_hw)
    if not grey:
        pixels = np.clip(pixels.astype(int) + rng.integers(-9, 9, pixels.shape), 0, 255)
    pixels = np.asarray(pixels, np.uint8)
    if grey:
        pixels = np.repeat(pixels[..., :1], 3, axis=2)
    mask = np.zeros(photo_hw, np.uint8)
    top, left = corner or (int(rng.integers(0, 60)), int(rng.integers(0, 80)))
    mask[top : top + 14, left : left + 23] = 255
    window = crops.window_around(crops.mask_box(mask), photo_hw, size)
    feeds = bundle_feeds(
        bundle,
        np.zeros((1, *size, 3), np.uint8),
        np.zeros((1, *size), np.uint8),
        [bundle.class_names[seed % len(bundle.class_names)]],
        [seed],
        [0.25 + 0.25 * (seed % 3)],
    )
    conditions = {n: a[0] for n, a in feeds.items() if n not in ("image", "mask")}
    return PasteJob(pixels, mask, window, conditions, mode, grey)


def on_cpu(bundle: Bundle, jobs: list[PasteJob]) -> list[tuple[Any, Any]]:
    """(raw, patch) of each job by the CPU's path: cut, feed, three stages, blend."""
    engines = {}
    for graph in STAGED:
        engine = OnnxRuntimeEngine(
            bundle.graph_path(graph), bundle.graphs[graph], provider="cpu", threads=1
        )
        engines[graph] = engine.__enter__()
    results = []
    for one in jobs:
        shown, mask = crops.cut(one.photo, one.window), crops.cut(one.mask, one.window)
        known = bundle_feeds(
            bundle, shown[None], mask[None], [bundle.class_names[0]], [0], [0.0]
        ) | {name: value[None] for name, value in one.conditions.items()}
        for engine in engines.values():
            known |= engine.infer({spec.name: known[spec.name] for spec in engine.inputs})
        raw = known["generated"][0].transpose(1, 2, 0)
        results.append((raw, blend(shown, mask, shown, raw, mode=one.mode, grey=one.grey)))
    return results


def pasted(gpu: Rig, bundle: Bundle, jobs: list[PasteJob], **options: Any) -> list[Any]:
    batch = options.pop("batch", 1)
    size = (jobs[0].window.height, jobs[0].window.width)
    with gpu.engine(bundle) as engine, PastePipeline(engine, size, batch, **options) as pipeline:
        batches = [jobs[i : i + batch] for i in range(0, len(jobs), batch)]
        return [result for results in pipeline.paste(batches) for result in results]


def differing(found: list[Any], expected: list[tuple[Any, Any]]) -> int:
    """Pixels that are not the same, after the raw outputs are seen to be."""
    total = 0
    for one, (raw, patch) in zip(found, expected, strict=True):
        assert np.array_equal(one.raw, raw)
        assert one.broken == 0
        total += int((one.patch != patch).sum())
    return total


@pytest.mark.parametrize("eager", [False, True])
@pytest.mark.parametrize("mode", ["feather", "hard", "none"])
def test_patches_are_those_of_the_cpu(bundle: Bundle, mode: str, eager: bool) -> None:
    jobs = [job(bundle, seed, photo=seed, mode=mode) for seed in range(5)]
    with rig(eager=eager) as gpu:
        assert differing(pasted(gpu, bundle, jobs), on_cpu(bundle, jobs)) == 0


def test_the_shipped_bundle_gives_the_same_pixels(tiny: Bundle) -> None:
    size = tiny.sizes[0]
    jobs = [job(tiny, seed, size=size, photo=seed, photo_hw=(150, 140)) for seed in range(3)]
    with rig() as gpu:
        assert differing(pasted(gpu, tiny, jobs), on_cpu(tiny, jobs)) == 0
