"""Traces of the TensorRT engine on the GPU in numpy: order, names, memory and what is given back.

Its events have no clock: here an event's time is the number of bytes and runs that were put on its
stream before it, so that spans are what was enqueued between two marks.
"""

import functools
import json
import time
from types import SimpleNamespace

import pytest
from support import ort_toolchain
from support.bundles import make_bundle
from support.gpu.driver import OK, CUresult, FakeDriver
from support.gpu.full import make_full_bundle, make_paper_bundle
from support.gpu.rig import rig
from support.gpu.tensorrt import Context, _Engine, plan

from aliaug_edge import imaging
from aliaug_edge.bundle import load_bundle
from aliaug_edge.engines.cuda_errors import KernelError
from aliaug_edge.engines.onnxruntime import OnnxRuntimeEngine
from aliaug_edge.engines.tensorrt import TensorRtEngine
from aliaug_edge.errors import AliAugError, DataError
from aliaug_edge.profiling import Rules, profile_bundle, profile_text
from aliaug_edge.profiling.gpu_paste import profile_paste
from aliaug_edge.profiling.gpu_peak import (
    build_plan,
    measured_gpu_gflops,
    onnxruntime_gflops,
    tensorrt_gflops,
)
from aliaug_edge.profiling.gpu_profile import MIB, profile_gpu
from aliaug_edge.profiling.gpu_state import parse_nvidia_smi
from aliaug_edge.profiling.gpu_text import gpu_lines, state_text
from aliaug_edge.profiling.gpu_trace import Tracer, collect
from aliaug_edge.profiling.peak import matmul_spec
from aliaug_edge.profiling.stages import Bench, scene_feeds, write_scene
from aliaug_edge.profiling.table import shown
from aliaug_edge.profiling.trt_layers import write_layers
from aliaug_edge.report import collect_report, render_report
from aliaug_edge.report.gpu import SHAPE, gpu_block
from aliaug_edge.report.read import misfit

SIZE = (64, 64)
QUICK = Rules(warmup_ms=0, iterations=3)
STAGES = ["encoder", "unet", "decoder"]
CALM = parse_nvidia_smi("")  # nothing is known
LOADED = parse_nvidia_smi(
    "580.65, P0, 1755, 1980, 2619, 612.4, 700.0, 54, 0x0000000000000004, 2600"
)


@pytest.fixture(scope="module")
def bundle(tmp_path_factory):
    return load_bundle(make_bundle(tmp_path_factory.mktemp("gpu") / "bundle", sizes=(SIZE,)))


@pytest.fixture(scope="module")
def scene(bundle, tmp_path_factory):
    folder = tmp_path_factory.mktemp("scene")
    mask = write_scene(folder, SIZE)
    image = imaging.load_image(folder / "good.png")
    names = [spec.name for spec in bundle.graphs["generator"].inputs]

    def feeds(batch):
        known = scene_feeds(bundle, image, mask, batch)
        return {name: known[name] for name in names}

    return feeds


@pytest.fixture
def gpu(monkeypatch):
    def elapsed(self, start, end):
        marks = [sum(self.machine.events[event].values()) for event in (start, end)]
        return OK, float(marks[1] - marks[0])

    monkeypatch.setattr(FakeDriver, "cuEventElapsedTime", elapsed, raising=False)
    with rig() as made:
        yield made


def test_a_staged_run_times_each_stage_between_its_own_events(gpu, bundle, scene):
    with gpu.engine(bundle) as engine, Tracer(engine, scene(1)) as tracer:
        query = tracer.run(staged=True)
    assert list(query.stages) == STAGES
    assert list(query.stages.values()) == [1.0, 1.0, 1.0]  # one run each
    assert query.h2d == len(scene(1)) and query.d2h == 1.0
    assert query.compute == 3.0
    assert 0 < query.enqueue < query.end_to_end


def test_a_whole_run_is_one_graph_launch_and_gives_the_engines_result(gpu, bundle, scene):
    with gpu.engine(bundle) as engine:
        expected = engine.infer(scene(1))["generated"]
        with Tracer(engine, scene(1)) as tracer:
            tracer.run(staged=False)
            query = tracer.run(staged=False)
            assert tracer.graphed
            assert query.compute == 1.0 and query.stages == {}
            assert (tracer.ready.made.arrays["generated"] == expected).all()


