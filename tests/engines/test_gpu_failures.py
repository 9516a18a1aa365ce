"""What goes wrong on a GPU: one clear line each, and nothing left on it."""

from __future__ import annotations

import contextlib
import dataclasses
import gc
import threading
from typing import Any

import numpy as np
import pytest
from support.gpu.enums import CUresult
from support.gpu.machine import RuleBroken
from support.gpu.rig import STAGED, rig
from support.gpu.tensorrt import Severity, plan

from aliaug_edge.bundle import Bundle, GraphSpec
from aliaug_edge.engines.buffers import Memory, layout_of
from aliaug_edge.engines.cuda import Cuda
from aliaug_edge.engines.cuda_errors import GpuError, GpuLostError, GpuMemoryError
from aliaug_edge.engines.graph import Graphs
from aliaug_edge.engines.paste import PastePipeline
from aliaug_edge.engines.stage import Plan, TensorRtError
from aliaug_edge.engines.tensorrt import TensorRtEngine
from aliaug_edge.errors import BundleError
from aliaug_edge.tensors import Arrays, TensorSpec


@pytest.mark.parametrize("total", [1000, 70_000, 300_000, 700_000])
def test_out_of_memory_says_what_to_lower_and_returns_all_of_it(
    bundle: Bundle, feeds: Arrays, total: int
) -> None:
    with (
        rig(total=total) as gpu,
        pytest.raises(
            GpuMemoryError, match=r"out of GPU memory: \w+ needs .* MiB.*lower"
        ) as caught,
        gpu.engine(bundle) as engine,
    ):
        engine.infer(feeds)
        with PastePipeline(engine, (64, 64), 4):
            pass
    assert "\n" not in str(caught.value)


def test_after_out_of_memory_a_smaller_size_still_runs(bundle: Bundle, feeds: Arrays) -> None:
    small = {n: a[:1] for n, a in feeds.items()}
    with rig(total=450_000) as gpu, gpu.engine(bundle) as engine:
        with pytest.raises(GpuMemoryError):
            engine.infer(feeds)
        assert engine.infer(small)["generated"].shape == (1, 3, 64, 96)


