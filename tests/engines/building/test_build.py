"""A whole build, with a toolchain that really builds and runs plans in its child process."""

from __future__ import annotations

import functools
import json
import math
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from support.bundles import make_bundle

from aliaug_edge.bundle import Bundle, load_bundle
from aliaug_edge.engines.building import BuildOptions, build_bundle, plan_builds
from aliaug_edge.engines.building.machine import Machine, timing_cache_path
from aliaug_edge.engines.building.toolchain import OutOfMemoryError
from aliaug_edge.engines.index import INDEX, stored_engines
from aliaug_edge.engines.plan import EngineError
from aliaug_edge.engines.store import FOLDER, device_key, find_plans
from aliaug_edge.errors import OutputError
from aliaug_edge.generation.trial import trial_feeds
from aliaug_edge.lock import exclusive
from aliaug_edge.tensors import Arrays

Feeds = Callable[[tuple[int, int], int], Arrays]
DECODER = BuildOptions(graphs=("decoder",), sizes=((64, 64),))


def folder_of(bundle: Bundle, machine: Machine) -> Path:
    return bundle.root / FOLDER / device_key(machine.here)


def files_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_build_makes_the_three_stages_static_and_proves_each(
    bundle: Bundle, machine: Machine, feeds: Feeds
) -> None:
    seen: list[tuple[str, str]] = []
    outcomes = build_bundle(
        bundle,
        BuildOptions(sizes=((64, 96),)),
        machine,
        feeds,
        progress=lambda engine, phase, *_: seen.append((engine, phase)),
    )
    assert [outcome.name for outcome in outcomes] == [
        "encoder-64x96-b1",
        "unet-64x96-b1",
        "decoder-64x96-b1",
    ]
    for outcome in outcomes:
        header = outcome.header
        assert outcome.built and header.built_for == machine.here
        assert all(shapes.static for shapes in header.profile.values())
        assert header.parity is not None and header.parity["psnr_db"] == 150.0
        assert (outcome.name, "timing kernels") in seen and (outcome.name, "parity") in seen
    assert outcomes[0].header.profile["image"].opt == (1, 3, 64, 96)
    assert outcomes[0].header.workspace_mib == 2048  # a quarter of 8 GiB that the CPU shares
    plans = find_plans(bundle, "generator", machine.here, (64, 96), 1)
    assert [stage for stage, _ in plans] == ["encoder", "unet", "decoder"]
    assert all(read().data[:2] == b"PK" for _, read in plans)
    load_bundle(bundle.root)  # bundle.json still vouches for the rest


def test_only_what_changed_is_built_again(
    bundle: Bundle, machine: Machine, feeds: Feeds, tmp_path: Path
) -> None:
    options = BuildOptions(graphs=("encoder", "unet"), sizes=((64, 64),))
    build_bundle(bundle, options, machine, feeds)
    assert [item.present for item in plan_builds(bundle, options, machine)] == [True, True]
    again = build_bundle(bundle, options, machine, feeds)
    assert [outcome.built for outcome in again] == [False, False]

    retrained = make_bundle(tmp_path / "retrained", sizes=bundle.sizes, gain=0.5)
    moved = load_bundle(retrained)
    shutil.copytree(bundle.root / FOLDER, moved.root / FOLDER)
    with pytest.raises(EngineError, match="vouches for engines of another bundle"):
        find_plans(moved, "encoder", machine.here, (64, 64), 1)
    third = build_bundle(moved, options, machine, functools.partial(trial_feeds, moved))
    assert [(outcome.name, outcome.built) for outcome in third] == [
        ("encoder-64x64-b1", False),
        ("unet-64x64-b1", True),  # its prompt gain is the one thing that changed
    ]
    assert find_plans(moved, "encoder", machine.here, (64, 64), 1)


@pytest.mark.parametrize(
    "changed",
    [{"optimization_level": 1}, {"workspace_mib": 64}, {"version_compatible": True}],
)
def test_an_engine_with_other_flags_is_another_engine(
    bundle: Bundle, machine: Machine, changed: dict[str, int]
) -> None:
    (before,) = plan_builds(bundle, DECODER, machine)
    (after,) = plan_builds(bundle, replace(DECODER, **changed), machine)
    assert before.target.key != after.target.key


