"""The findings of `ali-aug doctor` for people."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from aliaug_edge.extras import CLONE_HINT


def doctor_text(report: dict[str, Any]) -> str:
    """The report as text, problems first and last, where they are seen."""
    return "\n".join([*_problem_lines(report), *_body(report), *_problem_lines(report)])


def _body(report: dict[str, Any]) -> Iterator[str]:
    hardware = report["hardware"]
    yield f"aliaug-edge {report['aliaug_edge']}"
    yield f"Python {report['python']} ({report['executable']})"
    yield report["platform"]
    yield (
        f"{hardware['cpu']}: {hardware['physical_cores']} cores, "
        f"{hardware['logical_cpus']} logical CPUs, {hardware['memory_gib']} GiB"
    )
    if hardware["jetson"]:
        yield f"Jetson, L4T {hardware['jetson']}"
    yield from _gpu_lines(hardware["gpu"])
    yield ""
    yield "packages"
    for name, version in report["packages"].items():
        yield f"  {name:16} {version or 'missing'}"
    yield ""
    yield "engines"
    for engine in report["engines"]:
        state = "can run" if engine["available"] else "cannot run"
        yield f"  {engine['name']:16} {state}: {engine['reason']}"
        if engine["install"]:
            yield f"  {'':16} install: {engine['install']}"
    yield ""
    yield "commands"
    yield from _command_lines(report)


def _gpu_lines(gpu: dict[str, Any]) -> Iterator[str]:
    if gpu["problem"]:
        yield f"GPU: none, {gpu['problem']}"
    for device in gpu["gpus"]:
        yield (
            f"GPU: {device['name']}, compute capability {device['compute_capability']}, "
            f"{device['memory_gib']} GiB, driver for CUDA {gpu['cuda_version']}"
        )


def _command_lines(report: dict[str, Any]) -> Iterator[str]:
    yield f"  {'generate':16} {'ready' if report['can_generate'] else 'cannot run: no engine'}"
    for name, state in report["commands"].items():
        if state["missing"]:
            yield f"  {name:16} lacks {', '.join(state['missing'])}"
            yield f"  {'':16} {state['obstacle'] or 'install: ' + state['install']}"
        else:
            yield f"  {name:16} ready"
    shipped = "shipped" if report["tiny_bundle"] else "not in this installation"
    yield f"  {'bundle `tiny`':16} {shipped}"
    yield ""
    yield f"install lines: {CLONE_HINT}"


def _problem_lines(report: dict[str, Any]) -> Iterator[str]:
    for problem in report["problems"]:
        yield f"PROBLEM: {problem['reason']}"
        yield f"  run: {problem['fix']}"
