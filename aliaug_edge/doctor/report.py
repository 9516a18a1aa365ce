"""The findings of `ali-aug doctor` as plain data."""

from __future__ import annotations

import dataclasses
import platform
import sys
from typing import Any

from aliaug_edge import __version__
from aliaug_edge.assets import tiny_bundle_dir
from aliaug_edge.doctor.hardware import read_hardware
from aliaug_edge.engines.installed import onnxruntime_fault, version_of
from aliaug_edge.engines.select import EngineChoice, engine_choices
from aliaug_edge.extras import (
    EXPORT,
    EXPORT_EXTRAS,
    TRAIN,
    TRAIN_EXTRAS,
    install_line,
    python_fault,
)

PACKAGES = (
    "numpy",
    "pillow",
    "typer",
    "onnxruntime",
    "onnxruntime-gpu",
    "tensorrt",
    *TRAIN,
    "onnx",
    "onnxscript",
    "polygraphy",
)


def doctor_report() -> dict[str, Any]:
    """What is installed and what can run, as JSON data. Imports none of the packages it reports.

    Keys: `aliaug_edge`, `python`, `executable`, `platform`, `packages` (name → version or null),
    `hardware`, `engines` (see `EngineChoice`), `commands` (what each group of commands lacks),
    `tiny_bundle` (whether the shipped bundle is there), `problems` (each `reason` and `fix`),
    `can_generate`. A problem is what stops `generate`; the lack of an optional part is none.
    """
    packages = {name: version_of(name) for name in PACKAGES}
    engines = engine_choices()
    problems = _problems(engines)
    return {
        "aliaug_edge": __version__,
        "python": platform.python_version(),
        "executable": sys.executable,
        "platform": platform.platform(),
        "packages": packages,
        "hardware": _hardware(),
        "engines": [dataclasses.asdict(engine) for engine in engines],
        "commands": {
            "train": _lacking(packages, TRAIN, TRAIN_EXTRAS),
            "export": _lacking(packages, EXPORT, EXPORT_EXTRAS),
        },
        "tiny_bundle": tiny_bundle_dir().is_dir(),
        "problems": problems,
        "can_generate": not problems,
    }


def _hardware() -> dict[str, Any]:
    hardware = dataclasses.asdict(read_hardware())
    hardware["gpu"]["gpus"] = list(hardware["gpu"]["gpus"])  # as JSON gives it back
    return hardware


def _problems(engines: list[EngineChoice]) -> list[dict[str, str]]:
    fault = onnxruntime_fault()
    if fault is None or any(engine.available for engine in engines):
        return []
    return [{"reason": fault.reason, "fix": fault.fix}]


def _lacking(
    packages: dict[str, str | None], needed: tuple[str, ...], extras: str
) -> dict[str, Any]:
    """`install` is what to run; where this Python cannot have the extras, `obstacle` says so."""
    either = {**packages, "onnxruntime": packages["onnxruntime"] or packages["onnxruntime-gpu"]}
    missing = [name for name in needed if either[name] is None]
    obstacle = python_fault() if missing else ""
    install = "" if obstacle else install_line(extras, missing)
    return {"missing": missing, "install": install, "obstacle": obstacle}
