"""Layers of a TensorRT engine and their times, as the two files that NVIDIA's tools read.

`layers_<stage>.json` is what the engine inspector says, `profile_<stage>.json` the times of the
layer profiler, in the forms of trtexec's --exportLayerInfo and --exportProfile. The profiler makes
every run synchronous, so its runs are no latencies and are made apart from them.
"""

from __future__ import annotations

import json
import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from aliaug_edge import files
from aliaug_edge.engines.tensorrt import TensorRtEngine
from aliaug_edge.errors import AliAugError
from aliaug_edge.profiling.gpu_trace import Tracer
from aliaug_edge.tensors import Arrays

RUNS = 20
IO_TENSORS = "I/O Tensors"  # what TensorRT 11 says instead of Bindings


def layers_document(inspected: str) -> dict[str, Any]:
    """{"Layers": [{"Name", "LayerType", "Inputs", "Outputs", …}], "Bindings": [names], …} from the
    inspector's JSON. trt-engine-explorer reads no file without bindings.

    An engine that was built without detailed verbosity lists bare names: they become {"Name": …}.

    Raises:
        AliAugError: it is something else.
    """
    try:
        document = json.loads(inspected)
        layers = [_layer(entry) for entry in document["Layers"]]
        names = _bindings(document)
    except (LookupError, TypeError, ValueError) as error:
        raise AliAugError(f"TensorRT's engine inspector says nothing usable ({error!r})") from error
    kept = {key: document[key] for key in (IO_TENSORS,) if key in document}
    return {"Layers": layers, "Bindings": names, **kept}


def is_detailed(document: Mapping[str, Any]) -> bool:
    """Whether the layers have more than names."""
    return all("LayerType" in layer for layer in document["Layers"])


def profile_document(times: Mapping[str, Sequence[float]]) -> list[dict[str, Any]]:
    """[{"count"}, {"name", "timeMs", "averageMs", "medianMs", "percentage"} …] of the times in ms
    that each layer took, run by run."""
    count = max((len(values) for values in times.values()), default=0)
    whole = sum(sum(values) for values in times.values())
    rows = [
        {
            "name": name,
            "timeMs": round(sum(values), 6),
            "averageMs": round(sum(values) / len(values), 6),
            "medianMs": round(statistics.median(values), 6),
            "percentage": round(100 * sum(values) / whole, 4) if whole else 0.0,
        }
        for name, values in times.items()
        if values
    ]
    return [{"count": count}, *rows]


def write_layers(
    engine: TensorRtEngine, feeds: Arrays, folder: Path, runs: int = RUNS
) -> tuple[list[Path], list[str]]:
    """Profile the layers of every stage of an entered engine; the files written, and notes.

    Raises:
        AliAugError: the engine failed, or its inspector says nothing.
    """
    folder.mkdir(parents=True, exist_ok=True)
    written: list[Path] = []
    notes: list[str] = []
    listeners: list[Any] = []  # TensorRT does not keep them alive
    with Tracer(engine, feeds) as tracer:
        steps, contexts = tracer.ready.chain.steps, tracer.ready.chain.contexts
        recorded: list[dict[str, list[float]]] = [{} for _ in contexts]
        for context, times in zip(contexts, recorded, strict=True):
            listeners.append(_listen(engine.trt, context.context, times))
        for _ in range(runs):
            tracer.run(staged=True)
        for step, context, times in zip(steps, contexts, recorded, strict=True):
            if step.names:  # the encoder's second pass: the same layers again
                continue
            name = step.stage.name
            documents: dict[str, Any] = {"profile": profile_document(times)}
            if not times:
                notes.append(f"{name}: TensorRT reported no layer times")
            if can_inspect(engine.trt):
                layers = layers_document(_inspect(engine.trt, step.stage.engine, context.context))
                documents = {"layers": layers, **documents}
                if not is_detailed(layers):
                    notes.append(f"{name}: built without layer details; its layers have names only")
            for kind, document in documents.items():
                path = folder / f"{kind}_{name}.json"
                files.write_json(path, document)
                written.append(path)
    if not can_inspect(engine.trt):
        notes.append(
            "no layers_*.json: TensorRT's lean runtime has no engine inspector; profile where the "
            "full TensorRT is installed"
        )
    return written, notes


def can_inspect(trt: Any) -> bool:
    """Whether this TensorRT can say of what layers an engine consists."""
    return hasattr(trt, "EngineInspector")


def _bindings(document: Mapping[str, Any]) -> list[str]:
    """Names of inputs and outputs, of either generation."""
    given = document.get("Bindings") or document.get(IO_TENSORS) or []
    return [str(entry["Name"] if isinstance(entry, Mapping) else entry) for entry in given]


def _layer(entry: Any) -> dict[str, Any]:
    return {"Name": entry} if isinstance(entry, str) else {**entry, "Name": str(entry["Name"])}


def _listen(trt: Any, context: Any, times: dict[str, list[float]]) -> Any:
    """Have `context` add its layers' times to `times`; the profiler, to be kept alive."""

    def report(_: Any, name: str, ms: float) -> None:
        times.setdefault(name, []).append(ms)

    def init(this: Any) -> None:
        trt.IProfiler.__init__(this)

    listener = type("Profiler", (trt.IProfiler,), {"report_layer_time": report, "__init__": init})()
    context.profiler = listener
    return listener


def _inspect(trt: Any, engine: Any, context: Any) -> str:
    inspector = engine.create_engine_inspector()
    inspector.execution_context = context  # shapes are known then
    return str(inspector.get_engine_information(trt.LayerInformationFormat.JSON))
