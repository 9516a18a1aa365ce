"""The route for TensorRT 8.5 and 8.6 (JetPack 5.1 and 6.0 DP): weak types.

The graph's types are hints there: an FP16 graph needs the FP16 flag, and every layer whose output
the graph keeps in FP32 is asked to stay there. A wish, not an order (PREFER, not OBEY): where
TensorRT has no FP32 kernel it may say no, and the parity that follows judges the result.
Those parsers take ONNX opset 17, and 8.5 has no LayerNormalization.
"""

from __future__ import annotations

from typing import Any

from aliaug_edge.engines.building.jobs import BuildJob


def creation_flags(trt: Any) -> int:
    """Batch is a dimension like the others; since 10 there is nothing else."""
    return 1 << int(trt.NetworkDefinitionCreationFlag.EXPLICIT_BATCH)


def configure(trt: Any, network: Any, config: Any, job: BuildJob) -> list[str]:
    """Set precision; the names of the flags set."""
    if hasattr(config, "builder_optimization_level"):  # from 8.6
        config.builder_optimization_level = job.optimization_level
    if job.precision != "fp16":
        return ["EXPLICIT_BATCH"]
    config.set_flag(trt.BuilderFlag.FP16)
    config.set_flag(trt.BuilderFlag.PREFER_PRECISION_CONSTRAINTS)
    for index in range(network.num_layers):
        layer = network.get_layer(index)
        kinds = [layer.get_output(number).dtype for number in range(layer.num_outputs)]
        if kinds and all(kind == trt.DataType.FLOAT for kind in kinds):
            layer.precision = trt.DataType.FLOAT
    return ["EXPLICIT_BATCH", "FP16", "PREFER_PRECISION_CONSTRAINTS"]
