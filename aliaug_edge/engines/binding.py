"""ONNX Runtime with tensors that stay where they are: bound once, written in place.

A session's own `run` copies every input from the host and every output back. Bound, an encoder's
latent and taps go to the decoder as they lie on the device, and the addresses never change, which
a CUDA graph needs.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from aliaug_edge.tensors import TensorSpec

SHAPES = 4  # bindings kept ready, each with its tensors on the device
Key = tuple[tuple[str, tuple[int, ...]], ...]


@dataclass(frozen=True)
class _Ready:
    """A binding at one set of shapes; `own` are the inputs that come from the host."""

    binding: Any
    own: Mapping[str, Any]
    made: Mapping[str, Any]


class Bound:
    """A session whose inputs and outputs lie on `device` ("cuda" or "cpu").

    `outputs` with fixed shapes are allocated here, once; others by the runtime, at each run.
    """

    def __init__(
        self, runtime: Any, session: Any, device: str, outputs: Sequence[TensorSpec]
    ) -> None:
        self._runtime = runtime
        self._session = session
        self._device = device
        self._outputs = tuple(outputs)
        self._ready: dict[Key, _Ready] = {}

    def run(self, feeds: Mapping[str, Any]) -> dict[str, Any]:
        """The outputs as OrtValues on the device, valid until the next run. `feeds` are arrays,
        which are copied to the device, or OrtValues that lie there, which are not."""
        ready = self._at(feeds)
        for name, value in feeds.items():
            if name in ready.own:
                ready.own[name].update_inplace(np.ascontiguousarray(value))
            else:
                ready.binding.bind_ortvalue_input(name, value)
        ready.binding.synchronize_inputs()
        self._session.run_with_iobinding(ready.binding)
        ready.binding.synchronize_outputs()
        if ready.made:
            return dict(ready.made)
        names = [spec.name for spec in self._outputs]
        return dict(zip(names, ready.binding.get_outputs(), strict=True))

    def _at(self, feeds: Mapping[str, Any]) -> _Ready:
        hosted = {n: v for n, v in sorted(feeds.items()) if isinstance(v, np.ndarray)}
        key = tuple((name, tuple(value.shape)) for name, value in hosted.items())
        if key not in self._ready:
            while len(self._ready) >= SHAPES:
                del self._ready[next(iter(self._ready))]
            self._ready[key] = self._make(hosted)
        return self._ready[key]

    def _make(self, hosted: Mapping[str, Any]) -> _Ready:
        binding = self._session.io_binding()
        own = {n: self._empty(v.shape, v.dtype) for n, v in hosted.items()}
        for name, value in own.items():
            binding.bind_ortvalue_input(name, value)
        fixed = all(isinstance(n, int) for spec in self._outputs for n in spec.shape)
        made: dict[str, Any] = {}
        for spec in self._outputs:
            if fixed:
                made[spec.name] = self._empty(spec.shape, np.dtype(spec.dtype))
                binding.bind_ortvalue_output(spec.name, made[spec.name])
            else:
                binding.bind_output(spec.name, self._device)
        return _Ready(binding, own, made)

    def _empty(self, shape: Sequence[Any], dtype: Any) -> Any:
        make = self._runtime.OrtValue.ortvalue_from_shape_and_type
        return make(list(shape), dtype.type, self._device, 0)
