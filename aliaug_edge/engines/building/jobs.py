"""From options to jobs: which engines, with which shapes, and the key that says if one is there."""

from __future__ import annotations

import dataclasses
import hashlib
import itertools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from aliaug_edge import files
from aliaug_edge.bundle import Bundle
from aliaug_edge.engines.building.onnx_facts import OnnxFacts
from aliaug_edge.engines.building.options import BuildOptions
from aliaug_edge.engines.plan import EngineError, Here, Profile
from aliaug_edge.engines.shapes import bind_specs, free_dimensions

Case = tuple[tuple[int, int], int]  # (height, width) and batch


@dataclass(frozen=True)
class Target:
    """An engine to have: `cases` are the declared shapes it must serve."""

    name: str
    graph: str
    cases: tuple[Case, ...]
    profile: Mapping[str, Profile]
    facts: OnnxFacts
    key: str


@dataclass(frozen=True)
class BuildJob:
    """What the child process is told: plain data. Paths are absolute. `timing_cache` is a file to
    begin from ("" for none), `timing_cache_out` where the grown one goes."""

    name: str
    onnx: str
    plan: str
    precision: str
    profile: Mapping[str, Profile]
    optimization_level: int
    workspace_mib: int | None
    version_compatible: bool
    timing_cache: str
    timing_cache_out: str

    def document(self) -> dict[str, Any]:
        """JSON data of it."""
        return dataclasses.asdict(self)


def job_from(document: Mapping[str, Any]) -> BuildJob:
    """The job of `BuildJob.document`."""
    profile = {
        name: Profile(*(tuple(entry[side]) for side in ("min", "opt", "max")))
        for name, entry in document["profile"].items()
    }
    return BuildJob(**{**document, "profile": profile})


def targets_for(
    bundle: Bundle, options: BuildOptions, facts: Mapping[str, OnnxFacts], here: Here
) -> list[Target]:
    """Every engine that checked `options` ask for, in the order in which they are built.

    Raises:
        EngineError: an input has a free dimension that no size or batch decides.
    """
    sizes = options.sizes or bundle.sizes
    cases: list[Case] = list(itertools.product(sizes, options.batches))
    groups = [tuple(cases)] if options.dynamic else [(case,) for case in cases]
    return [
        _target(bundle, options, facts[graph], here, graph, group)
        for graph in options.graphs
        for group in groups
    ]


def cache_key(
    onnx_sha256: str, here: Here, precision: str, profile: Mapping[str, Profile], flags: Any
) -> str:
    """SHA-256 over all that decides what a build makes; an engine with this key is that engine.

    The device's name is not in it, only its compute capability: a plan runs on either, and the
    folder is one for both.
    """
    document = {
        "onnx": onnx_sha256,
        "tensorrt": here.tensorrt,
        "sm": here.sm,
        "platform": here.platform,
        "precision": precision,
        "profile": {name: dataclasses.asdict(shapes) for name, shapes in profile.items()},
        "flags": flags,
    }
    return hashlib.sha256(files.json_text(document).encode("utf-8")).hexdigest()


def _target(
    bundle: Bundle,
    options: BuildOptions,
    facts: OnnxFacts,
    here: Here,
    graph: str,
    cases: tuple[Case, ...],
) -> Target:
    profile = dict(_profiles(bundle, graph, cases))
    flags = {
        "version_compatible": options.version_compatible,
        "optimization_level": options.optimization_level,
        "workspace_mib": options.workspace_mib,
    }
    key = cache_key(facts.sha256, here, bundle.precision, profile, flags)
    name = f"{graph}-{_span(cases)}" + ("-vc" if options.version_compatible else "")
    return Target(name, graph, cases, profile, facts, key)


def _profiles(bundle: Bundle, graph: str, cases: tuple[Case, ...]) -> Iterator[tuple[str, Profile]]:
    """By input, the hull of the cases' shapes; kernels are chosen for the first case."""
    specs = bundle.graphs[graph].inputs
    bound = [bind_specs(specs, free_dimensions(size, batch)) for size, batch in cases]
    for index, spec in enumerate(specs):
        shapes = [case[index].shape for case in bound]
        lengths = [tuple(length for length in shape if isinstance(length, int)) for shape in shapes]
        if any(len(shape) != len(spec.shape) for shape in lengths):
            raise EngineError(
                f"graph {graph}: input {spec.name} has shape {list(spec.shape)}, in which sizes "
                "and batches do not decide every dimension; export the bundle again"
            )
        low = tuple(min(column) for column in zip(*lengths, strict=True))
        high = tuple(max(column) for column in zip(*lengths, strict=True))
        yield spec.name, Profile(low, lengths[0], high)


def _span(cases: tuple[Case, ...]) -> str:
    """ "256x256-b1" of one case, "128x128..256x256-b1..4" of several."""
    heights, widths = ([size[axis] for size, _ in cases] for axis in (0, 1))
    batches = [batch for _, batch in cases]
    low, high = f"{min(heights)}x{min(widths)}", f"{max(heights)}x{max(widths)}"
    size = low if low == high else f"{low}..{high}"
    batch = f"b{min(batches)}" + (f"..{max(batches)}" if max(batches) > min(batches) else "")
    return f"{size}-{batch}"
