"""The generator's stages in torch behind the `Engine` protocol, for parity and for comparison."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from numpy.typing import NDArray

from aliaug_edge.engines.base import require_entered
from aliaug_edge.export.stages import Stage
from aliaug_edge.tensors import Arrays, check_feeds


class TorchEngine:
    """Runs one stage eagerly; `bf16` under autocast, `channels_last` with images laid out so."""

    def __init__(self, stage: Stage, *, bf16: bool = False, channels_last: bool = False) -> None:
        self.name = "torch" + ("-bf16" if bf16 else "") + ("-nhwc" if channels_last else "")
        self.made_by: Mapping[str, str] = {}
        self.inputs = stage.inputs
        self.outputs = stage.outputs
        self._module = stage.module.eval()
        self._bf16 = bf16
        self._format = torch.channels_last if channels_last else torch.contiguous_format
        self._entered = False

    def __enter__(self) -> TorchEngine:
        self._module.to(memory_format=self._format)  # type: ignore[call-overload]
        self._entered = True
        return self

    def __exit__(self, *_: object) -> None:
        self._entered = False

    @torch.no_grad()
    def infer(self, feeds: Mapping[str, NDArray[Any]]) -> Arrays:
        """One forward; feeds and results as in `aliaug_edge.tensors`, all float32."""
        require_entered(self.name, self._entered)
        check_feeds(self.name, self.inputs, feeds)
        tensors = [torch.from_numpy(feeds[spec.name]) for spec in self.inputs]
        tensors = [t.to(memory_format=self._format) if t.dim() == 4 else t for t in tensors]
        with torch.autocast("cpu", torch.bfloat16, enabled=self._bf16):
            result = self._module(*tensors)
        values = result if isinstance(result, tuple) else (result,)
        return {
            spec.name: value.float().contiguous().numpy()
            for spec, value in zip(self.outputs, values, strict=True)
        }
