"""A process that believes to be on a machine with a GPU, TensorRT and engines."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from aliaug_edge.bundle import Bundle
from aliaug_edge.engines import plan
from aliaug_edge.engines.gpu import Gpu, GpuProbe
from aliaug_edge.engines.stage import Plan
from support.gpu.rig import Rig
from support.gpu.tensorrt import plans


class Here:
    """A machine whose driver answers, a TensorRT that is the fake one, and plans it can run."""

    def __init__(self, patch: pytest.MonkeyPatch, gpu: Rig) -> None:
        probe = GpuProbe((Gpu("Orin", "8.7", 16.0),), None, "13.1")
        for module in ("select", "onnxruntime", "cuda", "cuda_python", "building.machine"):
            patch.setattr(f"aliaug_edge.engines.{module}.probe_gpus", lambda: probe)
        patch.setattr("aliaug_edge.engines.tensorrt.import_runtime", lambda: gpu.trt)
        patch.setattr("aliaug_edge.engines.cuda.find_bindings", lambda: gpu.bindings)
        self.patch = patch
        self.asked: list[Any] = []

    def has_plans(self, *stages: str, read: Callable[[], Plan] | None = None) -> None:
        """`read` takes the place of reading the last stage's plan."""

        def find(
            bundle: Bundle, graph: str, here: plan.Here, hw: Any, batch: Any, *, lean: bool
        ) -> Any:
            self.asked.append((graph, here, hw, batch))
            assert not lean
            if not stages:
                raise plan.EngineError("no generator engine in b: run `ali-aug build b`")
            found = plans(bundle, stages)
            return found if read is None else [*found[:-1], (stages[-1], read)]

        def require(
            bundle: Bundle, graph: str, here: plan.Here, sizes: Any, batch: Any, *, lean: bool
        ) -> None:
            if sizes and not stages:
                find(bundle, graph, here, sizes[0], batch, lean=lean)

        self.patch.setattr("aliaug_edge.engines.select.find_plans", find)
        self.patch.setattr("aliaug_edge.engines.select.require_plans", require)
