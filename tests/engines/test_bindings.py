"""Every TensorRT name, signature and enum in our code, held against the real bindings.

tests/engines/bindings/VERSION.json is what `scripts/tensorrt_bindings.py --renew` read from the
wheel of each version. The names are taken from our code by its syntax tree: an attribute of a
variable whose type is known from its name (`config` is an IBuilderConfig, and nothing else in those
files is called that). `make test-bindings` fetches the wheels and reads them anew.
"""

from __future__ import annotations

import ast
import functools
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
SNAPSHOTS = Path(__file__).parent / "bindings"
MODERN = ("10.3.0", "10.13.3.9", "10.16.1.11", "11.4.0.106")
LEGACY = ("8.6.1",)
LEAN = ("lean-10.16.1.11", "lean-11.4.0.106")

BUILD, OLD = "engines/building/tensorrt.py", "engines/building/legacy.py"
PLUGINS = "engines/plugins.py"
RUN = ("engines/stage.py", "engines/tensorrt.py", "profiling/trt_layers.py", PLUGINS)
VERSIONS = {BUILD: LEGACY + MODERN, OLD: LEGACY, **dict.fromkeys(RUN, LEGACY + MODERN + LEAN)}

TYPES = {
    "trt": "",
    "builder": "Builder",
    "config": "IBuilderConfig",
    "context": "IExecutionContext",
    "cache": "ITimingCache",
    "engine": "ICudaEngine",
    "inspector": "EngineInspector",
    "layer": "ILayer",
    "network": "INetworkDefinition",
    "parser": "OnnxParser",
    "profile": "IOptimizationProfile",
    "runtime": "Runtime",
    "strategies": "ExecutionContextAllocationStrategy",
    "tensor": "ITensor",
}
RESULTS = {
    ("OnnxParser", "get_error"): "ParserError",
    ("ILayer", "get_output"): "ITensor",
    ("INetworkDefinition", "get_input"): "ITensor",
}
# `engine.trt` and `context.context` are of our own classes around TensorRT's.
OURS = {("ICudaEngine", "trt"), ("IExecutionContext", "context")}
# Names that only a version from (or before) another is asked for, by the code that names them.
SINCE_10 = {
    ("IBuilderConfig", "progress_monitor"),
    ("ICudaEngine", "device_memory_size_v2"),
    ("ICudaEngine", "create_execution_context"),
    ("", "IProgressMonitor"),
    ("IProgressMonitor", "phase_start"),
    ("IProgressMonitor", "step_complete"),
    ("IProgressMonitor", "phase_finish"),
    ("IProgressMonitor", "__init__"),
    ("ExecutionContextAllocationStrategy", "USER_MANAGED"),
    ("NetworkDefinitionCreationFlag", "STRONGLY_TYPED"),
    ("IExecutionContext", "set_device_memory"),
    ("", "ExecutionContextAllocationStrategy"),
    ("DataType", "INT64"),
}
UNTIL_10 = {
    ("ICudaEngine", "device_memory_size"),
    ("ICudaEngine", "create_execution_context_without_device_memory"),
}
# Not in the lean runtime, which `hasattr` is asked before.
NOT_LEAN = {
    ("", "EngineInspector"),
    ("EngineInspector", "execution_context"),
    ("EngineInspector", "get_engine_information"),
    ("", "init_libnvinfer_plugins"),
}
# Tables of ours whose keys are an enum's names.
TABLES = {"_DTYPES": "DataType"}


@dataclass(frozen=True)
class Touch:
    """A name of a class ("" is the module) in a line of ours, and how it is called: the number of
    positional arguments and the keywords; None where it is not called."""

    owner: str
    name: str
    line: int
    call: tuple[int, tuple[str, ...]] | None = None