@pytest.mark.parametrize("after", range(0, 60, 7))
def test_a_call_that_fails_anywhere_leaves_nothing_allocated(
    bundle: Bundle, feeds: Arrays, after: int
) -> None:
    """Whichever copy, allocation or launch it is."""
    functions = ["cuMemAlloc", "cuMemHostAlloc", "cuMemcpyHtoDAsync", "cuStreamCreate"]
    functions += ["cuModuleLoadData", "cuEventCreate", "cuLaunchKernel", "cuGraphLaunch"]
    function = functions[after % len(functions)]
    with rig() as gpu:
        gpu.driver.fail(function, CUresult.CUDA_ERROR_INVALID_VALUE, after // 8)
        try:
            with gpu.engine(bundle) as engine:
                engine.infer(feeds)
                engine.infer(feeds)
                with PastePipeline(engine, (64, 64)):
                    pass
        except GpuError as error:
            assert function in str(error)
            assert "CUDA_ERROR_INVALID_VALUE" in str(error)


@pytest.mark.parametrize(
    "code", [CUresult.CUDA_ERROR_MISALIGNED_ADDRESS, CUresult.CUDA_ERROR_MPS_CLIENT_TERMINATED]
)
def test_after_an_error_that_sticks_nothing_more_is_put_on_the_gpu(
    bundle: Bundle, feeds: Arrays, code: CUresult
) -> None:
    with rig() as gpu, pytest.raises(GpuLostError, match=code.name), gpu.engine(bundle) as engine:
        engine.infer(feeds)
        gpu.driver.fail("cuStreamSynchronize", code)
        with pytest.raises(GpuLostError, match="run the same command again"):
            engine.infer(feeds)
        done = list(gpu.machine.trace)
        try:
            engine.infer(feeds)
        finally:
            assert gpu.machine.trace == done


def test_a_function_that_the_driver_lacks_is_one_line(
    bundle: Bundle, feeds: Arrays, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As cuda-python 13 tells it on a driver for CUDA 12."""

    def missing(*_: object) -> None:
        raise RuntimeError('Function "cuGraphInstantiate" not found')

    with rig() as gpu:
        monkeypatch.setattr(gpu.driver, "cuMemHostAlloc", missing)
        with pytest.raises(GpuError) as caught, gpu.engine(bundle) as engine:
            engine.infer(feeds)
    said = str(caught.value)
    assert "cuda-python does not find cuMemHostAlloc here" in said and "doctor" in said
    assert "\n" not in said


def test_a_lost_gpu_is_one_line_that_says_to_run_again(bundle: Bundle, feeds: Arrays) -> None:
    with rig() as gpu, pytest.raises(GpuLostError) as caught, gpu.engine(bundle) as engine:
        engine.infer(feeds)
        gpu.driver.lose()
        engine.infer(feeds)
    assert "CUDA_ERROR_ECC_UNCORRECTABLE" in str(caught.value)
    assert "finished samples are kept: run the same command again" in str(caught.value)


@pytest.mark.parametrize(
    "call", ["deserialize_cuda_engine", "create_execution_context", "execute_async_v3"]
)
def test_out_of_memory_inside_tensorrt_says_what_to_lower_not_to_build_again(
    bundle: Bundle, feeds: Arrays, call: str
) -> None:
    with rig() as gpu:
        gpu.driver.fail(call, CUresult.CUDA_ERROR_OUT_OF_MEMORY, after=1)
        with pytest.raises(GpuMemoryError) as caught, gpu.engine(bundle) as engine:
            engine.infer(feeds)
    said = str(caught.value)
    assert said.startswith("unet | ") and "out of GPU memory (Error Code 1: Cuda" in said
    assert "; lower the batch or the size" in said
    assert "ali-aug build" not in said and "\n" not in said


@pytest.mark.parametrize(
    "call", ["deserialize_cuda_engine", "create_execution_context", "execute_async_v3"]
)
def test_a_gpu_lost_inside_tensorrt_is_told_as_that(
    bundle: Bundle, feeds: Arrays, call: str
) -> None:
    with rig() as gpu:
        gpu.driver.fail(call, CUresult.CUDA_ERROR_ECC_UNCORRECTABLE, after=1)
        with pytest.raises(GpuLostError) as caught, gpu.engine(bundle) as engine:
            engine.infer(feeds)
    assert "run the same command again" in str(caught.value)
    assert "CUDA_ERROR_ECC_UNCORRECTABLE" in str(caught.value)


def test_a_shape_outside_the_profile_names_both_and_the_command(
    bundle: Bundle, feeds: Arrays
) -> None:
    with rig() as gpu, gpu.engine(bundle, batches=1) as engine:
        with pytest.raises(TensorRtError) as caught:
            engine.infer(feeds)
        single = {name: array[:1] for name, array in feeds.items()}
        assert engine.infer(single)["generated"].shape == (1, 3, 64, 96)
    said = str(caught.value)
    assert "[2, 3, 64, 96] is outside what this engine was built for, [1, 3, 32, 32]" in said
    assert "ali-aug build" in said


def test_a_plan_that_tensorrt_does_not_take_says_what_tensorrt_says(bundle: Bundle) -> None:
    with rig() as gpu:
        engine = TensorRtEngine(
            bundle.graphs["generator"],
            [("generator", lambda: Plan(b"\x00garbage"))],
            trt=gpu.trt,
            bindings=gpu.bindings,
        )
        with pytest.raises(TensorRtError, match="magicTagRead == kMAGIC_TAG failed; run: ali-aug"):
            engine.__enter__()


def test_a_runtime_that_does_not_start_says_what_tensorrt_says(
    bundle: Bundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    def runtime(logger: Any) -> None:
        logger.log(Severity.ERROR, "CUDA initialization failure with error: 35")
        raise TypeError("pybind11::init(): factory function returned nullptr")

    with rig() as gpu:
        monkeypatch.setattr(gpu.trt, "Runtime", runtime)
        with pytest.raises(TensorRtError, match=r"does not start here: CUDA init.* error: 35; a C"):
            gpu.engine(bundle).__enter__()


def test_a_second_engine_says_why_as_the_first_does(bundle: Bundle, feeds: Arrays) -> None:
    """`generate` holds one per size; TensorRT tells them all to the logger of the first."""
    with rig() as gpu, gpu.engine(bundle) as first:
        first.infer(feeds)
        gpu.driver.fail("create_execution_context", CUresult.CUDA_ERROR_OUT_OF_MEMORY)
        with (
            gpu.engine(bundle) as second,
            pytest.raises(GpuMemoryError, match=r"out of GPU memory \(.*Cuda Runtime"),
        ):
            second.infer(feeds)


def test_an_engine_outlives_the_one_that_was_there_before_it(bundle: Bundle, feeds: Arrays) -> None:
    """TensorRT goes on to call the logger that the first brought along."""
    with rig() as gpu, contextlib.ExitStack() as stack:
        with gpu.engine(bundle):
            second = stack.enter_context(gpu.engine(bundle))
        gc.collect()
        gpu.driver.fail("create_execution_context", CUresult.CUDA_ERROR_OUT_OF_MEMORY)
        with pytest.raises(GpuMemoryError, match=r"out of GPU memory \(.*Cuda Runtime"):
            second.infer(feeds)


def test_plans_of_another_graph_are_refused(bundle: Bundle) -> None:
    with rig() as gpu:
        engine = gpu.engine(bundle, ("encoder",))
        with pytest.raises(BundleError, match=r"not the graph that bundle\.json describes"):
            engine.__enter__()


def test_stages_that_do_not_agree_on_a_dtype_are_refused(bundle: Bundle, feeds: Arrays) -> None:
    bounds: Any = ({"batch": 1, "height": 32, "width": 32}, {"batch": 4, "height": 99, "width": 99})

    def read(stage: str) -> Any:
        spec = bundle.graphs[stage]
        if stage == "decoder":
            halves = tuple(
                dataclasses.replace(s, dtype="float16") if s.name == "tap_1" else s
                for s in spec.inputs
            )
            spec = GraphSpec(spec.path, halves, spec.outputs)
        return lambda: Plan(plan(bundle.graph_path(stage), spec, *bounds))

    with rig() as gpu:
        made = [(stage, read(stage)) for stage in STAGED]
        engine = TensorRtEngine(
            bundle.graphs["generator"], made, trt=gpu.trt, bindings=gpu.bindings
        )
        with engine, pytest.raises(BundleError, match="tap_1 is float16 here and float32 in"):
            engine.infer(feeds)


def test_threads_take_turns_on_one_engine(bundle: Bundle, feeds: Arrays) -> None:
    """A CUDA context is current per thread; a run's workers are several."""
    found: list[Any] = []
    with rig() as gpu, gpu.engine(bundle) as engine:
        expected = engine.infer(feeds)["generated"]
        for _ in range(3):
            worker = threading.Thread(target=lambda: found.append(engine.infer(feeds)))
            worker.start()
            worker.join()
    assert all(np.array_equal(one["generated"], expected) for one in found)
    assert len(found) == 3


def test_a_change_of_shape_captures_again_and_going_back_does_not(
    bundle: Bundle, feeds: Arrays
) -> None:
    single = {name: array[:1] for name, array in feeds.items()}
    with rig() as gpu, gpu.engine(bundle) as engine:
        both = engine.infer(feeds)["generated"]
        one = engine.infer(single)["generated"]
        assert engine.graphs.captures == 2
        for _ in range(2):
            assert np.array_equal(engine.infer(feeds)["generated"], both)
            assert np.array_equal(engine.infer(single)["generated"], one)
        assert engine.graphs.captures == 2


def test_shapes_beyond_what_is_kept_are_dropped_and_made_again(
    bundle: Bundle, feeds: Arrays
) -> None:
    def of_width(width: int) -> Arrays:
        latent = {"noise": feeds["noise"][:1, ..., : width // 8]}
        pixels = {n: feeds[n][:1, ..., :width] for n in ("image", "mask")}
        return {n: a[:1] for n, a in feeds.items()} | pixels | latent

    with rig() as gpu, gpu.engine(bundle) as engine:
        first = [engine.infer(of_width(w))["generated"] for w in (32, 40, 48, 56, 64, 72)]
        again = [engine.infer(of_width(w))["generated"] for w in (32, 40, 48, 56, 64, 72)]
        assert len(engine._ready) == 4
    assert all(np.array_equal(a, b) for a, b in zip(first, again, strict=True))


def test_another_address_captures_again(bundle: Bundle) -> None:
    del bundle
    with rig() as gpu, Cuda(gpu.bindings) as cuda, Memory(cuda) as memory:
        stream = cuda.new_stream()
        host = memory.pinned(layout_of([TensorSpec("x", "int32", (4,))]), "test")
        with Graphs(cuda) as graphs:
            places = [memory.device(256, "test") for _ in range(2)]
            for place in (places[0], places[0], places[1], places[1], places[0]):
                graphs.run("key", (place,), lambda p=place: cuda.clear(p, 16, stream), stream)
            assert graphs.captures == 3
            host.arrays["x"][:] = 7
            cuda.to_host(host.address, places[0], 16, stream)
            cuda.synchronize(stream)
            assert host.arrays["x"].tolist() == [0, 0, 0, 0]
        cuda.drop_stream(stream)


def test_work_that_cannot_be_captured_is_enqueued_call_by_call() -> None:
    with rig() as gpu, Cuda(gpu.bindings) as cuda, Memory(cuda) as memory, Graphs(cuda) as graphs:
        stream, place = cuda.new_stream(), memory.device(256, "test")

        def work() -> None:
            cuda.clear(place, 16, stream)
            cuda.synchronize(stream)

        for _ in range(3):
            graphs.run("key", (place,), work, stream)
        assert "CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED" in graphs.refused["key"]
        assert gpu.machine.trace.count("set") == 3
        cuda.drop_stream(stream)


def test_an_engine_that_tensorrt_refuses_in_a_capture_runs_call_by_call(
    bundle: Bundle, feeds: Arrays
) -> None:
    with rig() as gpu:
        with gpu.engine(bundle) as engine:
            expected = engine.infer(feeds)["generated"]
        gpu.driver.failures.uncapturable = True
        gpu.machine.trace.clear()
        with gpu.engine(bundle) as engine:
            for _ in range(3):
                assert np.array_equal(engine.infer(feeds)["generated"], expected)
            (why,) = engine.graphs.refused.values()
        assert "not permitted when stream is capturing" in why
        assert gpu.machine.trace.count("encoder") == 3
        assert "graph" not in gpu.machine.trace


def test_the_machine_itself_finds_what_a_gpu_would_hide() -> None:
    """The rules that the other tests rely on, each broken once."""
    with rig() as gpu, Cuda(gpu.bindings) as cuda:
        one, other = cuda.new_stream(), cuda.new_stream()
        place = cuda.allocate(256, "test")
        cuda.clear(place, 16, one)
        with pytest.raises(RuleBroken, match="races with"):
            cuda.clear(place + 8, 16, other)
        with pytest.raises(RuleBroken, match="while work uses them"):
            cuda.free(place)
        with pytest.raises(RuleBroken, match="past the end"):
            cuda.clear(place, 257, one)
        graph = cuda.capture(one, lambda: cuda.clear(place, 16, one))
        cuda.synchronize(one)
        cuda.free(place)
        with pytest.raises(RuleBroken, match="address that was freed: capture again"):
            cuda.launch_graph(graph, one)
        with pytest.raises(RuleBroken, match="not allocated"):
            cuda.clear(place, 16, one)
        assert gpu.driver.leaks() != []
        cuda.drop_graph(graph)
        cuda.drop_stream(one)
        cuda.drop_stream(other)