@pytest.mark.parametrize("make", [make_full_bundle, make_paper_bundle])
def test_painting_and_the_masks_encoding_are_timed_where_no_stage_reads_the_colour(
    gpu, make, tmp_path
):
    other = load_bundle(make(tmp_path / "bundle"))
    mask = write_scene(tmp_path, SIZE)
    known = scene_feeds(other, imaging.load_image(tmp_path / "good.png"), mask, 1)
    given = {spec.name: known[spec.name] for spec in other.graphs["generator"].inputs}
    with gpu.engine(other) as engine:
        expected = engine.infer(given)["generated"]
        with Tracer(engine, given) as tracer:
            query = tracer.run(staged=True)
            assert (tracer.ready.made.arrays["generated"] == expected).all()
    assert list(query.stages) == ["paint", "encoder", "mask_encoder", "unet", "decoder"]


def test_where_graphs_are_off_that_is_said(gpu, bundle, scene):
    with gpu.engine(bundle, cuda_graph=False) as engine, Tracer(engine, scene(1)) as tracer:
        assert tracer.run(staged=False).compute == 3.0
        assert not tracer.graphed


def test_the_rules_decide_how_many_runs_count(gpu, bundle, scene):
    with gpu.engine(bundle) as engine, Tracer(engine, scene(1)) as tracer:
        assert len(collect(tracer, QUICK, staged=False)) == 3


def profiled(gpu, bundle, scene, flop=lambda _: 4e9, peak=1000.0, read=lambda: dict(CALM)):
    def open_batch(batch):
        return gpu.engine(bundle, size_hw=SIZE, batch=batch)

    with open_batch(1) as engine:
        return profile_gpu(engine, open_batch, scene, flop, peak, QUICK, read)


def test_the_part_about_the_gpu_is_whole(gpu, bundle, scene):
    found = profiled(gpu, bundle, scene)
    assert [row["name"] for row in found["queries"]] == [
        "enqueue",
        "h2d",
        "compute",
        "d2h",
        "end_to_end",
    ]
    assert [row["stage"] for row in found["stages"]] == STAGES
    assert found["stages"][0]["gflops"] == 4000.0  # 4 GFLOP in 1 ms
    assert found["floor"] == {
        "gflop": 4.0,
        "peak_gflops_f16": 1000.0,
        "floor_ms": 4.0,
        "share": 4.0,
    }
    json.dumps(found, allow_nan=False)
    text = "\n".join(gpu_lines(found))
    assert "FLOP floor 4.000 ms" in text and "decoder" in text
    (compute,) = (line for line in text.splitlines() if "compute" in line)
    for column in ("p50", "p90", "p95", "p99", "max", "CoV"):
        assert f"{column} " in compute
    assert "under load: clocks, power and temperature are not told here" in text


def test_the_state_under_load_is_read_while_the_gpu_works(gpu, bundle, scene):
    worked = []

    def read():
        before, until = len(gpu.machine.ran), time.monotonic() + 30
        time.sleep(0.1)
        while worked and len(gpu.machine.ran) == before and time.monotonic() < until:
            time.sleep(0.1)  # on a busy machine
        worked.append(len(gpu.machine.ran) - before)
        return CALM | {"sm_clock_mhz": 1000.0 if len(worked) == 3 else 1980.0}

    def open_batch(batch):
        return gpu.engine(bundle, size_hw=SIZE, batch=batch)

    with open_batch(1) as engine:
        found = profile_gpu(engine, open_batch, scene, lambda _: None, None, QUICK, read)
    before, *during = worked
    assert before == 0
    assert len(during) >= 3 and min(during) > 0
    assert found["state"]["before"]["sm_clock_mhz"] == 1980.0
    assert found["state"]["during"]["sm_clock_mhz"] == 1000.0


