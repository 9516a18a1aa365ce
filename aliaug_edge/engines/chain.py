"""The stages of the generator at one shape: every tensor has its place, once, on the device.

An encoder's outputs are the decoder's inputs at the same address: nothing is copied in between, and
nothing comes to the host. Wired by names alone, as the profile does it: where a stage asks for
`mask_tap_*` or `mask_latent`, the encoder runs a second time, on the painted mask.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from aliaug_edge.engines.buffers import Block, Memory, layout_of
from aliaug_edge.engines.stage import Context, Shape, Stage
from aliaug_edge.errors import BundleError
from aliaug_edge.tensors import TensorSpec

MASK = "mask_"
IMAGE, PAINTED = "image", "painted_mask"
ENCODER = "encoder"


@dataclass(frozen=True)
class Step:
    """One run of a stage; `names` says what its tensors are called in the chain."""

    stage: Stage
    names: Mapping[str, str]

    def name(self, tensor: str) -> str:
        return self.names.get(tensor, tensor)


@dataclass(frozen=True)
class Chain:
    """Steps with their contexts, bound to `tensors`, in the order in which they run."""

    steps: tuple[Step, ...]
    contexts: tuple[Context, ...]
    tensors: Block

    @property
    def cacheable(self) -> tuple[str, ...]:
        """What the first step makes of the image alone, where that is the encoder's."""
        first = self.steps[0]
        if first.stage.name != ENCODER:
            return ()
        return tuple(first.name(spec.name) for spec in first.stage.outputs)

    def enqueue(self, stream: int, first: int = 0) -> None:
        """Put the steps from `first` on onto `stream`."""
        for context in self.contexts[first:]:
            context.enqueue(stream)


def paints(steps: Sequence[Step]) -> bool:
    """Whether a step sees the mask in its class's colour, which our own kernels paint."""
    return any(step.name(IMAGE) == PAINTED for step in steps)


def steps_of(stages: Sequence[Stage]) -> tuple[Step, ...]:
    """What runs, in order."""
    wanted = {spec.name for stage in stages for spec in stage.inputs}
    steps = []
    for stage in stages:
        steps.append(Step(stage, {}))
        made = {spec.name for spec in stage.outputs}
        if stage.name == ENCODER and any(MASK + name in wanted for name in made):
            steps.append(Step(stage, {IMAGE: PAINTED, **{name: MASK + name for name in made}}))
    return tuple(steps)


def outer_inputs(steps: Sequence[Step]) -> tuple[TensorSpec, ...]:
    """What the steps need and none of them makes; the painted mask is made by us."""
    made = {step.name(spec.name) for step in steps for spec in step.stage.outputs} | {PAINTED}
    found: dict[str, TensorSpec] = {}
    for step in steps:
        for spec in step.stage.inputs:
            if step.name(spec.name) not in made:
                found.setdefault(spec.name, spec)
    return tuple(found.values())


def make_chain(
    trt: Any,
    memory: Memory,
    steps: Sequence[Step],
    inputs: Sequence[TensorSpec],
    scratch: tuple[int, int],
    stream: int,
) -> Chain:
    """`steps` fed with `inputs`, of fixed shapes, working in `scratch` (address, bytes); for runs
    on `stream`. Every input has its place, also one that no stage reads: painting the mask may, and
    whoever fills the inputs knows nothing of stages.

    Raises:
        TensorRtError: a shape outside an engine's profile. BundleError: the stages do not fit each
            other. GpuMemoryError: no memory for the tensors.
    """
    known: dict[str, Shape] = {s.name: tuple(int(n) for n in s.shape) for s in inputs}
    dtypes = {spec.name: spec.dtype for spec in inputs}
    if paints(steps):
        known[PAINTED] = known[IMAGE]
    contexts = []
    for step in steps:
        context = step.stage.context(trt, stream)
        context.use_scratch(*scratch)
        _agree(step, dtypes, known)
        wanted = {spec.name: known[step.name(spec.name)] for spec in step.stage.inputs}
        for name, shape in context.set_shapes(wanted).items():
            known[step.name(name)] = shape
        contexts.append(context)
    specs = [TensorSpec(name, dtypes[name], known[name]) for name in sorted(dtypes)]
    block = memory.block(layout_of(specs), "tensors")
    for step, context in zip(steps, contexts, strict=True):
        for spec in (*step.stage.inputs, *step.stage.outputs):
            context.bind(spec.name, block.at(step.name(spec.name)))
    return Chain(tuple(steps), tuple(contexts), block)


def _agree(step: Step, dtypes: dict[str, str], known: Mapping[str, Shape]) -> None:
    """Note the dtypes of a step's tensors; one tensor has one dtype wherever it is used."""
    for spec in (*step.stage.inputs, *step.stage.outputs):
        name = step.name(spec.name)
        if dtypes.setdefault(name, spec.dtype) != spec.dtype:
            raise BundleError(
                f"{step.stage.name} | {name} is {spec.dtype} here and {dtypes[name]} in another "
                "engine of this bundle; run: ali-aug build"
            )
    missing = [s.name for s in step.stage.inputs if step.name(s.name) not in known]
    if missing:
        raise BundleError(
            f"{step.stage.name} | asks for {missing}, which nothing before it makes; "
            "run: ali-aug build"
        )
