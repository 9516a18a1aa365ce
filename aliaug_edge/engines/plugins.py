"""The one plugin that our graphs can need, and only before TensorRT 10."""

from __future__ import annotations

from typing import Any


def register_plugins(trt: Any, logger: Any) -> None:
    """Make TensorRT's own plugins known, for building and for running; `logger` is kept by them.

    8.x turns InstanceNormalization into a plugin where it has no flag for the layer (8.5), and
    finds a plugin only once all were registered. From 10 on it is a layer, and the plugins' library
    would be loaded for nothing.
    """
    old = not hasattr(trt, "ExecutionContextAllocationStrategy")
    if old and hasattr(trt, "init_libnvinfer_plugins"):  # the lean runtime has no plugins
        trt.init_libnvinfer_plugins(logger, "")