def test_the_text_says_what_clocks_power_and_temperature_were_under_load():
    assert state_text(LOADED) == (
        "SM clock 1755 of 1980 MHz, memory clock 2619 MHz, power 612 of 700 W, "
        "temperature 54 °C, throttled by software power cap"
    )
    orin = CALM | {"sm_clock_mhz": 612.0, "power_mode": "MAXN", "clocks_locked": False}
    assert state_text(orin | {"throttling": []}) == (
        "SM clock 612 MHz, power mode MAXN, clocks not locked, throttled by nothing"
    )


def test_the_report_takes_the_part_and_draws_it(gpu, bundle, scene):
    found = json.loads(json.dumps(profiled(gpu, bundle, scene)))
    assert misfit(found, SHAPE) == ""
    html = gpu_block(found)
    assert html.count("<svg") == 1
    for name in ("h2d", "compute", "d2h", *STAGES):
        assert f"<title>{name}: " in html  # a bar each
    assert "FLOP floor 4.000 ms" in html and "outside what this engine was built for" in html
    found["stages"][0]["p99_ms"] = "fast"
    assert misfit(found, SHAPE) == 'stages[0].p99_ms is "fast"'


def test_skips_and_scratch_are_told_apart(gpu, bundle, scene):
    memory = profiled(gpu, bundle, scene)["memory"]
    side, channels = SIZE[0], 3
    taps = sum(channels * (side >> level) ** 2 * 4 for level in range(4))
    assert memory["skips_mib"] == pytest.approx(taps / 2**20, abs=0.01)
    assert memory["scratch_mib"] == pytest.approx(2**16 / 2**20, abs=0.01)
    assert memory["device_used_mib"] > memory["skips_mib"] + memory["scratch_mib"]


def test_the_peak_of_the_memory_is_that_of_readings_under_load(gpu, bundle, scene):
    """What another program takes meanwhile is in it, and no longer in what is in use at the end."""
    calls, taken = [], []

    def read():
        calls.append(1)
        with gpu.machine.turn:
            if len(calls) == 2:
                taken.append(gpu.machine.allocate(64 * MIB, pinned=False))
            if len(calls) == 4:
                gpu.machine.release(taken.pop(), pinned=False)
        return dict(CALM)

    memory = profiled(gpu, bundle, scene, read=read)["memory"]
    assert memory["device_peak_mib"] - memory["device_used_mib"] == pytest.approx(64, abs=0.1)


@pytest.fixture
def jobs(bundle, tmp_path):
    with Bench(bundle, "onnxruntime-cpu", 1, SIZE, tmp_path) as bench:
        return bench.paste_jobs()


def test_what_generate_runs_is_timed_from_uint8_to_uint8(gpu, bundle, jobs):
    """Every crop is another photo, so that the encoder is part of it, and the kernels are ours."""
    with gpu.engine(bundle) as engine:
        found = profile_paste(engine, jobs, QUICK)
        ran = gpu.machine.ran
    assert found["problem"] is None
    rows = {row["name"]: row for row in found["queries"]}
    assert list(rows) == ["upload", "compute", "download", "end_to_end"]
    assert all(row["count"] == 3 and row["p50_ms"] > 0 for row in rows.values())
    last = ran[len(ran) - 1 - ran[::-1].index("copy to device") :]
    assert [name for name in last if name in STAGES] == STAGES
    assert {"cut", "blend"} <= {name.split("_")[0] for name in last}


def test_where_our_kernels_cannot_be_compiled_that_is_said(gpu, bundle, jobs, monkeypatch):
    def refuses(*_):
        raise KernelError("NVRTC cannot be opened")

    monkeypatch.setattr(TensorRtEngine, "kernels", refuses)
    with gpu.engine(bundle) as engine:
        found = profile_paste(engine, jobs, QUICK)
    assert found == {"queries": [], "problem": "NVRTC cannot be opened"}
    with gpu.engine(bundle) as engine:
        assert profile_paste(engine, [], QUICK) is None


def test_a_batch_that_was_not_built_is_named_and_costs_nothing_else(gpu, bundle, scene):
    rows = {row["batch"]: row for row in profiled(gpu, bundle, scene)["batches"]}
    assert list(rows) == [1, 2, 4, 8]
    assert rows[4]["images_per_s"] > 0
    assert "outside what this engine was built for" in rows[8]["problem"]
    assert rows[8]["images_per_s"] is None