def touches(source: str) -> list[Touch]:
    """Every TensorRT name in the code."""
    tree = ast.parse(source)
    calls = {id(node.func): node for node in ast.walk(tree) if isinstance(node, ast.Call)}
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and (owner := owner_of(node.value)) is not None:
            call = shape_of(calls[id(node)]) if id(node) in calls else None
            found.append(Touch(owner, node.attr, node.lineno, call))
        if isinstance(node, ast.ClassDef):
            found += overridden(node)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            found += asked_by_name(node) + made_by_type(node, tree)
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Dict):
            found += listed(node, node.value)
    return [touch for touch in found if (touch.owner, touch.name) not in OURS]


def asked_by_name(call: ast.Call) -> list[Touch]:
    """getattr(trt, "Name"), hasattr(config, "name")."""
    assert isinstance(call.func, ast.Name)
    if call.func.id not in ("getattr", "hasattr") or (owner := owner_of(call.args[0])) is None:
        return []
    name = call.args[1]
    assert isinstance(name, ast.Constant), f"line {call.lineno}: a name that cannot be read here"
    return [Touch(owner, str(name.value), call.lineno)]


def made_by_type(call: ast.Call, tree: ast.AST) -> list[Touch]:
    """type("Logger", (trt.ILogger,), {"log": log}): methods that TensorRT calls."""
    assert isinstance(call.func, ast.Name)
    if call.func.id != "type" or len(call.args) != 3:
        return []
    _, bases, members = call.args
    assert isinstance(bases, ast.Tuple) and isinstance(members, ast.Dict)
    functions = {n.name: n for n in ast.walk(tree) if isinstance(n, ast.FunctionDef)}
    found = []
    for base in bases.elts:
        if not (isinstance(base, ast.Attribute) and owner_of(base.value) == ""):
            continue
        for key, value in zip(members.keys, members.values, strict=True):
            assert isinstance(key, ast.Constant) and isinstance(value, ast.Name)
            given = len(functions[value.id].args.args) - 1
            found.append(Touch(base.attr, str(key.value), key.lineno, (given, ())))
    return found


def listed(assigned: ast.Assign, table: ast.Dict) -> list[Touch]:
    """The keys of a table of an enum's names."""
    owners = [TABLES[t.id] for t in assigned.targets if isinstance(t, ast.Name) and t.id in TABLES]
    keys = [key for key in table.keys if isinstance(key, ast.Constant)]
    return [Touch(owner, str(key.value), key.lineno) for owner in owners for key in keys]


def owner_of(node: ast.expr) -> str | None:
    """The class of an expression, "" for the module, None where it is nothing of TensorRT."""
    if isinstance(node, ast.Name):
        return TYPES.get(node.id)
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "getattr":
        (touch,) = asked_by_name(node) or (None,)  # getattr(trt, "OnnxParserFlag", None)
        return touch.name if touch is not None and touch.owner == "" else None
    if isinstance(node, ast.Attribute):
        if owner_of(node.value) == "":
            return node.attr  # trt.BuilderFlag
        return TYPES.get(node.attr)  # self.context
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
        owner = owner_of(node.func.value)
        return RESULTS.get((owner, node.func.attr)) if owner is not None else None
    return None


def shape_of(call: ast.Call) -> tuple[int, tuple[str, ...]]:
    unbound = isinstance(call.func, ast.Attribute) and call.func.attr == "__init__"
    positional = len(call.args) - unbound  # trt.ILogger.__init__(self)
    return positional, tuple(keyword.arg for keyword in call.keywords if keyword.arg)


def overridden(node: ast.ClassDef) -> Iterator[Touch]:
    """Methods that TensorRT calls on a class of ours, with as many arguments as it gives."""
    for base in node.bases:
        if isinstance(base, ast.Attribute) and owner_of(base.value) == "":
            for method in node.body:
                if isinstance(method, ast.FunctionDef) and method.name != "__init__":
                    given = len(method.args.args) - 1
                    yield Touch(base.attr, method.name, method.lineno, (given, ()))


@functools.cache
def snapshot(version: str) -> dict[str, Any]:
    document: dict[str, Any] = json.loads((SNAPSHOTS / f"{version}.json").read_text("utf-8"))
    return document


