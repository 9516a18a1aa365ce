"""The parts of the benchmark that only a GPU runs, on the GPU in numpy."""

import sys

import pytest
from support.bundles import make_bundle
from support.gpu.driver import CUresult
from support.gpu.here import Here
from support.gpu.rig import STAGED, rig

from aliaug_edge.bundle import load_bundle
from aliaug_edge.engines.cuda_errors import GpuError
from aliaug_edge.engines.tensorrt import TensorRtEngine
from aliaug_edge.profiling import gpu_state
from benchmarks.gpu import correctness, memory, overlap, speed, subjects, table
from benchmarks.gpu.budget import Budget
from benchmarks.gpu.runners import Runner, feeds_of, ours
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


@pytest.mark.parametrize("refuses", [False, True])
def test_a_row_says_where_no_cuda_graph_could_be_captured(bundle, settings, gpu, refuses):
    gpu.driver.failures.uncapturable = refuses
    rows = speed.measure(Budget(60), settings, Subject("tiny", bundle, None), SIDE, 1, 1.0)
    (row,) = (row for row in rows if row["engine"] == "tensorrt")
    assert ("stream is capturing" in row["uncaptured"]) is refuses
    results = dict.fromkeys(("subject", "precision", "prompt"))
    results |= {"speed": [row], "flops": {}, "card": {"matrix_tflops_f16": None}}
    said = any("no CUDA graph" in line for line in table._speed(results))
    assert said is refuses


@pytest.mark.usefixtures("gpu")
def test_what_cannot_run_is_named_and_tensorrt_is_judged(bundle, settings, capsys):
    budget = Budget(60)
    (row,) = correctness.check(budget, settings, Subject("tiny", bundle, None), SIDE)
    assert (row["engine"], row["psnr_db"]) == ("tensorrt", 99.0)
    assert "onnxruntime-cuda" in capsys.readouterr().out


def test_the_tiny_bundle_is_there_where_diffusers_cannot_be_imported(settings, monkeypatch):
    class Broken:
        def __getattr__(self, name):
            raise RuntimeError("Failed to import diffusers.models")

    monkeypatch.setitem(sys.modules, "aliaug_edge.model.base", Broken())
    made = subjects.tiny(settings)
    assert (made.bundle.name, made.generator) == ("tiny", None)


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


@pytest.mark.usefixtures("gpu")
def test_where_nvidia_smi_does_not_say_the_memory_cuda_does(bundle, monkeypatch):
    """As on a Jetson."""
    monkeypatch.setattr(memory, "read_gpu_state", gpu_state.read_nothing)
    found = memory.alone(bundle.root, "tensorrt", SIDE)
    assert found["device_mib"] > 0


@pytest.fixture
def two(monkeypatch):
    """TensorRT, which is the GPU in numpy, and ONNX Runtime take turns."""
    monkeypatch.setattr(Settings, "engines", ("tensorrt", "onnxruntime-cpu"))


@pytest.mark.usefixtures("two")
@pytest.mark.parametrize("call", ["cuMemAlloc", "cuGraphLaunch"])  # while opening; in a turn
def test_an_engine_that_fails_loses_its_row_and_no_other(gpu, bundle, settings, call):
    gpu.driver.fail(call, CUresult.CUDA_ERROR_OUT_OF_MEMORY)
    budget = Budget(60)
    subject = Subject("tiny", bundle, None)
    rows = speed.measure(budget, settings, subject, SIDE, 1, 5)
    assert [(row["engine"], row["wall"]["count"]) for row in rows] == [("onnxruntime-cpu", 2)]
    assert "tensorrt at 64 x 64, batch 1" in {entry["what"] for entry in budget.missing}


@pytest.mark.usefixtures("two", "gpu")
def test_an_engine_that_fails_when_it_is_closed_keeps_its_row(bundle, settings, monkeypatch):
    plain = TensorRtEngine.__exit__

    def leaves(engine, *error):
        plain(engine, *error)
        raise GpuError("cuMemFree failed")

    monkeypatch.setattr(TensorRtEngine, "__exit__", leaves)
    budget = Budget(60)
    rows = speed.measure(budget, settings, Subject("tiny", bundle, None), SIDE, 1, 5)
    assert [row["engine"] for row in rows] == ["tensorrt", "onnxruntime-cpu"]
    assert budget.missing[-1]["what"] == "closing tensorrt at 64 x 64, batch 1"


@pytest.mark.usefixtures("two", "gpu")
def test_a_model_that_does_not_fit_the_device_costs_torch_alone(bundle, settings, monkeypatch):
    def half(*_):
        raise RuntimeError("CUDA out of memory")

    monkeypatch.setattr(speed, "_half", half)
    budget = Budget(60)
    rows = speed.measure(budget, settings, Subject("tiny", bundle, object()), SIDE, 1, 5)
    assert [row["engine"] for row in rows] == ["tensorrt", "onnxruntime-cpu"]
    assert budget.missing[0]["what"] == "torch at 64 x 64, batch 1"


@pytest.mark.usefixtures("two", "gpu")
def test_a_size_that_gives_no_inputs_is_left_out(bundle, settings):
    budget = Budget(60)
    assert speed.measure(budget, settings, Subject("tiny", bundle, None), 0, 1, 5) == []
    assert budget.missing[0]["what"] == "inputs at 0 x 0, batch 1"


@pytest.mark.usefixtures("two", "gpu")
@pytest.mark.parametrize(("left", "limits"), [(300, [120.0]), (110, [50.0]), (70, [])])
def test_compiling_leaves_the_time_to_measure_the_others(
    bundle, settings, monkeypatch, left, limits
):
    """It may take all that there is; nothing was measured yet when it begins."""
    given = []

    class Clocked(Budget):
        left = property(lambda _: float(remaining))

        def attempt(self, what, work, seconds, needs=0.0):
            if what.startswith("torch-compile") and self.left > needs:
                given.append(seconds)
                return None
            return super().attempt(what, work, seconds, needs)

    remaining = left
    eager = Runner("torch-eager", lambda _: None, lambda: (1.0, 1.0))
    monkeypatch.setattr(speed, "_half", lambda *_: lambda *_: None)
    monkeypatch.setattr(speed, "torch_runner", lambda *_: eager)
    subject = Subject("tiny", bundle, object())
    rows = speed.measure(Clocked(left), settings, subject, SIDE, 1, 20, keeps=40)
    assert given == limits
    assert [row["engine"] for row in rows] == ["torch-eager", "tensorrt", "onnxruntime-cpu"]
