"""The GPU benchmark, as far as a machine without one can prove it."""

import contextlib
import importlib
import io
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from support import ort_toolchain
from support.bundles import make_bundle
from support.commands import run_command

from aliaug_edge.bundle import load_bundle
from aliaug_edge.cli.build import build
from aliaug_edge.engines.building.machine import Machine
from aliaug_edge.engines.gpu import GpuProbe, probe_gpus
from aliaug_edge.engines.plan import Here
from benchmarks.gpu import __main__ as script
from benchmarks.gpu import correctness, processes, subjects, table
from benchmarks.gpu.budget import Budget
from benchmarks.gpu.settings import Settings, small

ROOT = Path(__file__).resolve().parents[2]
without_gpu = pytest.mark.skipif(probe_gpus().problem is None, reason="there is a GPU here")


def run(*arguments, seconds=600):
    return subprocess.run(
        [sys.executable, "-m", "benchmarks.gpu", *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=seconds,
        check=False,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )


def test_without_a_gpu_it_says_so_in_one_line_and_exits_1(monkeypatch, capsys):
    monkeypatch.setattr(script, "probe_gpus", lambda: GpuProbe((), "no NVIDIA driver here"))
    monkeypatch.setattr(sys, "argv", ["gpu"])
    assert script.main() == 1
    out, err = capsys.readouterr()
    assert out == ""
    assert err.count("\n") == 1 and "no NVIDIA driver here" in err


def test_a_part_that_overruns_is_interrupted_and_named(capsys):
    budget = Budget(60)
    started = time.monotonic()
    assert budget.attempt("a nap", lambda: time.sleep(20), 0.2) is None
    assert time.monotonic() - started < 10
    assert budget.missing == [{"what": "a nap", "why": "not done within 0 s"}]
    assert "left out a nap" in capsys.readouterr().out


def test_an_import_is_not_cut_in_half(tmp_path, monkeypatch):
    """A module that was left in the middle would be broken for every part that follows."""
    (tmp_path / "a_slow_module.py").write_text("import time; time.sleep(0.6); whole = True")
    monkeypatch.syspath_prepend(tmp_path)
    budget = Budget(60)
    budget.attempt("an import", lambda: importlib.import_module("a_slow_module"), 0.1)
    assert sys.modules.pop("a_slow_module").whole


def test_a_part_that_fails_costs_no_other(capsys):
    budget = Budget(60)
    assert budget.attempt("division", lambda: 1 / 0, 5) is None
    assert budget.attempt("sum", lambda: 1 + 1, 5) == 2
    assert budget.missing[0]["why"] == "ZeroDivisionError: division by zero"
    del capsys


def test_what_fails_names_its_cause_too(capsys):
    def export():
        try:
            raise ValueError("no such operator\nand a long story")
        except ValueError as error:
            raise RuntimeError("\x1b[96mstep 1/3\x1b[0m failed.\nadvice") from error

    budget = Budget(60)
    assert budget.attempt("export", export, 5) is None
    assert budget.missing[0]["why"] == (
        "RuntimeError: step 1/3 failed., because of ValueError: no such operator"
    )
    del capsys


def test_what_needs_more_than_is_left_is_not_begun():
    begun = []
    assert Budget(1).attempt("compiling", lambda: begun.append(1), 5, needs=60) is None
    assert begun == []


def test_what_cannot_be_interrupted_ends_with_what_there_is():
    said = []
    budget = Budget(0.3)
    with budget.last_word(lambda: said.append("table"), lambda: said.append("end")):
        time.sleep(1.5)
    assert said == ["table", "end"]
    assert budget.missing == [{"what": "the rest", "why": "the time is over"}]


def test_work_that_is_done_in_time_has_the_last_word_itself():
    said = []
    with Budget(0.5).last_word(lambda: said.append("table"), lambda: said.append("end")):
        pass
    time.sleep(0.8)
    assert said == []


def test_a_build_that_fails_gives_its_last_line(tmp_path):
    bundle = subjects.shipped(small(tmp_path))
    (tmp_path / "tiny/bundle.json").write_text("{}")
    with pytest.raises(RuntimeError, match=r"."):
        processes.run(subjects.build_command(Settings(tmp_path), bundle, 128, 1), 120)


def test_a_build_that_hangs_is_stopped(tmp_path):
    bundle = subjects.shipped(small(tmp_path))
    with pytest.raises(RuntimeError, match="not done within 0 s"):
        processes.run(subjects.build_command(Settings(tmp_path), bundle, 128, 1), 0.01)


SLEEPER = """
import signal, subprocess, sys, time
sleeps = [sys.executable, "-c", "import time; time.sleep(60)"]
child = subprocess.Popen(sleeps, start_new_session=True)
open(sys.argv[1], "w").write(str(child.pid))
try:
    time.sleep(60)
finally:
    child.kill()
    child.wait()
"""


def alive(pid):
    path = Path(f"/proc/{pid}/stat")
    return path.exists() and path.read_text().rpartition(")")[2].split()[0] != "Z"


def test_a_process_that_is_stopped_stops_what_it_began_itself(tmp_path):
    """As `ali-aug build` does, whose own child builds in a session apart."""
    budget, said = Budget(60), tmp_path / "said"
    command = [sys.executable, "-c", SLEEPER, str(said)]
    budget.attempt("a build", lambda: processes.run(command, 60), 3)
    assert budget.missing[0]["why"] == "not done within 3 s"
    assert not alive(int(said.read_text()))


def test_a_process_that_does_not_heed_the_interrupt_is_killed(monkeypatch):
    monkeypatch.setattr(processes, "STOP_S", 0.5)
    deaf = "import signal, time; signal.signal(signal.SIGINT, signal.SIG_IGN); print(1, flush=True)"
    with subprocess.Popen(
        [sys.executable, "-c", f"{deaf}; time.sleep(60)"], stdout=subprocess.PIPE, text=True
    ) as process:
        process.stdout.readline()
        processes.stop(process)
        assert process.returncode == -signal.SIGKILL


def test_a_process_beside_something_that_fails_does_not_outlive_it(tmp_path):
    said = tmp_path / "said"
    with (
        pytest.raises(MemoryError),
        processes.beside([sys.executable, "-c", SLEEPER, str(said)]),
    ):
        while not said.exists() or not said.read_text():
            time.sleep(0.05)
        raise MemoryError
    assert not alive(int(said.read_text()))


class Parts:
    """The script's parts in place of those that need a GPU: what is asked for, in order. A build
    takes `build_s` of a clock that the budget reads."""

    def __init__(self, monkeypatch, build_s):
        self.asked, self.clock = [], 0.0
        monkeypatch.setattr("benchmarks.gpu.budget.time.monotonic", lambda: self.clock)
        row = {"gpu": None, "cpu": "a CPU", "sm": None, "memory_gib": None, "driver_cuda": None}
        row |= {"system": "", "python": "", "versions": {}, "state": {}, "matrix_rate_by": ""}
        subject = subjects.Subject("sd-turbo-fp16", Sixteen.bundle, None)
        tiny = subjects.Subject("tiny", Sixteen.bundle, None)
        for module, name, made in (
            (subjects, "load_libraries", None),
            (script.card, "read_card", {**row, "matrix_tflops_f16": 1.0}),
            (subjects, "tiny", tiny),
            (subjects, "turbo", subject),
            (correctness, "check", []),
            (script.speed, "measure", []),
            (script.speed, "prompt_encoder", {}),
            (script.overlap, "generate", {}),
            (script.overlap, "paste", {}),
            (script.memory, "in_a_process", {}),
        ):
            monkeypatch.setattr(module, name, self.part(name, made))
        monkeypatch.setattr(subjects, "build_command", lambda *a: [a[1], *a[2:]])
        monkeypatch.setattr(processes, "run", self.build(build_s))
        monkeypatch.setattr(
            processes, "finish", lambda *_: self.asked.append("tiny's are waited for")
        )
        monkeypatch.setattr(processes, "beside", self.beside)

    def part(self, name, made):
        def work(*arguments, **_):
            sizes = [a for a in arguments if a in (512, 256)]
            self.asked.append(" ".join(map(str, [name, *sizes])))
            return made

        return work

    def build(self, build_s):
        def run(command, seconds):
            self.asked.append(f"build {command[1]} batch {command[2]}")
            self.clock += min(build_s, seconds)
            if build_s > seconds:
                raise RuntimeError(f"not done within {seconds:.0f} s")

        return run

    @contextlib.contextmanager
    def beside(self, _command):
        self.asked.append("tiny's are begun")
        yield object()


def test_a_size_is_measured_whole_before_the_next_is_built(tmp_path, monkeypatch):
    parts = Parts(monkeypatch, build_s=1)
    Sixteen.bundle.provenance = {}
    Sixteen.bundle.root = tmp_path
    results = {part: [] for part in ("correctness", "speed", "generate", "paste", "memory")}
    script._run(Budget(500), Settings(tmp_path), {**results, "flops": {}})
    begun = parts.asked.index("tiny's are begun")
    assert parts.asked[begun : begun + 4] == [
        "tiny's are begun", "turbo", "tiny's are waited for", "check"
    ]  # fmt: skip
    assert parts.asked[begun + 4 : begun + 12] == [
        "build 512 batch 1", "check 512", "measure 512", "paste 512",
        "in_a_process 512", "in_a_process 512", "build 256 batch 1", "measure 256",
    ]  # fmt: skip


@pytest.mark.parametrize(("left", "begun"), [(500, True), (300, True), (150, False)])
def test_a_build_leaves_the_time_to_measure_without_it(tmp_path, monkeypatch, left, begun):
    """Builds that never end."""
    parts = Parts(monkeypatch, build_s=10_000)
    Sixteen.bundle.provenance = {}
    Sixteen.bundle.root = tmp_path
    results = {part: [] for part in ("correctness", "speed", "generate", "paste", "memory")}
    budget = Budget(left)
    script._run(budget, Settings(tmp_path), {**results, "flops": {}})
    assert ("build 512 batch 1" in parts.asked) is begun
    assert "measure 512" in parts.asked
    assert budget.left >= script.BATCH_KEEPS_S


ENDING = """
import sys, tempfile, time
from pathlib import Path
from benchmarks.gpu import __main__ as script, processes
from benchmarks.gpu.settings import small
scratch = Path(sys.argv[1])
(scratch / "a plan").write_text("gigabytes")
def run(budget, settings, results):
    try:
        processes.run([sys.executable, "-c", *sys.argv[2:]], 60)
    finally:
        time.sleep(60)  # sits in a library
script._run = run
script.measure(small(scratch), 3, lambda: script.cut_short(scratch))
"""


def test_at_the_end_of_the_time_no_process_and_no_scratch_is_left(tmp_path):
    scratch, said = tmp_path / "scratch", tmp_path / "said"
    scratch.mkdir()
    done = subprocess.run(
        [sys.executable, "-c", ENDING, str(scratch), SLEEPER, str(said)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == script.CUT_SHORT, done.stderr
    assert json.loads(done.stdout.splitlines()[-1])["missing"][-1]["why"] == "the time is over"
    assert not alive(int(said.read_text()))
    assert not scratch.exists()


def test_engines_are_built_without_the_proof_that_runs_on_the_cpu(tmp_path, monkeypatch):
    """It would take minutes there, needs ONNX Runtime, and random weights may not pass it."""
    machine = Machine(
        Here("9.0", "H100", "10.3.0", "x86_64-linux"), 80.0, False, ort_toolchain.NAME
    )
    monkeypatch.setattr("aliaug_edge.engines.building.machine.this_machine", lambda: machine)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("ALIAUG_TEST_FAULT", "coarse")
    bundle = load_bundle(make_bundle(tmp_path / "bundle", sizes=((64, 64),)))
    done = run_command(build, *subjects.build_arguments(Settings(tmp_path), bundle, [64], 1))
    assert done.exit_code == 0, done.output
    assert done.stdout.count("not proven against its ONNX graph") == 3


def test_a_run_that_breaks_still_prints_its_table_and_line(tmp_path, monkeypatch, capsys):
    def run(_budget, _settings, results):
        results["subject"] = "sd-turbo-fp16"
        raise MemoryError("CUDA out of memory")

    monkeypatch.setattr(script, "_run", run)
    with pytest.raises(MemoryError):
        script.measure(small(tmp_path), 60, lambda: None)
    line = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert line["subject"] == "sd-turbo-fp16"
    assert line["missing"] == [{"what": "the rest", "why": "MemoryError: CUDA out of memory"}]


CRASHING = """
import ctypes, sys
from pathlib import Path
from benchmarks.gpu import __main__ as script
def run(budget, settings, results):
    script._keep(budget, results, "speed", [{"engine": "torch-eager"}, None])
    ctypes.string_at(0)
script._run = run
sys.argv = ["gpu", "--cpu", "--work", sys.argv[1]]
script.main()
"""


def test_what_was_measured_is_told_also_where_a_library_ends_the_process(tmp_path):
    done = subprocess.run(
        [sys.executable, "-c", CRASHING, str(tmp_path)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode < 0
    assert done.stdout == '  speed: {"engine": "torch-eager"}\n'
    assert "Segmentation fault" in done.stderr and "in run" in done.stderr


def images(plain, mask, prompt):
    made = {"plain": plain, "mask": mask, "prompt": prompt}
    return {kind: np.full((1, 3, 8, 8), value, np.float32) for kind, value in made.items()}


class Sixteen:
    class bundle:
        precision = "fp16"


@pytest.mark.parametrize(
    ("found", "right", "mask", "prompt"),
    [
        (images(0.5, 0.1, 0.2), True, True, True),
        (images(0.5, 0.5, 0.2), False, False, True),
        (images(0.5, 0.1, 0.5), False, True, False),
        (images(0.5, 0.9, 0.2), False, False, True),  # it changes, and not as it should
        (images(0.1, -0.3, -0.2), False, True, True),  # both act, on another image
        (images(np.nan, 0.1, 0.2), False, False, False),
    ],
)
def test_an_engine_is_right_when_it_agrees_and_both_swaps_act(found, right, mask, prompt):
    row = correctness._row(found, images(0.5, 0.1, 0.2), Sixteen)
    assert (row["right"], row["mask_acts"], row["prompt_acts"]) == (right, mask, prompt)


def test_a_swap_acts_though_rounding_moves_the_image_more():
    """With random weights a prompt moves each pixel by little; FP16 may round it by more."""
    random = np.random.default_rng(0)

    def rounded(made):
        noise = {kind: random.normal(scale=0.004, size=(1, 3, 64, 64)) for kind in made}
        return {kind: image + noise[kind].astype(np.float32) for kind, image in made.items()}

    effect = random.normal(scale=0.001, size=(1, 3, 64, 64)).astype(np.float32)
    plain = np.full((1, 3, 64, 64), 0.5, np.float32)
    reference = {"plain": plain, "mask": plain + 0.2, "prompt": plain + effect}
    deaf = {"plain": plain, "mask": plain + 0.2, "prompt": plain}
    assert correctness._row(rounded(reference), reference, Sixteen)["right"]
    assert not correctness._row(rounded(deaf), reference, Sixteen)["prompt_acts"]


def test_a_reference_that_no_prompt_moves_passes_no_engine():
    """A U-Net that changes nothing, with the noise of a GPU that adds in another order."""
    still = images(0.5, 0.1, 0.5 + 1e-6)
    assert not correctness._row(still, still, Sixteen)["prompt_acts"]


def test_the_table_shows_floor_and_aims_from_what_was_measured_in_the_same_run():
    latency = {f"{name}_ms": 20.0 for name in ("p50", "p90", "p95", "p99", "max", "mean")}
    latency |= {"cov_percent": None, "count": 1}
    results = {
        "card": {"matrix_tflops_f16": 447.0},
        "subject": "sd-turbo-fp16",
        "precision": "fp16",
        "flops": {"512": 4.47e12},
        "correctness": [],
        "speed": [
            {
                "engine": "tensorrt",
                "side": 512,
                "batch": 1,
                "wall": latency,
                "device": latency,
                "images_per_s": 50.0,
            }
        ],
        "generate": [],
        "paste": [],
        "memory": [],
        "prompt": None,
        "missing": [{"what": "torch-compile", "why": "no time"}],
    }
    assert table.floor_ms(results, 512, 1) == pytest.approx(10.0)
    assert table.floor_ms(results, 256, 1) is None
    text = "\n".join(table.lines(results))
    assert "50%" in text  # 10 of 20 ms
    assert "aim on an H100, 512 px, batch 1: 11.0 ms uint8 to uint8, floor 5.6 ms" in text
    assert "torch-compile: no time" in text
    assert json.loads(table.json_line(results)) == results


def test_the_last_word_is_heard_while_an_exporter_keeps_stdout_and_nothing_comes_after_it(capsys):
    budget = Budget(60)
    with contextlib.redirect_stdout(io.StringIO()) as exporters:
        budget.leave_out("the rest", "the time is over")
        budget.say("table", last=True)
        budget.leave_out("a part", "not done within 3 s")
    assert capsys.readouterr().out == "  left out the rest: the time is over\ntable\n"
    assert exporters.getvalue() == ""


@pytest.mark.slow
def test_the_whole_script_runs_in_small_on_the_cpu(tmp_path):
    done = run("--cpu", "--work", str(tmp_path), "--seconds", "900", seconds=1000)
    assert done.returncode == 0, done.stdout + done.stderr
    found = json.loads(done.stdout.splitlines()[-1])
    assert found["card"]["matrix_tflops_f16"] > 0
    assert {row["model"] for row in found["correctness"]} == {"tiny", "small-fp16"}
    assert all(row["right"] for row in found["correctness"])
    engines = {row["engine"] for row in found["speed"] if row["batch"] == 1}
    assert engines == {"torch-eager", "onnxruntime-cpu", "torch-compile"}
    assert {(row["side"], row["batch"]) for row in found["speed"]} == {
        (128, 1),
        (64, 1),
        (128, 2),
        (64, 2),
    }
    assert found["generate"][0]["images"] == 3
    assert found["memory"][0]["process_rss_mib"] > 0
    assert {entry["what"].split(" at ")[0] for entry in found["missing"]} == {"torch-compile"}


@pytest.mark.slow
def test_a_run_without_enough_time_still_prints_its_table_and_line():
    done = run("--cpu", "--seconds", "12", seconds=500)
    found = json.loads(done.stdout.splitlines()[-1])
    assert found["missing"]
    assert "left out:" in done.stdout


@pytest.mark.slow
@without_gpu
def test_the_command_itself_needs_a_gpu():
    done = run(seconds=120)
    assert done.returncode == 1
    assert done.stdout == "" and done.stderr.startswith("no GPU to measure: ")