@pytest.mark.parametrize(
    "other",
    [{"sm": "9.0"}, {"tensorrt": "10.13.3"}, {"platform": "x86_64-linux"}],
)
def test_an_engine_of_another_machine_is_another_engine(
    bundle: Bundle, machine: Machine, other: dict[str, str]
) -> None:
    (here,) = plan_builds(bundle, DECODER, machine)
    there = replace(machine, here=replace(machine.here, **other))
    (elsewhere,) = plan_builds(bundle, DECODER, there)
    assert here.target.key != elsewhere.target.key


def test_a_declared_set_is_an_engine_each_or_one_with_a_range(
    bundle: Bundle, machine: Machine, feeds: Feeds
) -> None:
    declared = BuildOptions(graphs=("encoder",), batches=(1, 2))
    names = [item.target.name for item in plan_builds(bundle, declared, machine)]
    assert names == [
        "encoder-64x64-b1",
        "encoder-64x64-b2",
        "encoder-64x96-b1",
        "encoder-64x96-b2",
    ]
    (one,) = build_bundle(bundle, replace(declared, dynamic=True), machine, feeds)
    assert one.name == "encoder-64x64..64x96-b1..2"
    image = one.header.profile["image"]
    assert (image.min, image.opt, image.max) == ((1, 3, 64, 64), (1, 3, 64, 64), (2, 3, 64, 96))
    assert one.header.parity is not None and len(one.header.parity["cases"]) == 4
    assert find_plans(bundle, "encoder", machine.here, (64, 96), 2)
    with pytest.raises(EngineError, match=r"no encoder engine for 64x96 batch 4.*--batches 4`"):
        find_plans(bundle, "encoder", machine.here, (64, 96), 4)


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        ("coarse", r"decoder-64x64-b1 is out of tolerance: .* dB against its ONNX graph"),
        ("nan", r"output generated holds non-finite values on a drawn surface; it was not kept"),
        ("segv", r"decoder-64x64-b1 \| its process died of SIGSEGV in 'timing kernels'"),
        ("crash-at-load", r"decoder-64x64-b1 \| its process died of SIGSEGV"),
        ("full", r"decoder-64x64-b1 \| No space left on device; free some space"),
    ],
)
def test_an_engine_that_fails_is_not_kept(
    bundle: Bundle,
    machine: Machine,
    feeds: Feeds,
    monkeypatch: pytest.MonkeyPatch,
    fault: str,
    said: str,
) -> None:
    monkeypatch.setenv("ALIAUG_TEST_FAULT", fault)
    with pytest.raises(EngineError, match=said) as caught:
        build_bundle(bundle, DECODER, machine, feeds)
    assert "\n" not in str(caught.value)
    assert files_in(folder_of(bundle, machine)) == []


def test_out_of_memory_says_what_to_lower(
    bundle: Bundle, machine: Machine, feeds: Feeds, monkeypatch: pytest.MonkeyPatch
) -> None:
    graph = bundle.graph_path("decoder")
    grown = replace(DECODER, workspace_mib=1)
    monkeypatch.setenv("ALIAUG_TEST_FAULT", "kill")
    with pytest.raises(OutOfMemoryError, match=r"killed .* memory ran out; lower it with --work"):
        build_bundle(bundle, DECODER, machine, feeds)
    monkeypatch.delenv("ALIAUG_TEST_FAULT")
    graph.write_bytes(graph.read_bytes() + b"\xfa\x0f" + b"\x80\x80\x80\x01" + bytes(1 << 21))
    with pytest.raises(OutOfMemoryError, match=r"out of memory: \d+ bytes asked for; lower it"):
        build_bundle(bundle, grown, machine, feeds)
    assert files_in(folder_of(bundle, machine)) == []