def test_without_flops_or_a_rate_there_is_no_floor(gpu, bundle, scene):
    floor = profiled(gpu, bundle, scene, flop=lambda _: None)["floor"]
    assert floor["share"] is floor["floor_ms"] is None
    assert profiled(gpu, bundle, scene, peak=None)["stages"][0]["share_of_peak"] is None


@pytest.fixture
def document(gpu, bundle, monkeypatch):
    """What `ali-aug profile` writes on a machine with TensorRT."""

    def opening(opened, graph, *, size_hw, batch, **_):
        assert graph == "generator"  # its stages are timed inside it
        return gpu.engine(opened, size_hw=size_hw, batch=batch)

    monkeypatch.setattr("aliaug_edge.profiling.stages.open_engine", opening)
    monkeypatch.setattr("aliaug_edge.profiling.run.measured_gpu_gflops", lambda: 1e5)
    return profile_bundle(bundle, ["tensorrt"], None, QUICK)


def test_a_profile_of_a_bundle_carries_it(document):
    (entry,) = document["engines"]
    assert (entry["name"], entry["version"]) == ("tensorrt", "10.3")
    assert entry["gpu"]["cuda_graph"] is True
    assert entry["batches"] == []
    assert entry["gpu"]["paste"]["problem"] is None
    assert "what generate runs, uint8 to uint8, one crop at a time\n  upload " in profile_text(
        document
    )
    assert "encode" not in [row["stage"] for row in entry["stages"]]
    assert "on the device (CUDA events)" in profile_text(document)


def report_of(document, folder):
    (folder / "profile.json").write_text(json.dumps(document))
    return render_report(collect_report(profile_json=folder / "profile.json"))


def test_the_report_shows_what_generate_runs_on_the_device(document, tmp_path):
    html = report_of(document, tmp_path)
    _, block = html.split("<h4>What generate runs</h4>")
    for row in document["engines"][0]["gpu"]["paste"]["queries"]:
        values = "".join(f"<td>{shown(row[f'{p}_ms'], 3)}</td>" for p in ("p50", "p90", "p95"))
        assert f"<td>{row['name']}</td>{values}" in block
    for name in ("upload", "compute", "download"):
        assert f"<title>{name}: " in block  # a bar each


def test_the_report_says_why_that_was_not_timed(document, tmp_path):
    """And has nothing of it where the profile does not, as one of an earlier version."""
    gpu_part = document["engines"][0]["gpu"]
    gpu_part["paste"] = {"queries": [], "problem": "NVRTC <12> cannot be opened"}
    assert "; not timed: NVRTC &lt;12&gt; cannot be opened." in report_of(document, tmp_path)
    gpu_part["paste"] = None
    assert "What generate runs" not in report_of(document, tmp_path)
    del gpu_part["paste"]
    assert "What generate runs" not in report_of(document, tmp_path)


def test_a_damaged_part_about_it_is_named(document, tmp_path):
    del document["engines"][0]["gpu"]["paste"]["queries"][1]["p50_ms"]
    with pytest.raises(DataError, match=r"gpu\.paste\.queries\[1\]\.p50_ms is missing"):
        report_of(document, tmp_path)


def test_engines_elsewhere_have_no_such_part(bundle):
    document = profile_bundle(bundle, ["onnxruntime-cpu"], None, QUICK, threads=1)
    assert "gpu" not in document["engines"][0]


class IProfiler:
    def __init__(self):
        self.ready = True


def with_profiler(monkeypatch, trt, layers):
    """Give the runtime what the layer profile needs: `layers`, and two a run, of 1 and 3 ms."""
    plain = Context.execute_async_v3

    def execute(context, stream):
        done = plain(context, stream)
        if hasattr(context, "profiler"):
            assert context.profiler.ready  # an uninitialised base crashes in TensorRT
            for name, ms in (("conv", 1.0), ("norm", 3.0)):
                context.profiler.report_layer_time(name, ms)
        return done

    def inspector(_):
        said = {"json": json.dumps({"Layers": layers, "Bindings": []})}
        return SimpleNamespace(get_engine_information=said.__getitem__)

    monkeypatch.setattr(Context, "execute_async_v3", execute)
    monkeypatch.setattr(_Engine, "create_engine_inspector", inspector, raising=False)
    trt.IProfiler = IProfiler
    trt.EngineInspector = SimpleNamespace
    trt.LayerInformationFormat = SimpleNamespace(JSON="json")


