"""uint8 in and out on the device, held against the CPU's path pixel by pixel."""

from __future__ import annotations

import dataclasses
import itertools
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support.bundles import make_bundle
from support.gpu.enums import CUresult
from support.gpu.full import make_full_bundle, make_paper_bundle
from support.gpu.rig import STAGED, Rig, rig

from aliaug_edge import assets, crops
from aliaug_edge.bundle import Bundle, load_bundle
from aliaug_edge.engines.cuda import Cuda
from aliaug_edge.engines.cuda_errors import GpuError, GpuLostError
from aliaug_edge.engines.jobs import PasteJob
from aliaug_edge.engines.onnxruntime import OnnxRuntimeEngine
from aliaug_edge.engines.paste import PastePipeline
from aliaug_edge.errors import AliAugError
from aliaug_edge.generation.blend import blend
from aliaug_edge.generation.feeds import bundle_feeds
from aliaug_edge.profiling.wiring import encode, run_graph

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
    pixels = np.random.default_rng(photo).integers(0, 256, (*photo_hw, 3), dtype=np.uint8)
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
        known = encode(engines, known)
        for graph in ("unet", "decoder"):
            known = run_graph(engines, graph, known)
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


@pytest.mark.parametrize("eager", [False, True])
def test_grey_stays_grey_and_differs_by_a_rounding_at_most(bundle: Bundle, eager: bool) -> None:
    jobs = [job(bundle, seed, photo=seed, grey=True) for seed in range(3)]
    with rig(eager=eager) as gpu:
        found = pasted(gpu, bundle, jobs)
    for one, (_, patch) in zip(found, on_cpu(bundle, jobs), strict=True):
        assert (one.patch == one.patch[..., :1]).all()
        # The sum of three products is rounded in another order by the CPU's matrix product.
        assert np.abs(one.patch.astype(int) - patch).max() <= 1
        assert (one.patch != patch).mean() < 1e-3


@pytest.mark.parametrize("photo_hw", [(40, 300), (300, 40), (33, 50), (1, 80), (64, 64)])
def test_a_window_beyond_the_border_is_reflected_as_on_the_cpu(
    bundle: Bundle, photo_hw: tuple[int, int]
) -> None:
    jobs = [job(bundle, 3, photo_hw=photo_hw, corner=(0, photo_hw[1] - 20))]
    with rig() as gpu:
        assert differing(pasted(gpu, bundle, jobs), on_cpu(bundle, jobs)) == 0


@pytest.mark.parametrize("top_left", [(-30, -40), (60, 90), (-10, 100), (-64, 0), (96, 120)])
def test_any_window_is_cut_as_on_the_cpu(bundle: Bundle, top_left: tuple[int, int]) -> None:
    one = job(bundle, 1)
    mask = np.full_like(one.mask, 255)
    moved = dataclasses.replace(one, mask=mask, window=crops.Window(*top_left, *SIZE))
    with rig() as gpu:
        assert differing(pasted(gpu, bundle, [moved]), on_cpu(bundle, [moved])) == 0


def test_batches_give_what_single_images_give_the_last_one_short(bundle: Bundle) -> None:
    jobs = [job(bundle, seed, photo=seed % 3) for seed in range(7)]
    with rig() as gpu:
        assert differing(pasted(gpu, bundle, jobs, batch=3), on_cpu(bundle, jobs)) == 0


def test_jobs_that_do_not_fit_are_refused_and_the_pipeline_lives_on(bundle: Bundle) -> None:
    good = job(bundle, 0)
    wide = dataclasses.replace(good, window=crops.Window(0, 0, 64, 96))
    with rig() as gpu, gpu.engine(bundle) as engine, PastePipeline(engine, SIZE, 2) as pipeline:
        with pytest.raises(AliAugError, match="window of 64 x 64 pixels, got 64 x 96"):
            list(pipeline.paste([[wide]]))
        with pytest.raises(AliAugError, match="1 to 2 jobs in a batch, got 3"):
            list(pipeline.paste([[good] * 3]))
        assert [len(results) for results in pipeline.paste([[good] * 2])] == [2]


def test_values_that_are_not_finite_are_counted_for_their_own_image(tmp_path: Path) -> None:
    broken = load_bundle(make_bundle(tmp_path / "nan", gain=float("nan")))
    jobs = [job(broken, seed) for seed in range(2)]
    with rig() as gpu:
        found = pasted(gpu, broken, jobs, batch=2)
    for one in found:
        assert one.broken == np.count_nonzero(~np.isfinite(one.raw)) > 0
        assert one.culprit == "output denoised of unet"


