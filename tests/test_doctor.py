"""`ali-aug doctor`: broken installations are made for real, as folders on sys.path."""

from __future__ import annotations

import importlib
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
from support.commands import run_command

from aliaug_edge import extras as extras_module
from aliaug_edge.cli.doctor import doctor
from aliaug_edge.cli.require import require
from aliaug_edge.doctor import doctor_report, doctor_text
from aliaug_edge.doctor.hardware import cpu_name, memory_bytes
from aliaug_edge.engines.installed import (
    nvidia_libraries,
    onnxruntime_fault,
    onnxruntime_has_cuda,
)
from aliaug_edge.errors import MissingDependencyError
from aliaug_edge.extras import EXPORT, EXPORT_EXTRAS, TRAIN, TRAIN_EXTRAS

BOTH = "pip uninstall -y onnxruntime onnxruntime-gpu && pip install 'aliaug-edge[cpu]'"


def add_distribution(site: Path, name: str, version: str) -> None:
    folder = site / f"{name.replace('-', '_')}-{version}.dist-info"
    folder.mkdir(parents=True)
    (folder / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")


def add_onnxruntime_folder(site: Path, *, init: str | None, cuda: bool = False) -> None:
    (site / "onnxruntime/capi").mkdir(parents=True)
    if init is not None:
        (site / "onnxruntime/__init__.py").write_text(init)
    if cuda:
        (site / "onnxruntime/capi/libonnxruntime_providers_cuda.so").write_bytes(b"")


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The only folder on sys.path: what is not put there is not installed."""
    monkeypatch.setattr(sys, "path", [str(tmp_path)])
    monkeypatch.delitem(sys.modules, "onnxruntime", raising=False)
    return tmp_path


def test_a_sound_installation_can_generate_and_exits_0() -> None:
    result = run_command(doctor)
    assert result.exit_code == 0
    assert "onnxruntime-cpu  can run" in result.stdout
    assert "PROBLEM" not in result.stdout


def test_json_is_one_document_with_every_finding() -> None:
    report = json.loads(run_command(doctor, "--json").stdout)
    assert report == doctor_report()
    assert report["can_generate"] is True
    assert report["packages"]["numpy"]
    assert {engine["name"] for engine in report["engines"]} >= {"onnxruntime-cpu", "tensorrt"}
    assert report["hardware"]["physical_cores"] >= 1


def test_both_wheels_are_a_loud_problem_with_its_fix(tmp_path: Path) -> None:
    add_distribution(tmp_path, "onnxruntime", "1.32.0")
    add_distribution(tmp_path, "onnxruntime-gpu", "1.31.1")
    script = (
        "import sys; sys.path.insert(0, sys.argv.pop(1)); from typer import run; "
        "from aliaug_edge.cli.doctor import doctor; run(doctor)"
    )
    result = subprocess.run(
        [sys.executable, "-c", script, tmp_path], capture_output=True, text=True, check=False
    )
    assert result.returncode == 1
    assert result.stderr == ""
    first, fix, *_, second, _ = result.stdout.splitlines()
    assert first == second  # first and last on the screen
    assert first == (
        "PROBLEM: onnxruntime 1.32.0 and onnxruntime-gpu 1.31.1 are both installed and overwrite "
        "each other's files"
    )
    assert fix == f"  run: {BOTH}"
    assert "cannot run: no engine" in result.stdout


def test_a_missing_engine_is_a_problem_with_its_install_line(site: Path) -> None:
    add_distribution(site, "numpy", "2.0")
    report = doctor_report()
    assert report["packages"]["numpy"] == "2.0"
    assert report["packages"]["torch"] is None
    assert report["can_generate"] is False
    assert report["problems"] == [
        {"reason": "onnxruntime is not installed", "fix": "pip install 'aliaug-edge[cpu]'"}
    ]
    assert report["commands"]["export"]["install"] == (
        "pip install 'aliaug-edge[train,export,cpu]'"
    )
    assert "run: pip install 'aliaug-edge[cpu]'" in doctor_text(report)


def test_wheels_in_site_folders_of_their_own_leave_each_other_whole(
    site: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As on a machine that came with one of them, where the other was put before it on the path."""
    ours, theirs = site / "ours", site / "theirs"
    monkeypatch.setattr(sys, "path", [str(ours), str(theirs)])
    for folder, name, cuda in ((ours, "onnxruntime-gpu", True), (theirs, "onnxruntime", False)):
        add_distribution(folder, name, "1.31.1")
        add_onnxruntime_folder(folder, init='__version__ = "1.31.1"\n', cuda=cuda)
    assert onnxruntime_fault() is None
    assert onnxruntime_has_cuda()
    add_distribution(ours, "onnxruntime", "1.32.0")
    fault = onnxruntime_fault()
    assert fault is not None and "overwrite each other's files" in fault.reason


def test_nvidias_libraries_are_found_in_other_site_folders_than_onnxruntimes(
    site: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert nvidia_libraries() == []
    ours, theirs, last = site / "ours", site / "theirs", site / "last"
    monkeypatch.setattr(sys, "path", [str(folder) for folder in (ours, theirs, last)])
    importlib.invalidate_caches()
    add_onnxruntime_folder(ours, init='__version__ = "1.31.1"\n', cuda=True)
    for home, part in ((ours, "cudnn"), (theirs, "cudnn"), (theirs, "cu13"), (last, "cu13")):
        (home / "nvidia" / part / "lib").mkdir(parents=True)
    assert nvidia_libraries() == [theirs / "nvidia/cu13/lib"]


@pytest.mark.parametrize("init", [None, "", "raise ImportError"])
def test_the_empty_folder_that_an_uninstall_leaves_is_found(site: Path, init: str | None) -> None:
    add_onnxruntime_folder(site, init=init)
    fault = onnxruntime_fault()
    assert fault is not None
    assert "is broken (no __version__ in" in fault.reason
    assert fault.fix == BOTH


def test_metadata_without_a_folder_is_found(site: Path) -> None:
    add_distribution(site, "onnxruntime-gpu", "1.31.1")
    fault = onnxruntime_fault()
    assert fault is not None
    assert "its package folder is gone" in fault.reason


def test_one_wheel_is_sound_and_its_cuda_library_is_seen(site: Path) -> None:
    add_distribution(site, "onnxruntime-gpu", "1.31.1")
    add_onnxruntime_folder(site, init='__version__ = "1.31.1"\n', cuda=True)
    assert onnxruntime_fault() is None
    assert onnxruntime_has_cuda()
    assert doctor_report()["can_generate"] is True


def test_doctor_imports_none_of_the_packages_it_reports() -> None:
    script = (
        "import sys; from aliaug_edge.doctor import doctor_report; doctor_report(); "
        "print(sorted({'onnxruntime', 'torch', 'onnx', 'diffusers', 'peft', 'transformers', "
        "'tensorrt', 'polygraphy'} & set(sys.modules)))"
    )
    result = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert result.stdout == "[]\n", result.stderr


def test_the_processor_is_named_on_arm_by_its_board(tmp_path: Path) -> None:
    cpuinfo, board = tmp_path / "cpuinfo", tmp_path / "model"
    cpuinfo.write_text("processor\t: 0\nmodel name\t: AMD EPYC 9654\nmodel name\t: other\n")
    assert cpu_name(cpuinfo, board) == "AMD EPYC 9654"
    cpuinfo.write_text("processor\t: 0\nCPU part\t: 0xd42\n")
    board.write_bytes(b"NVIDIA Jetson AGX Orin Developer Kit\0")
    assert cpu_name(cpuinfo, board) == "NVIDIA Jetson AGX Orin Developer Kit"
    assert cpu_name(tmp_path / "none", tmp_path / "none")


def test_memory_is_known() -> None:
    assert memory_bytes() > 2**28


@pytest.mark.usefixtures("site")
def test_doctor_and_the_commands_ask_for_the_same_packages(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    report = doctor_report()
    for command, packages, extras in (
        ("train", TRAIN, TRAIN_EXTRAS),
        ("export", EXPORT, EXPORT_EXTRAS),
    ):
        assert report["commands"][command]["missing"] == list(packages)
        for name in packages:
            monkeypatch.setitem(sys.modules, name, None)
        with pytest.raises(MissingDependencyError) as error:
            require(packages, extras)
        assert ", ".join(packages) in str(error.value)
        assert report["commands"][command]["install"] in str(error.value)
        assert "pip install '.[cpu]'" in str(error.value)
        assert "\n" not in str(error.value)
    assert "pip install '.[cpu]'" in doctor_text(report)


def test_every_package_that_doctor_asks_for_is_in_the_extras_that_it_names() -> None:
    tomllib = pytest.importorskip("tomllib")  # Python 3.11
    pyproject = Path(__file__).parents[1] / "pyproject.toml"
    extras = tomllib.loads(pyproject.read_text())["project"]["optional-dependencies"]
    for packages, names in ((TRAIN, TRAIN_EXTRAS), (EXPORT, EXPORT_EXTRAS)):
        listed = {re.split(r"[<>=;]", r)[0] for name in names.split(",") for r in extras[name]}
        assert set(packages) <= listed


def test_the_gpu_wheel_serves_export_as_well(site: Path) -> None:
    add_distribution(site, "onnxruntime-gpu", "1.31.1")
    export = doctor_report()["commands"]["export"]
    assert "onnxruntime" not in export["missing"]
    assert export["install"] == "pip install 'aliaug-edge[train,export]'"


@pytest.mark.usefixtures("site")
def test_a_python_without_the_torch_half_is_told_so(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(extras_module, "TORCH_PYTHON", (9, 9))
    report = doctor_report()
    assert report["commands"]["train"]["install"] == ""
    assert "extras train and export need Python 9.9 or newer, this is 3." in doctor_text(report)
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(MissingDependencyError, match=r"needs torch.* need Python 9\.9 or newer"):
        require(("torch",), "train")
