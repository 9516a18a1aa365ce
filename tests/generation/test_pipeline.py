"""The model as a function of arrays: pure, batch-independent, and checked."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from aliaug_edge.bundle import load_bundle
from aliaug_edge.errors import AliAugError, BundleError
from aliaug_edge.generation import pipeline as pipeline_module
from aliaug_edge.generation.feeds import noise
from aliaug_edge.generation.pipeline import Pipeline
from aliaug_edge.generation.runners import NonFiniteError
from tests.support.bundles import make_bundle


def crops(batch: int, side: int = 64):
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (batch, side, side, 3), dtype=np.uint8)
    masks = np.zeros((batch, side, side), dtype=np.uint8)
    masks[:, 20:40, 20:40] = 255
    return images, masks


def test_a_sample_does_not_depend_on_its_batch(bundle):
    images, masks = crops(3)
    classes, seeds, severities = ["crack", "stain", "crack"], [1, 2, 3], [0.5, 0.7, 0.9]
    with Pipeline(bundle, "onnxruntime-cpu") as pipeline:
        together = pipeline.generate(images, masks, classes, seeds, severities)
        for i in range(3):
            alone = pipeline.generate(
                images[i : i + 1], masks[i : i + 1], [classes[i]], [seeds[i]], [severities[i]]
            )
            assert np.allclose(together[i], alone[0], atol=1e-6)
    assert together.shape == (3, 64, 64, 3)
    assert together.dtype == np.float32


def test_seed_class_and_severity_each_change_the_masked_pixels(bundle):
    images, masks = crops(1)
    with Pipeline(bundle, "onnxruntime-cpu") as pipeline:
        base = pipeline.generate(images, masks, ["crack"], [1], [0.5])
        others = [
            pipeline.generate(images, masks, ["crack"], [2], [0.5]),
            pipeline.generate(images, masks, ["stain"], [1], [0.5]),
            pipeline.generate(images, masks, ["crack"], [1], [0.9]),
        ]
        assert np.array_equal(base, pipeline.generate(images, masks, ["crack"], [1], [0.5]))
    for other in others:
        assert np.abs(other - base)[0][masks[0] > 0].max() > 1 / 255


def test_sizes_are_opened_when_needed_and_time_is_counted(bundle):
    with Pipeline(bundle, "onnxruntime-cpu", threads=1, batch=1) as pipeline:
        for side in (64, 128, 64):
            images, masks = crops(1, side)
            assert pipeline.generate(images, masks, ["crack"], [1], [1.0]).shape[1] == side
        assert pipeline.engine_s > 0
        assert pipeline.engine_name() == "onnxruntime-cpu"


class Watched:
    """An engine that notes which threads run it. Nobody may open or run another meanwhile."""

    busy = threading.Lock()

    def __init__(self, engine):
        self.engine = engine
        self.threads = set()

    def __getattr__(self, name):
        return getattr(self.engine, name)

    def __enter__(self):
        self._alone(self.engine.__enter__)
        return self

    def __exit__(self, *error):
        self.engine.__exit__(*error)

    def infer(self, feeds):
        self.threads.add(threading.get_ident())
        return self._alone(lambda: self.engine.infer(feeds))

    def _alone(self, work):
        assert self.busy.acquire(blocking=False)
        try:
            time.sleep(0.01)
            return work()
        finally:
            self.busy.release()


def test_threads_share_engines_each_of_which_one_thread_runs_while_no_other_is_opened_or_run(
    bundle, monkeypatch
):
    """ONNX Runtime captures a CUDA graph for one thread, while the others leave the GPU alone."""
    opened, real = [], pipeline_module.engine_for

    def watched(*arguments):
        opened.append(Watched(real(*arguments)))
        return opened[-1]

    monkeypatch.setattr(pipeline_module, "engine_for", watched)
    callers = set()

    def generate(side):
        callers.add(threading.get_ident())
        return pipeline.generate(*crops(1, side), ["crack"], [1], [1.0]).shape[1]

    sides = [64, 128, 128, 64, 64, 128]
    with (
        Pipeline(bundle, "onnxruntime-cpu", threads=1, batch=1) as pipeline,
        ThreadPoolExecutor(3) as pool,
    ):
        assert list(pool.map(generate, sides)) == sides
    assert [len(engine.threads) for engine in opened] == [1, 1]
    assert len(callers) > 1 and not callers & set.union(*(e.threads for e in opened))


def test_a_crop_that_the_latent_does_not_divide_is_refused(bundle):
    images, masks = crops(1, 60)
    with Pipeline(bundle, "onnxruntime-cpu") as pipeline, pytest.raises(AliAugError):
        pipeline.generate(images, masks, ["crack"], [1], [1.0])


def test_an_unknown_class_is_refused(bundle):
    with (
        Pipeline(bundle, "onnxruntime-cpu") as pipeline,
        pytest.raises(BundleError, match="unknown defect class 'rust'"),
    ):
        pipeline.generate(*crops(1), ["rust"], [1], [1.0])


def test_non_finite_output_is_an_error_before_it_is_a_picture(tmp_path):
    broken = load_bundle(make_bundle(tmp_path / "nan", gain=float("nan")))
    with (
        Pipeline(broken, "onnxruntime-cpu") as pipeline,
        pytest.raises(NonFiniteError, match="non-finite"),
    ):
        pipeline.generate(*crops(1), ["crack"], [1], [1.0])


def test_noise_is_standard_normal_and_of_its_seed():
    values = noise(3, (4, 64, 64))
    assert values.dtype == np.float32
    assert abs(values.mean()) < 0.05
    assert abs(values.std() - 1) < 0.05
    assert np.array_equal(values, noise(3, (4, 64, 64)))
    assert not np.array_equal(values, noise(4, (4, 64, 64)))
