"""Where NaN or infinity began: the first tensor of a chain, in the order in which it runs."""

from __future__ import annotations

import numpy as np

from aliaug_edge.engines.buffers import Memory, layout_of
from aliaug_edge.engines.chain import Chain
from aliaug_edge.engines.cuda import Cuda
from aliaug_edge.tensors import TensorSpec


def first_broken(cuda: Cuda, chain: Chain, item: int, stream: int) -> str:
    """ "output denoised of unet", or "input noise of unet": the first tensor that is not finite in
    the `item`-th image of what `chain` ran last; empty where all of them are finite.

    For diagnosis: every tensor is brought to the host, until one is found.
    """
    seen = set()
    for step in chain.steps:
        for kind, specs in (("input", step.stage.inputs), ("output", step.stage.outputs)):
            for name in (step.name(spec.name) for spec in specs):
                if name not in seen and not _is_finite(cuda, chain, name, item, stream):
                    return f"{kind} {name} of {step.stage.name}"
                seen.add(name)
    return ""


def _is_finite(cuda: Cuda, chain: Chain, name: str, item: int, stream: int) -> bool:
    field = chain.tensors.layout.fields[name]
    layout = layout_of([TensorSpec(name, field.dtype, field.shape)])
    with Memory(cuda) as memory:
        host = memory.pinned(layout, "a check")
        cuda.to_host(host.address, chain.tensors.at(name), field.nbytes, stream)
        cuda.synchronize(stream)
        return bool(np.isfinite(host.arrays[name][item]).all())
