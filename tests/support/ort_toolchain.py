"""A toolchain that really builds: a plan is a zip of the ONNX graph and what it was built for, and
ONNX Runtime runs it. It keeps the rules that TensorRT has and this project relies on:

- a workspace smaller than the graph's file is out of memory;
- a timing cache belongs to one version, and a kernel whose time is in it is not timed again;
- a convolution's kernel is a weight of the graph, not what another node makes of one;
- a plan holds its weights, and runs only at shapes within its profile, a static one at one shape;
- a build told to stop ends at its next step and leaves no plan.

`ALIAUG_TEST_FAULT` makes it fail as TensorRT can: see `FAULTS`.
"""

from __future__ import annotations

import io
import json
import os
import signal
import time
import zipfile
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from aliaug_edge import wire
from aliaug_edge.bundle import GraphSpec
from aliaug_edge.engines.base import Engine
from aliaug_edge.engines.building.jobs import BuildJob
from aliaug_edge.engines.building.onnx_facts import read_onnx
from aliaug_edge.engines.building.toolchain import Made, OutOfMemoryError, Watch
from aliaug_edge.engines.plan import EngineError, Profile
from aliaug_edge.onnx_weights import GRAPH, INITIALIZERS, weight_locations
from aliaug_edge.tensors import Arrays, TensorSpec, check_feeds

NAME = "support.ort_toolchain"
FAULTS = ("slow", "segv", "kill", "coarse", "nan", "print", "bug", "crash-at-load", "full")
VERSION = "10.3.0"


def fault() -> str:
    return os.environ.get("ALIAUG_TEST_FAULT", "")


def version() -> str:
    return VERSION


def build(job: BuildJob, watch: Watch) -> Made:
    data = Path(job.onnx).read_bytes()
    if job.workspace_mib is not None and job.workspace_mib * 1024 < len(data) / 1024:
        raise OutOfMemoryError(f"out of memory: {len(data)} bytes asked for")
    _require_weights_as_kernels(data)
    notes, times = _timings(job)
    kernels = [f"{job.name}/{name}" for name in sorted(read_onnx(Path(job.onnx)).operators)]
    watch.begin("timing kernels", len(kernels))
    for step, kernel in enumerate(kernels):
        _fail_as_asked()
        if kernel not in times:
            times[kernel] = 1.0
        if not watch.step("timing kernels", step):
            raise EngineError("stopped")
    built_for = {"version": VERSION, "profile": job.document()["profile"]}
    with zipfile.ZipFile(job.plan, "w") as plan:
        plan.writestr(zipfile.ZipInfo("graph.onnx"), _with_weights(job.onnx, data))
        plan.writestr(zipfile.ZipInfo("built_for.json"), json.dumps(built_for))
    Path(job.timing_cache_out).write_text(json.dumps({"version": VERSION, "times": times}))
    flags = ("VERSION_COMPATIBLE",) if job.version_compatible else ()
    return Made(flags, tuple(notes))


def load(graph: str, spec: GraphSpec, plan: bytes) -> Engine:
    if fault() == "crash-at-load":
        os.kill(os.getpid(), signal.SIGSEGV)
    return PlanEngine(graph, spec, plan)


class PlanEngine:
    """Runs a plan; see `Engine`."""

    def __init__(self, graph: str, spec: GraphSpec, plan: bytes) -> None:
        with zipfile.ZipFile(io.BytesIO(plan)) as archive:
            self._graph = archive.read("graph.onnx")
            built_for = json.loads(archive.read("built_for.json"))
        self._profile = {
            name: Profile(*(tuple(sides[side]) for side in ("min", "opt", "max")))
            for name, sides in built_for["profile"].items()
        }
        self._spec, self.name = spec, f"plan {graph}"
        self.made_by: Mapping[str, str] = {}

    @property
    def inputs(self) -> tuple[TensorSpec, ...]:
        return self._spec.inputs

    @property
    def outputs(self) -> tuple[TensorSpec, ...]:
        return self._spec.outputs

    def __enter__(self) -> PlanEngine:
        import onnxruntime

        self._session = onnxruntime.InferenceSession(
            self._graph, providers=["CPUExecutionProvider"]
        )
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._session = None

    def infer(self, feeds: Mapping[str, NDArray[Any]]) -> Arrays:
        check_feeds(self.name, self.inputs, feeds)
        for name, array in feeds.items():
            if not self._profile[name].holds(array.shape):
                raise EngineError(
                    f"{self.name} | {name}: shape {array.shape} is not in its profile"
                )
        names = [tensor.name for tensor in self.outputs]
        made = dict(zip(names, self._session.run(names, dict(feeds)), strict=True))
        return {name: _spoilt(value) for name, value in made.items()}


def _require_weights_as_kernels(data: bytes) -> None:
    for graph in wire.messages(memoryview(data), GRAPH):
        weights = {wire.text(tensor, 8) for tensor in wire.messages(graph, INITIALIZERS)}
        for node in wire.messages(graph, 1):
            reads = [bytes(name).decode() for name in wire.messages(node, 1)]
            if wire.text(node, 4) == "Constant":
                weights.add(wire.text(node, 2))
            if wire.text(node, 4) in ("Conv", "ConvTranspose") and reads[1] not in weights:
                raise EngineError(f"the kernel of {wire.text(node, 3)} is no weight: {reads[1]}")


def _with_weights(path: str, data: bytes) -> bytes:
    if not weight_locations(Path(path)):
        return data
    import onnx

    return onnx.load(path).SerializeToString(deterministic=True)  # type: ignore[no-any-return]


def _timings(job: BuildJob) -> tuple[list[str], dict[str, float]]:
    path = Path(job.timing_cache) if job.timing_cache else None
    if path is None or not path.is_file():
        return [], {}
    try:
        document = json.loads(path.read_text())
        if document["version"] == VERSION:
            return [], dict(document["times"])
    except (ValueError, LookupError):
        pass
    return [f"the timing cache {path} does not fit this device and TensorRT: dropped"], {}


def _fail_as_asked() -> None:
    match fault():
        case "slow":
            time.sleep(0.2)
        case "segv":
            os.kill(os.getpid(), signal.SIGSEGV)
        case "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        case "print":
            os.write(1, b'{"done": "a library that prints on stdout"}\n')
        case "full":
            Path("/dev/full").write_bytes(b"a plan")
        case "bug":
            raise ZeroDivisionError("a bug of ours")


def _spoilt(value: NDArray[Any]) -> NDArray[Any]:
    if fault() == "coarse":
        return np.round(value * 4) / 4
    return np.full_like(value, np.nan) if fault() == "nan" else value