def test_where_it_began_is_told_for_each_image_and_the_others_are_right(bundle: Bundle) -> None:
    """Also of images that came out of the cache, and while the next one is under way."""
    jobs = [job(bundle, seed, photo=seed // 2) for seed in range(6)]
    noise = np.full_like(jobs[3].conditions["noise"], np.inf)
    jobs[3] = dataclasses.replace(jobs[3], conditions={**jobs[3].conditions, "noise": noise})
    for batch in (1, 3):
        with rig() as gpu:
            found = pasted(gpu, bundle, jobs, batch=batch)
        assert [one.culprit for one in found] == ["", "", "", "input noise of unet", "", ""]
        kept = [index for index in range(6) if index != 3]
        expected = on_cpu(bundle, [jobs[index] for index in kept])
        assert differing([found[index] for index in kept], expected) == 0


def test_of_the_fused_generator_its_output_is_named(tmp_path: Path) -> None:
    broken = load_bundle(make_bundle(tmp_path / "nan", gain=float("nan")))
    one = job(broken, 0)
    with (
        rig() as gpu,
        gpu.engine(broken, ("generator",)) as engine,
        PastePipeline(engine, SIZE) as pipeline,
    ):
        ((found,),) = pipeline.paste([[one]])
    assert found.culprit == "output generated of generator"


@pytest.mark.parametrize("eager", [False, True])
def test_threads_share_a_pipeline_and_each_gets_its_own(bundle: Bundle, eager: bool) -> None:
    jobs = [job(bundle, seed, photo=seed % 3) for seed in range(12)]
    with (
        rig(eager=eager) as gpu,
        gpu.engine(bundle) as engine,
        PastePipeline(engine, SIZE) as pipeline,
        ThreadPoolExecutor(4) as pool,
    ):
        given = [jobs[i : i + 3] for i in range(0, len(jobs), 3)]
        parts = list(pool.map(lambda p: list(pipeline.paste([j] for j in p)), given))
    assert differing([one for part in parts for (one,) in part], on_cpu(bundle, jobs)) == 0


def test_two_sizes_share_an_engine_and_one_waits_while_the_other_is_captured(
    bundle: Bundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also `infer`: what another thread puts on the stream would become part of the graph."""
    sizes = (SIZE, (96, 96))
    jobs = [[job(bundle, seed, size=size, photo=seed) for seed in range(3)] for size in sizes]
    one = bundle_feeds(
        bundle,
        np.zeros((1, 64, 64, 3), np.uint8),
        np.zeros((1, 64, 64), np.uint8),
        ["crack"],
        [1],
        [1],
    )
    capturing, capture = threading.Event(), Cuda.capture

    def slowly(self: Cuda, stream: int, work: Any) -> int:
        def and_wait() -> None:
            work()
            capturing.set()
            time.sleep(0.2)

        return capture(self, stream, and_wait)

    monkeypatch.setattr(Cuda, "capture", slowly)
    with (
        rig() as gpu,
        gpu.engine(bundle) as engine,
        PastePipeline(engine, sizes[0]) as small,
        PastePipeline(engine, sizes[1]) as large,
        ThreadPoolExecutor(3) as pool,
    ):

        def paste(pipeline: PastePipeline, given: list[PasteJob]) -> list[Any]:
            return [found for results in pipeline.paste([j] for j in given) for found in results]

        first = pool.submit(paste, small, jobs[0])
        assert capturing.wait(60)
        second = pool.submit(paste, large, jobs[1])
        third = pool.submit(engine.infer, {s.name: one[s.name] for s in engine.inputs})
        assert differing(first.result(), on_cpu(bundle, jobs[0])) == 0
        assert differing(second.result(), on_cpu(bundle, jobs[1])) == 0
        assert third.result()["generated"].shape == (1, 3, 64, 64)


def test_a_thread_that_fails_takes_no_place_from_the_others(bundle: Bundle) -> None:
    jobs = [job(bundle, seed, photo=seed % 3) for seed in range(6)]
    with rig() as gpu, gpu.engine(bundle) as engine, PastePipeline(engine, SIZE) as pipeline:
        for call in ("cuMemcpyHtoDAsync", "cuMemcpyDtoHAsync", "cuEventSynchronize"):
            for after in range(3):
                gpu.driver.fail(call, CUresult.CUDA_ERROR_INVALID_VALUE, after)
                with pytest.raises(GpuError, match=call):
                    list(pipeline.paste([one] for one in jobs))
        found = [one for results in pipeline.paste([j] for j in jobs) for one in results]
    assert differing(found, on_cpu(bundle, jobs)) == 0


def test_after_the_gpu_is_lost_in_one_thread_the_others_put_nothing_on_it(bundle: Bundle) -> None:
    """What the lost run left on the streams still reads the slot that another would fill."""
    told, one = [], job(bundle, 0)
    with rig() as gpu, gpu.engine(bundle) as engine, PastePipeline(engine, SIZE) as pipeline:
        list(pipeline.paste([[one]] * 4))  # from here on its graph is launched
        gpu.driver.fail("cuGraphLaunch", CUresult.CUDA_ERROR_ECC_UNCORRECTABLE)
        for _ in range(4):
            with pytest.raises(GpuLostError) as caught:
                list(pipeline.paste([[one]]))
            told.append((str(caught.value), len(gpu.machine.trace)))
        gpu.driver.lose()
    assert "the GPU was lost in cuGraphLaunch (CUDA_ERROR_ECC_UNCORRECTABLE)" in told[0][0]
    assert told == told[:1] * 4


@pytest.mark.parametrize("after", [0, 2, 4, 7])
def test_a_gpu_lost_in_a_run_of_tensorrt_is_told_as_that(bundle: Bundle, after: int) -> None:
    """In the first run, in the capture that follows it, and later."""
    jobs = [job(bundle, seed, photo=seed) for seed in range(3)]
    with rig() as gpu:
        gpu.driver.failures.uncapturable = after > 5  # else no third run reaches TensorRT
        gpu.driver.fail("execute_async_v3", CUresult.CUDA_ERROR_ECC_UNCORRECTABLE, after)
        with pytest.raises(GpuLostError, match="run the same command again"):
            pasted(gpu, bundle, jobs)


def test_a_good_image_is_encoded_once_for_all_its_defects(bundle: Bundle) -> None:
    """Three defects at one window of each of two images, in turns."""
    base = [job(bundle, 0, photo=i) for i in range(2)]
    jobs = []
    for seed in range(3):
        for one in base:
            other = job(bundle, seed + 1)
            jobs.append(dataclasses.replace(one, conditions=other.conditions))
    with rig() as gpu:
        found = pasted(gpu, bundle, jobs)
    assert differing(found, on_cpu(bundle, jobs)) == 0
    assert gpu.machine.ran.count("encoder") == 2
    assert gpu.machine.ran.count("decoder") == len(jobs)


@pytest.mark.parametrize("cache_mib", [0, 1, 64])
def test_what_is_cached_is_bounded_and_never_another_images(bundle: Bundle, cache_mib: int) -> None:
    order = [0, 1, 0, 2, 1, 3, 4, 5, 6, 7, 0, 0, 7, 1]
    jobs = [job(bundle, i, photo=photo, size=(128, 128)) for i, photo in enumerate(order)]
    jobs = [dataclasses.replace(one, window=crops.Window(0, 0, 128, 128)) for one in jobs]
    with (
        rig() as gpu,
        gpu.engine(bundle) as engine,
        PastePipeline(engine, (128, 128), cache_mib=cache_mib) as pipeline,
    ):
        found = [one for results in pipeline.paste([j] for j in jobs) for one in results]
        assert pipeline.memory.used.get("latents", 0) <= cache_mib * 2**20
        assert pipeline.cache.hits + pipeline.cache.misses == len(order)
        assert pipeline.cache.hits >= (1 if cache_mib == 0 else 3)
    assert differing(found, on_cpu(bundle, jobs)) == 0


def test_batches_take_each_image_from_its_own_place_in_the_cache(bundle: Bundle) -> None:
    """In other company and in another place of the batch than when they were encoded."""
    base = [job(bundle, i, photo=i) for i in range(4)]
    jobs = [base[i] for i in (0, 1, 2, 3, 3, 0, 1, 1, 2, 0)]
    with rig() as gpu:
        found = pasted(gpu, bundle, jobs, batch=2)
    assert differing(found, on_cpu(bundle, jobs)) == 0
    assert gpu.machine.ran.count("encoder") == 2


def test_one_pixel_of_another_image_is_not_taken_from_the_cache(bundle: Bundle) -> None:
    one = job(bundle, 0)
    photo = one.photo.copy()
    photo[one.window.top + 5, one.window.left + 5, 1] ^= 128
    jobs = [one, dataclasses.replace(one, photo=photo), one]
    with rig() as gpu:
        assert differing(pasted(gpu, bundle, jobs), on_cpu(bundle, jobs)) == 0


def test_the_next_image_is_sent_before_the_last_one_is_waited_for(bundle: Bundle) -> None:
    jobs = [job(bundle, seed, photo=seed) for seed in range(6)]
    with rig() as gpu, gpu.engine(bundle) as engine, PastePipeline(engine, SIZE) as pipeline:
        results = pipeline.paste([one] for one in jobs)
        for _ in range(2):
            next(results)
        gpu.machine.trace.clear()
        next(results)
        steps = [n for n in gpu.machine.trace if n in ("copy to device", "graph", "copy to host")]
        assert steps == ["copy to device", "graph", "copy to host"]  # all of n + 1
        assert gpu.machine.ran.count("copy to host") == 3  # of which nothing has run: n was due
        results.close()


def test_a_run_is_two_copies_and_one_launch(bundle: Bundle) -> None:
    jobs = [job(bundle, seed, photo=seed) for seed in range(5)]
    with (
        rig() as gpu,
        gpu.engine(bundle) as engine,
        PastePipeline(engine, SIZE, cache_mib=0) as pipeline,
    ):
        list(pipeline.paste([one] for one in jobs))
        gpu.machine.trace.clear()
        list(pipeline.paste([one] for one in jobs))
        steps = list(gpu.machine.trace)
    assert steps.count("copy to device") == steps.count("copy to host") == len(jobs)
    assert steps.count("graph") == len(jobs)
    assert not {"synchronize", "encoder", "unet", "decoder", "blend", "capture"} & set(steps)


def test_a_consumer_that_stops_early_leaves_nothing_behind(bundle: Bundle) -> None:
    with rig() as gpu, gpu.engine(bundle) as engine, PastePipeline(engine, SIZE) as pipeline:
        for _ in pipeline.paste([job(bundle, seed)] for seed in range(4)):
            break


def test_after_a_run_that_was_left_early_or_failed_the_next_one_is_right(bundle: Bundle) -> None:
    jobs = [job(bundle, seed, photo=seed % 3) for seed in range(6)]
    with rig() as gpu, gpu.engine(bundle) as engine, PastePipeline(engine, SIZE) as pipeline:
        for _ in pipeline.paste([one] for one in jobs):
            break
        found = [one for results in pipeline.paste([j] for j in jobs) for one in results]
        assert differing(found, on_cpu(bundle, jobs)) == 0
        for after in range(3):
            gpu.driver.fail("cuGraphLaunch", CUresult.CUDA_ERROR_INVALID_VALUE, after)
            with pytest.raises(GpuError, match="cuGraphLaunch"):
                list(pipeline.paste([one] for one in jobs))
            again = [one for results in pipeline.paste([j] for j in jobs) for one in results]
            assert differing(again, on_cpu(bundle, jobs)) == 0


def test_where_tensorrt_cannot_be_captured_the_patches_are_the_same(bundle: Bundle) -> None:
    jobs = [job(bundle, seed, photo=seed // 2) for seed in range(4)]
    with rig() as gpu:
        gpu.driver.failures.uncapturable = True
        assert differing(pasted(gpu, bundle, jobs), on_cpu(bundle, jobs)) == 0
        assert "graph" not in gpu.machine.trace


@pytest.mark.parametrize("make", [make_full_bundle, make_paper_bundle])
def test_bundles_whose_mask_is_encoded_too_run_the_encoder_twice(make: Any, tmp_path: Path) -> None:
    """Although no stage of theirs asks for the colour, nor one of `paper` for the mask."""
    bundle = load_bundle(make(tmp_path / "bundle"))
    jobs = [job(bundle, seed, photo=seed // 2) for seed in range(5)]
    with rig() as gpu:
        found = pasted(gpu, bundle, jobs)
    assert differing(found, on_cpu(bundle, jobs)) == 0
    assert any((one.raw != other.raw).any() for one, other in itertools.pairwise(found))
