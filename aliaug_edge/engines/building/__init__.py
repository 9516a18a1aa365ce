"""Building: ONNX graphs of a bundle into TensorRT engines, on the machine that will run them."""

from aliaug_edge.engines.building.options import BuildOptions
from aliaug_edge.engines.building.run import Outcome, build_bundle, plan_builds

__all__ = ["BuildOptions", "Outcome", "build_bundle", "plan_builds"]
