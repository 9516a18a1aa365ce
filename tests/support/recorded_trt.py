"""A `tensorrt` module made from a recorded snapshot of its bindings: a name or a call that the real
module of that version does not have fails here as well. What it answers is only as much as a build
needs; nothing is built."""

from __future__ import annotations

import enum
import json
import types
from collections.abc import Callable
from pathlib import Path
from typing import Any

SNAPSHOTS = Path(__file__).parents[1] / "engines/bindings"
ENUMS = (
    "BuilderFlag",
    "DataType",
    "ExecutionContextAllocationStrategy",
    "MemoryPoolType",
    "NetworkDefinitionCreationFlag",
    "OnnxParserFlag",
    "ProfilingVerbosity",
)
BASES = ("ILogger", "IProgressMonitor")


class Thing:
    """An object of a recorded class: its members, its calls' arguments, and no others. `said`
    collects (name, arguments) of every call and ("name =", value) of every assignment."""

    def __init__(self, members: dict[str, Any], answers: dict[str, Any], said: list[Any]) -> None:
        self.__dict__.update(_members=members, _answers=answers, _said=said)

    def __getattr__(self, name: str) -> Any:
        if name not in self._members:
            raise AttributeError(name)
        kind, answer = self._members[name], self._answers.get(name)
        if not isinstance(kind, list):
            return answer

        def call(*arguments: Any, **named: Any) -> Any:
            check(name, kind, arguments, named)
            self._said.append((name, (*arguments, *named.values())))
            return answer(*arguments, **named) if callable(answer) else answer

        return call

    def __setattr__(self, name: str, value: Any) -> None:
        if self._members.get(name) != "property":
            raise AttributeError(name)
        self._said.append((f"{name} =", value))
        self._answers[name] = value


def check(name: str, overloads: list[list[str]], arguments: Any, named: Any) -> None:
    for parameters in overloads:
        names = [parameter.rstrip("?") for parameter in parameters]
        needed = {parameter for parameter in parameters if not parameter.endswith("?")}
        given = set(names[: len(arguments)]) | set(named)
        if len(arguments) <= len(names) and set(named) <= set(names) and needed <= given:
            return
    raise TypeError(f"{name}: incompatible function arguments {arguments} {named}: {overloads}")


def recorded(
    version: str, said: list[Any], inputs: list[str], build: Callable[[Any], bytes | None]
) -> types.ModuleType:
    """`tensorrt` of `version`. A network has `inputs`; `build` makes a plan of the config."""
    document = json.loads((SNAPSHOTS / f"{version}.json").read_text("utf-8"))
    classes = document["classes"]

    def thing(kind: str, /, **answers: Any) -> Thing:
        return Thing(classes[kind], answers, said)

    def function(name: str) -> Callable[..., bool]:
        def call(*arguments: Any) -> bool:
            check(name, document["functions"][name], arguments, {})
            said.append((name, arguments))
            return True

        return call

    tensors = [thing("ITensor", name=name, dtype=1) for name in inputs]
    trt = types.ModuleType("tensorrt")
    trt.__version__ = version  # type: ignore[attr-defined]
    for name in document["functions"]:
        setattr(trt, name, function(name))
    for name in filter(classes.__contains__, ENUMS):
        values = [member for member, kind in classes[name].items() if kind == "value"]
        setattr(trt, name, enum.IntEnum(name, values, start=0))
    for name in BASES:
        if name in classes:
            setattr(trt, name, type(name, (), {"ERROR": 1, "INTERNAL_ERROR": 0}))
    layer = thing("ILayer", num_outputs=1, get_output=thing("ITensor", dtype=trt.DataType.FLOAT))  # type: ignore[attr-defined]
    network = thing(
        "INetworkDefinition",
        num_inputs=len(tensors),
        get_input=lambda index: tensors[index],
        num_layers=1,
        get_layer=layer,
    )
    cache = thing("ITimingCache", serialize=b"timings")
    config = thing(
        "IBuilderConfig",
        create_timing_cache=lambda data: cache if data in (b"", b"timings") else None,
        set_timing_cache=True,
        get_timing_cache=cache,
        add_optimization_profile=0,
        builder_optimization_level=3,
    )
    builder = thing(
        "Builder",
        create_network=network,
        create_builder_config=config,
        create_optimization_profile=thing("IOptimizationProfile"),
        build_serialized_network=lambda _network, given: build(given),
    )
    trt.Builder = lambda _logger: builder  # type: ignore[attr-defined]
    trt.OnnxParser = lambda _network, _logger: thing(  # type: ignore[attr-defined]
        "OnnxParser", parse_from_file=True
    )
    return trt
