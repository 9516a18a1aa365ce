"""The parts of the benchmark that only a GPU runs, on the GPU in numpy."""

import pytest
from support.bundles import make_bundle
from support.gpu.here import Here
from support.gpu.rig import STAGED, rig

from aliaug_edge.bundle import load_bundle
from benchmarks.gpu import correctness, memory, overlap
from benchmarks.gpu.budget import Budget
from benchmarks.gpu.runners import feeds_of, ours
from benchmarks.gpu.settings import Settings
from benchmarks.gpu.subjects import Subject

SIDE = 64


@pytest.fixture(scope="module")
def bundle(tmp_path_factory):
    folder = tmp_path_factory.mktemp("parts") / "bundle"
    return load_bundle(make_bundle(folder, sizes=((SIDE, SIDE),)))


@pytest.fixture
def gpu(monkeypatch):
    with rig() as made:  # which finds what a part leaves on it
        Here(monkeypatch, made).has_plans(*STAGED)
        yield made


@pytest.fixture
def settings(tmp_path):
    return Settings(tmp_path, sizes=(SIDE,), batches=(1, 2), rounds=2, images=4)


@pytest.mark.usefixtures("gpu")
def test_a_turn_of_tensorrt_is_timed_on_the_device_too(bundle):
    with ours("tensorrt", bundle, SIDE, 2) as runner:
        runner.turn()  # captures the graph
        wall, device = runner.turn()
        made = runner.infer(feeds_of(bundle, SIDE, 2))
    assert wall > 0 and device is not None
    assert made.shape == (2, 3, SIDE, SIDE)


@pytest.mark.usefixtures("gpu")
def test_what_cannot_run_is_named_and_tensorrt_is_judged(bundle, settings, capsys):
    budget = Budget(60)
    (row,) = correctness.check(budget, settings, Subject("tiny", bundle, None), SIDE)
    assert (row["engine"], row["psnr_db"]) == ("tensorrt", 99.0)
    assert "onnxruntime-cuda" in capsys.readouterr().out


@pytest.mark.usefixtures("gpu")
def test_the_pipeline_of_uint8_is_timed_alone_and_overlapped(bundle, settings):
    found = overlap.paste(settings, bundle, SIDE)
    assert found["one_at_a_time"]["count"] == settings.images
    assert found["overlapped_images_per_s"] > 0


@pytest.mark.usefixtures("gpu")
def test_generate_runs_with_it(bundle, settings):
    found = overlap.generate(settings, bundle, "tensorrt")
    assert (found["engine"], found["images"]) == ("tensorrt", settings.images)


@pytest.mark.usefixtures("gpu")
def test_memory_is_split_by_what_it_holds(bundle):
    found = memory.alone(bundle.root, "tensorrt", SIDE)
    assert found["split"]["skips_mib"] > 0 and found["split"]["scratch_mib"] > 0
    assert found["process_rss_mib"] > 0