def test_a_bug_in_the_child_keeps_its_traceback(
    bundle: Bundle, machine: Machine, feeds: Feeds, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ALIAUG_TEST_FAULT", "bug")
    with pytest.raises(RuntimeError, match=r"(?s)Traceback.*ZeroDivisionError: a bug of ours"):
        build_bundle(bundle, DECODER, machine, feeds)


def test_a_disk_that_is_full_when_an_engine_is_proven_is_one_line(
    bundle: Bundle, machine: Machine, feeds: Feeds
) -> None:
    """The tensors of the proof lie beside the plan: it is this disk that has to hold them."""
    folder = folder_of(bundle, machine)

    def fill_up(_engine: str, phase: str, *_: object) -> None:
        if phase == "parity":
            (work,) = folder.glob(".build.*.tmp")
            (work / "feeds.npz").symlink_to("/dev/full")

    with pytest.raises(OutputError, match=r"cannot write .*: No space left on device") as caught:
        build_bundle(bundle, DECODER, machine, feeds, progress=fill_up)
    assert "\n" not in str(caught.value)
    assert files_in(folder) == []


def test_libraries_that_print_on_stdout_are_not_heard(
    bundle: Bundle, machine: Machine, feeds: Feeds, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ALIAUG_TEST_FAULT", "print")
    (made,) = build_bundle(bundle, DECODER, machine, feeds)
    assert made.header.parity is not None


def test_a_timing_cache_is_kept_for_the_device_and_dropped_where_it_does_not_fit(
    bundle: Bundle, machine: Machine, feeds: Feeds
) -> None:
    path, notes = timing_cache_path(machine), []
    build_bundle(bundle, DECODER, machine, feeds, notify=notes.append)
    assert json.loads(path.read_text())["times"] and notes == []
    path.write_bytes(b"timings of another version")
    build_bundle(bundle, replace(DECODER, force=True), machine, feeds, notify=notes.append)
    assert notes == [
        f"decoder-64x64-b1: the timing cache {path} does not fit this device and TensorRT: dropped"
    ]
    assert json.loads(path.read_text())["times"]  # replaced by one that fits


def test_two_builds_at_once_are_refused(bundle: Bundle, machine: Machine, feeds: Feeds) -> None:
    with (
        exclusive(folder_of(bundle, machine)),
        pytest.raises(OutputError, match="another run is writing"),
    ):
        build_bundle(bundle, DECODER, machine, feeds)


def test_ctrl_c_stops_the_child_and_leaves_nothing(
    bundle: Bundle, machine: Machine, feeds: Feeds, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ALIAUG_TEST_FAULT", "slow")

    def interrupt(_engine: str, _phase: str, step: int, _steps: int, _s: float) -> None:
        if step == 1:
            raise KeyboardInterrupt

    started = time.perf_counter()
    with pytest.raises(KeyboardInterrupt):
        build_bundle(bundle, DECODER, machine, feeds, progress=interrupt)
    assert time.perf_counter() - started < 10  # it stopped at a step, nobody had to end it
    assert files_in(folder_of(bundle, machine)) == []


REFERENCE = '''
import sys
sys.path[:0] = {path!r}
import functools
from pathlib import Path
import typer
from aliaug_edge.bundle import load_bundle
from aliaug_edge.cli.app import ErrorBoundary
from aliaug_edge.engines.building.parity import Reference
from aliaug_edge.engines.onnxruntime import OnnxRuntimeEngine
from aliaug_edge.generation.trial import trial_feeds
from aliaug_edge.profiling.peak import matmul_model, matmul_spec
import numpy as np

bundle = load_bundle(Path({bundle!r}))
onnx = bundle.root / "products.onnx"
onnx.write_bytes(matmul_model(1024, chain=20000))
operands = {{name: np.zeros((1024, 1024), np.float32) for name in ("left", "right")}}
products = OnnxRuntimeEngine(onnx, matmul_spec(1024), provider="cpu", threads=1)

def minutes(engine, feeds):
    """As long as a U-Net of SD-Turbo's size."""
    engine._run_options, engine._session = products._run_options, products._session
    print("computing", flush=True)
    return engine._session.run(["product"], operands, engine._run_options)

app = typer.Typer(cls=ErrorBoundary)
app.callback()(lambda: None)

@app.command()
def prove():
    OnnxRuntimeEngine.infer = minutes
    with products:
        Reference(bundle, functools.partial(trial_feeds, bundle)).tensors("encoder", ((64, 64), 1))

app(["prove"])
'''


def test_ctrl_c_acts_while_the_reference_is_computed(bundle: Bundle) -> None:
    """A real run of ONNX Runtime that takes minutes."""
    code = REFERENCE.format(path=sys.path, bundle=str(bundle.root))
    with subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as build:
        assert build.stdout is not None and build.stderr is not None
        assert build.stdout.readline() == "computing\n"
        time.sleep(0.5)
        build.send_signal(signal.SIGINT)
        try:
            assert build.wait(20) == 130
        finally:
            build.kill()
        assert build.stderr.read() == "interrupted\n"


def test_a_killed_build_takes_its_child_with_it_and_the_next_one_cleans_up(
    bundle: Bundle, machine: Machine, feeds: Feeds
) -> None:
    code = f"""
import functools, sys
sys.path[:0] = {sys.path!r}
from pathlib import Path
from aliaug_edge.bundle import load_bundle
from aliaug_edge.engines.building import BuildOptions, build_bundle
from aliaug_edge.engines.building.machine import Machine
from aliaug_edge.engines.plan import Here
from aliaug_edge.generation.trial import trial_feeds
bundle = load_bundle(Path({str(bundle.root)!r}))
machine = {machine!r}
options = BuildOptions(graphs=("decoder",), sizes=((64, 64),))
say = lambda *what: print(*what, flush=True)
build_bundle(bundle, options, machine, functools.partial(trial_feeds, bundle), progress=say)
"""
    env = {**os.environ, "ALIAUG_TEST_FAULT": "slow"}
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, env=env) as victim:
        assert victim.stdout is not None and victim.stdout.readline()
        children = Path(f"/proc/{victim.pid}/task/{victim.pid}/children").read_text().split()
        victim.send_signal(signal.SIGKILL)
    assert len(children) == 1
    deadline = time.monotonic() + 10
    while Path(f"/proc/{children[0]}/cmdline").exists() and time.monotonic() < deadline:
        if b"building.child" not in Path(f"/proc/{children[0]}/cmdline").read_bytes():
            break
        time.sleep(0.05)
    else:
        assert time.monotonic() < deadline, "the child outlived its build"
    folder = folder_of(bundle, machine)
    assert files_in(folder) and INDEX not in files_in(folder)  # what it was working on
    build_bundle(bundle, DECODER, machine, feeds)
    assert [name.split("-")[0] for name in files_in(folder)] == ["decoder", "decoder", "index.json"]


def test_a_damaged_plan_is_found_and_built_again(
    bundle: Bundle, machine: Machine, feeds: Feeds
) -> None:
    (first,) = build_bundle(bundle, DECODER, machine, feeds)
    plan = first.folder / first.header.plan
    plan.write_bytes(plan.read_bytes()[:-1] + b"\x7f")
    with pytest.raises(EngineError, match=r"damaged: expected SHA-256 .* run `ali-aug build"):
        stored_engines(bundle, first.folder)[first.name].read()  # type: ignore[union-attr]
    (second,) = build_bundle(bundle, DECODER, machine, feeds)
    assert second.built and second.header.plan_sha256 == first.header.plan_sha256


def test_engines_built_before_an_error_stay(bundle: Bundle, machine: Machine, feeds: Feeds) -> None:
    def break_the_second(engine: str, *_: object) -> None:
        if engine.startswith("decoder"):
            raise KeyboardInterrupt

    options = BuildOptions(graphs=("encoder", "decoder"), sizes=((64, 64),))
    with pytest.raises(KeyboardInterrupt):
        build_bundle(bundle, options, machine, feeds, progress=break_the_second)
    assert [item.present for item in plan_builds(bundle, options, machine)] == [True, False]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (BuildOptions(graphs=("vae",)), "--graphs vae: this bundle has decoder, encoder"),
        (BuildOptions(sizes=((32, 32),)), "--sizes 32x32: this bundle was proven at 64x64, 64x96"),
        (BuildOptions(batches=(0,)), r"--batches \[0\]: expected numbers of at least 1"),
        (BuildOptions(optimization_level=6), "--level 6: expected 0 to 5"),
        (BuildOptions(min_psnr_db=math.nan), "--min-psnr nan: expected dB, a finite number"),
        (BuildOptions(min_psnr_db=-math.inf), "--min-psnr -inf: expected dB, a finite number"),
    ],
)
def test_options_that_cannot_be_met_are_refused(
    bundle: Bundle, machine: Machine, options: BuildOptions, said: str
) -> None:
    with pytest.raises(EngineError, match=said):
        plan_builds(bundle, options, machine)