def wrong(touch: Touch, document: dict[str, Any]) -> str:
    """What the bindings do not have of a touch, "" where they have it."""
    where = f"line {touch.line}: {touch.owner or 'tensorrt'}.{touch.name}"
    if touch.owner == "":
        if touch.name == "__version__":
            return ""
        if touch.name not in document["names"]:
            return f"{where} is not there"
        known = document["functions"].get(touch.name) or document["classes"].get(
            touch.name, {}
        ).get("__init__")
        return called_wrong(where, touch, known) if touch.call else ""
    members = document["classes"].get(touch.owner)
    if members is None:
        return f"{where}: no such class in the snapshot"
    if touch.name not in members:
        return f"{where} is not there"
    return called_wrong(where, touch, members[touch.name]) if touch.call else ""


def called_wrong(where: str, touch: Touch, overloads: Any) -> str:
    if not isinstance(overloads, list):
        return f"{where} is a {overloads}, not a function"
    assert touch.call is not None
    if any(takes(parameters, *touch.call) for parameters in overloads):
        return ""
    return f"{where} is called with {touch.call}, it takes {overloads}"


def takes(parameters: list[str], positional: int, keywords: tuple[str, ...]) -> bool:
    names = [name.rstrip("?") for name in parameters]
    given = set(names[:positional]) | set(keywords)
    needed = {name for name in parameters if not name.endswith("?")}
    return positional <= len(names) and set(keywords) <= set(names[positional:]) and needed <= given


def asked_of(version: str, touch: Touch) -> bool:
    name = (touch.owner, touch.name)
    modern = version not in LEGACY
    if version in LEAN and name in NOT_LEAN:
        return False
    return not (name in SINCE_10 and not modern) and not (name in UNTIL_10 and modern)


def cases() -> list[tuple[str, str]]:
    return [
        (file, version)
        for file, versions in VERSIONS.items()
        if (ROOT / "aliaug_edge" / file).is_file()
        for version in versions
    ]


@pytest.mark.parametrize(("file", "version"), cases())
def test_every_name_and_signature_is_in_the_bindings(file: str, version: str) -> None:
    source = (ROOT / "aliaug_edge" / file).read_text("utf-8")
    asked = [touch for touch in touches(source) if asked_of(version, touch)]
    assert [said for touch in asked if (said := wrong(touch, snapshot(version)))] == []


def all_touched() -> set[tuple[str, str]]:
    return {
        (touch.owner, touch.name)
        for file in VERSIONS
        for touch in touches((ROOT / "aliaug_edge" / file).read_text("utf-8"))
    }


def test_every_exception_is_of_a_name_that_the_code_touches() -> None:
    assert (SINCE_10 | UNTIL_10 | NOT_LEAN) - all_touched() == set()


def test_names_that_are_asked_for_as_text_are_seen_too() -> None:
    assert {
        ("ICudaEngine", "device_memory_size_v2"),
        ("", "ExecutionContextAllocationStrategy"),
        ("OnnxParserFlag", "NATIVE_INSTANCENORM"),
        ("IExecutionContext", "set_device_memory"),
        ("DataType", "BOOL"),
        ("ILogger", "log"),
        ("IProfiler", "report_layer_time"),
        ("", "init_libnvinfer_plugins"),
    } <= all_touched()


def test_the_code_is_read_for_what_it_touches() -> None:
    found = {
        (touch.owner, touch.name)
        for touch in touches((ROOT / "aliaug_edge" / BUILD).read_text("utf-8"))
    }
    assert {
        ("", "Builder"),
        ("BuilderFlag", "VERSION_COMPATIBLE"),
        ("IBuilderConfig", "set_timing_cache"),
        ("IProgressMonitor", "step_complete"),
        ("INetworkDefinition", "get_input"),
        ("ITensor", "shape"),
        ("ParserError", "desc"),
    } <= found
    assert len(found) > 25


