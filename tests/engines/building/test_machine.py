"""What is asked before anything is built: driver, GPU, TensorRT, memory."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from support import ort_toolchain

from aliaug_edge.engines import tensorrt_package as package
from aliaug_edge.engines.building import BuildOptions, machine, plan_builds, tensorrt
from aliaug_edge.engines.building.machine import Machine, require_gpu, this_machine
from aliaug_edge.engines.building.text import Ticker, machine_line, plan_text
from aliaug_edge.engines.gpu import Gpu, GpuProbe
from aliaug_edge.engines.plan import EngineError, Here

ORIN = GpuProbe((Gpu("Orin", "8.7", 7.4, True),), None, "12.6")
H100 = GpuProbe((Gpu("H100", "9.0", 79.6),), None, "13.0")


def use(monkeypatch: pytest.MonkeyPatch, probe: GpuProbe, installed: dict[str, str]) -> None:
    monkeypatch.setattr(machine, "probe_gpus", lambda: probe)
    monkeypatch.setattr(package, "version_of", installed.get)


def put_module(monkeypatch: pytest.MonkeyPatch, folder: Path, code: str, name: str) -> None:
    (folder / name).mkdir()
    (folder / name / "__init__.py").write_text(code)
    monkeypatch.syspath_prepend(folder)


def test_no_driver_is_one_line_and_tensorrt_is_not_touched(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    use(monkeypatch, GpuProbe((), "no NVIDIA driver on this machine"), {})
    with pytest.raises(EngineError, match="cannot be used here: no NVIDIA driver on this machine"):
        this_machine("a.module.that.is.not.there")


def test_a_driver_older_than_the_runtime_needs_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    use(monkeypatch, ORIN, {"tensorrt-cu13": "10.16.1"})
    with pytest.raises(
        EngineError,
        match=r"driver supports CUDA 12\.6, the installed TensorRT needs CUDA 13: .*tensorrt-cu12",
    ):
        require_gpu()
    use(monkeypatch, H100, {"tensorrt-cu13": "10.16.1"})
    assert require_gpu().name == "H100"


def test_no_tensorrt_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    use(monkeypatch, H100, {})
    monkeypatch.setattr(package, "_folder", lambda _: None)
    with pytest.raises(EngineError, match=r"TensorRT is not installed; run: pip install 'aliaug"):
        this_machine()


def test_the_lean_runtime_alone_builds_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    lean = {"tensorrt_lean": Path("x")}
    monkeypatch.setattr(package, "_folder", lean.get)
    fault = package.tensorrt_fault()
    assert fault is not None and "lean runtime" in fault.reason


def test_an_old_tensorrt_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(package, "_folder", lambda _: Path("x"))
    monkeypatch.setattr(package, "version_of", {"tensorrt": "8.4.1.5"}.get)
    fault = package.tensorrt_fault()
    assert fault is not None and "8.4.1.5 is too old: 8.5" in fault.reason


@pytest.mark.parametrize(
    ("code", "said"),
    [
        (
            "raise ImportError('libnvinfer.so.10: cannot open shared object file')",
            r"a stub package here: .* library libnvinfer\.so\.10 is not",
        ),
        ("__version__ = '10.3.0'", "a stub without a Builder"),
        ("__version__ = '8.4.3'\nclass Builder: ...", r"TensorRT 8\.4\.3 is too old"),
        (
            "raise ImportError('no module named x')",
            "TensorRT cannot be imported .*no module named x",
        ),
    ],
)
def test_a_tensorrt_that_cannot_build_is_one_line(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, code: str, said: str
) -> None:
    """A real package of that kind, met in the real child process."""
    put_module(monkeypatch, tmp_path, code, "tensorrt")
    use(monkeypatch, H100, {})
    with pytest.raises(EngineError, match=said) as caught:
        this_machine()
    assert "\n" not in str(caught.value)


def test_the_machine_is_what_driver_and_toolchain_say(monkeypatch: pytest.MonkeyPatch) -> None:
    use(monkeypatch, ORIN, {})
    found = this_machine(ort_toolchain.NAME)
    assert (found.here.sm, found.here.device) == ("8.7", "Orin")
    assert found.here.tensorrt == ort_toolchain.VERSION
    assert found.here.platform.endswith("-linux")
    assert found.unified and found.default_workspace_mib == 1894


def test_only_unified_memory_is_capped() -> None:
    here = Here("9.0", "H100", "11.4.0", "x86_64-linux")
    assert Machine(here, 80.0, unified=False).default_workspace_mib is None
    thor = Machine(here, 122.0, unified=True)
    assert thor.default_workspace_mib == 8192
    line = machine_line(thor, BuildOptions())
    assert "workspace limit 8192 MiB, a cap because GPU and CPU share memory" in line
    assert machine_line(thor, BuildOptions(workspace_mib=512)).endswith("workspace limit 512 MiB")


def test_a_dry_run_says_time_memory_and_where_they_come_from(bundle, machine) -> None:
    text = plan_text(plan_builds(bundle, BuildOptions(sizes=((64, 64),)), machine))
    assert "encoder-64x64-b1: " in text and "MiB beside the workspace" in text
    assert "a guess: " in text and "desktop cards" in text
    assert text.endswith("3 to build, 0 to 0 s\n") or "3 to build" in text
    assert not (bundle.root / "engines").exists()


def test_progress_off_a_terminal_is_a_line_per_phase() -> None:
    stream = io.StringIO()
    ticker = Ticker(stream)
    for step in range(3):
        ticker.progress("unet", "timing", step, 3, 0.1 * step)
    ticker.progress("unet", "timing", 3, 3, 9.0)
    ticker.progress("unet", "parity", 0, 1, 9.1)
    ticker.note("unet: a note")
    assert stream.getvalue().splitlines() == [
        "unet: timing 0/3, 0 s",
        "unet: timing 3/3, 9 s",
        "unet: parity 0/1, 9 s",
        "unet: a note",
    ]
    quiet = io.StringIO()
    Ticker(quiet, silent=True).progress("unet", "timing", 0, 3, 0.0)
    assert quiet.getvalue() == ""


def test_out_of_memory_in_tensorrts_log_is_told_from_other_failures() -> None:
    from aliaug_edge.engines.building.toolchain import OutOfMemoryError, Watch

    watch = Watch(lambda *_: None)
    log = ["Cuda Runtime (out of memory)", "no implementation for node X"]
    assert isinstance(tensorrt._failed(log, watch), OutOfMemoryError)
    assert "no implementation" in str(tensorrt._failed(log[1:], watch))
    watch.stop()
    assert str(tensorrt._failed(log, watch)) == "stopped"