def test_layers_and_their_times_are_written_per_stage(gpu, bundle, scene, tmp_path, monkeypatch):
    with_profiler(monkeypatch, gpu.trt, [{"Name": "conv", "LayerType": "Conv"}])
    with gpu.engine(bundle) as engine:
        written, notes = write_layers(engine, scene(1), tmp_path / "layers", runs=4)
    assert notes == []
    assert [path.name for path in written] == [
        f"{kind}_{stage}.json" for stage in STAGES for kind in ("layers", "profile")
    ]
    times = json.loads((tmp_path / "layers/profile_unet.json").read_text())
    assert times[0] == {"count": 4}
    assert [row["percentage"] for row in times[1:]] == [25.0, 75.0]


def test_the_lean_runtime_has_no_inspector_and_gives_the_times_alone(
    gpu, bundle, scene, tmp_path, monkeypatch
):
    """As recorded in bindings/lean-11.4.0.106.json: no such class, and so no such call."""
    with_profiler(monkeypatch, gpu.trt, ["conv"])
    del gpu.trt.EngineInspector

    def unregistered(_):
        raise TypeError("Unable to convert function return value to a Python type!")

    monkeypatch.setattr(_Engine, "create_engine_inspector", unregistered, raising=False)
    with gpu.engine(bundle) as engine:
        written, notes = write_layers(engine, scene(1), tmp_path, runs=1)
    assert [path.name for path in written] == [f"profile_{stage}.json" for stage in STAGES]
    (note,) = notes
    assert "lean runtime has no engine inspector" in note


def test_layers_without_details_are_noted(gpu, bundle, scene, tmp_path, monkeypatch):
    with_profiler(monkeypatch, gpu.trt, ["conv"])
    with gpu.engine(bundle) as engine:
        _, notes = write_layers(engine, scene(1), tmp_path, runs=1)
    assert notes[0] == "encoder: built without layer details; its layers have names only"


def test_a_gpu_that_fails_leaves_nothing_behind(gpu, bundle, scene):
    with gpu.engine(bundle) as engine, pytest.raises(AliAugError), Tracer(engine, scene(1)) as t:
        gpu.driver.fail("cuMemcpyDtoHAsync", CUresult.CUDA_ERROR_INVALID_VALUE)
        t.run(staged=True)


def test_the_rate_is_that_of_products_on_the_device_without_the_copies(gpu):
    """As many products as the chain has, in the one millisecond that a run takes here."""

    def build(onnx, to):
        build_plan(onnx, to, ort_toolchain.NAME, 64)  # a real one; the GPU here wants another form
        assert to.read_bytes()[:2] == b"PK"
        to.write_bytes(plan(onnx, matmul_spec(64, half=True), {}, {}))

    opened = functools.partial(TensorRtEngine, trt=gpu.trt, bindings=gpu.bindings)
    assert tensorrt_gflops(build, opened, 64, 5) == round(2 * 64**3 * 5 / 1e6, 1)


def test_without_tensorrt_the_rate_is_that_of_onnx_runtime(monkeypatch):
    def no_builder(*_):
        raise AliAugError("only TensorRT's lean runtime is installed, which builds nothing")

    assert tensorrt_gflops(no_builder, side=64, chain=5) is None
    monkeypatch.setattr("aliaug_edge.profiling.gpu_peak.build_plan", no_builder)
    monkeypatch.setattr("aliaug_edge.profiling.gpu_peak.onnxruntime_gflops", lambda: 7.0)
    assert measured_gpu_gflops() == 7.0


def test_the_rate_is_that_of_real_products_and_null_where_they_cannot_run(monkeypatch):
    assert 0.1 < (onnxruntime_gflops("cpu", side=64, chains=(1, 5)) or 0.2) < 1e6

    def refuses(*_, **__):
        raise AliAugError("no CUDA")

    monkeypatch.setattr(OnnxRuntimeEngine, "__init__", refuses)
    assert onnxruntime_gflops() is None