@pytest.mark.parametrize(
    ("code", "version", "said"),
    [
        ("config.set_flag(trt.BuilderFlag.FP16)", "11.4.0.106", "BuilderFlag.FP16 is not there"),
        ("layer.precision = 1", "11.4.0.106", "ILayer.precision is not there"),
        ("config.set_timing_cache(c)", "10.3.0", "is called with (1, ())"),
        ("config.set_timing_cache(c, ignore=1)", "10.3.0", "is called with (1, ('ignore',))"),
        ("config.progress_monitor = m", "8.6.1", "IBuilderConfig.progress_monitor is not there"),
        ("trt.IAttention", "10.3.0", "tensorrt.IAttention is not there"),
        ("network.num_layers()", "10.3.0", "is a property, not a function"),
        ("trt.OnnxParser(network)", "10.3.0", "is called with (1, ())"),
        ('getattr(engine, "memory", 0)', "10.3.0", "ICudaEngine.memory is not there"),
        ('hasattr(trt.OnnxParserFlag, "X")', "10.3.0", "OnnxParserFlag.X is not there"),
        ('hasattr(getattr(trt, "DataType"), "X")', "10.3.0", "DataType.X is not there"),
        ('_DTYPES = {"INT64": "int64"}', "8.6.1", "DataType.INT64 is not there"),
        ("trt.init_libnvinfer_plugins(logger)", "8.6.1", "is called with (1, ())"),
        (
            'def log(s, message): ...\ntype("L", (trt.ILogger,), {"log": log})',
            "10.3.0",
            "is called with (1, ())",
        ),
        (
            "class M(trt.IProgressMonitor):\n def phase_start(self, name): ...",
            "10.3.0",
            "is called with (1, ())",
        ),
    ],
)
def test_a_wrong_name_or_call_is_found(code: str, version: str, said: str) -> None:
    found = [text for touch in touches(code) if (text := wrong(touch, snapshot(version)))]
    assert len(found) == 1 and said in found[0]


def test_no_other_file_speaks_to_tensorrt() -> None:
    speaks = re.compile(r"\btrt\.[A-Za-z]|deserialize_cuda_engine")
    found = {
        path.relative_to(ROOT / "aliaug_edge").as_posix()
        for path in (ROOT / "aliaug_edge").rglob("*.py")
        if speaks.search(path.read_text("utf-8"))
    }
    assert found <= set(VERSIONS)


def test_every_exception_is_one_that_some_version_needs() -> None:
    """A name in SINCE_10 is missing in 8.6, one in UNTIL_10 in 11.4: else it is no exception."""

    def has(version: str, owner: str, name: str) -> bool:
        return wrong(Touch(owner, name, 0), snapshot(version)) == ""

    changed = {("ICudaEngine", "create_execution_context")}  # there, but without a strategy
    assert [pair for pair in NOT_LEAN if has("lean-11.4.0.106", *pair)] == []
    assert {pair for pair in SINCE_10 if has("8.6.1", *pair)} == changed
    assert [pair for pair in UNTIL_10 if has("11.4.0.106", *pair)] == []


@pytest.mark.slow
def test_the_snapshots_are_what_the_wheels_say() -> None:
    """Reads the real bindings, where `make test-bindings` has fetched them."""
    folder = os.environ.get("TENSORRT_BINDINGS")
    if not folder:
        pytest.skip("TENSORRT_BINDINGS names no folder: run make test-bindings")
    script = ROOT / "scripts/tensorrt_bindings.py"
    ran = subprocess.run(
        [sys.executable, script, folder], capture_output=True, text=True, check=True
    )
    read = {path.stem for path in Path(folder).glob("*.json")}
    if not read:
        pytest.skip(ran.stdout)
    for version in sorted(read):
        text = (Path(folder) / f"{version}.json").read_text("utf-8")
        assert json.loads(text) == snapshot(version), version
    left_out = [line for line in ran.stdout.splitlines() if "left out" in line]
    if left_out:
        pytest.skip("; ".join(left_out))
