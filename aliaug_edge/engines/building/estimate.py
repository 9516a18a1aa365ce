"""What a build will take, said before it: from builds of the same kind here, else a guess."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from aliaug_edge.engines.building.jobs import Target
from aliaug_edge.engines.plan import Header

# Reported build times of one SD U-Net (about 360 convolutions and products) at level 3 on desktop
# cards are 3 to 10 minutes; with a timing cache 108 s became 9.4 s. Not measured by this project.
_SECONDS_PER_NODE = (0.5, 1.7)
_WEIGHT_COPIES = 3  # the parsed graph, the plan, and the weights on the device
_RUNTIME_MIB = 1024  # TensorRT, its kernels and CUDA's context
_MIB = 2**20


@dataclass(frozen=True)
class Estimate:
    """Seconds from `low_s` to `high_s`, memory in MiB beside the workspace, and where both come
    from."""

    low_s: float
    high_s: float
    memory_mib: int
    basis: str


def estimate(target: Target, level: int, built_before: Iterable[Header]) -> Estimate:
    """What building `target` at optimisation `level` takes; `built_before` are headers from this
    device."""
    weights = target.facts.weight_bytes // _MIB
    memory = _WEIGHT_COPIES * weights + _RUNTIME_MIB
    same = [
        header.build_s
        for header in built_before
        if header.graph == target.graph and header.optimization_level == level
    ]
    if same:
        basis = "time as the same graph took here; memory a guess"
        return Estimate(min(same), max(same), memory, basis)
    nodes = target.facts.compute_nodes
    low, high = (each * nodes for each in _SECONDS_PER_NODE)
    basis = (
        f"a guess: {nodes} convolutions and matrix products at {_SECONDS_PER_NODE[0]} to "
        f"{_SECONDS_PER_NODE[1]} s, as reported for desktop cards at level 3; {_WEIGHT_COPIES} "
        f"copies of {weights} MiB of weights and {_RUNTIME_MIB} MiB for TensorRT"
    )
    if level != 3:
        basis += f"; level {level} may take several times more or less"
    return Estimate(round(low, 1), round(high, 1), memory, basis)
