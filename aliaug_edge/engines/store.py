"""The engines inside a bundle: which of them runs a graph on this machine."""

from __future__ import annotations

import contextlib
import functools
import re
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from aliaug_edge.bundle import Bundle
from aliaug_edge.engines.index import Stored, build_command, stored_engines
from aliaug_edge.engines.plan import EngineError, Header, Here, check_fits
from aliaug_edge.engines.shapes import bind_specs, free_dimensions
from aliaug_edge.engines.stage import Plan

FOLDER = "engines"
STAGES = ("encoder", "unet", "decoder")
FUSED = "generator"

Plans = tuple[tuple[str, Callable[[], Plan]], ...]


def device_key(here: Here) -> str:
    """The name of the folder for one kind of device, e.g. "aarch64-linux-sm87-trt10.3.0"."""
    key = f"{here.platform}-sm{here.sm.replace('.', '')}-trt{here.tensorrt}"
    return re.sub(r"[^A-Za-z0-9._-]", "_", key)


def find_plans(
    bundle: Bundle,
    graph: str,
    here: Here,
    size_hw: tuple[int, int] | None,
    batch: int | None,
    *,
    lean: bool = False,
) -> Plans:
    """The plans that run `graph` here at `size_hw` and `batch`, as (stage, read) in their order.

    The generator may be one fused engine or the three stages; the stages are taken where both are
    there. `read` gives the plan, its bytes checked; where the best plan for a stage proves
    damaged it gives the next that fits, and says so. `lean` says that the runtime here is
    TensorRT's lean one.

    Raises:
        EngineError: there are none; says what there is, and what to run.
    """
    find = functools.partial(_plan, bundle, here=here, size_hw=size_hw, batch=batch, lean=lean)
    if graph != FUSED:
        return (find(graph),)
    try:
        return tuple(find(stage) for stage in STAGES)
    except EngineError as error:
        with contextlib.suppress(EngineError):
            return (find(FUSED),)
        raise error


def require_plans(
    bundle: Bundle,
    graph: str,
    here: Here,
    sizes: Sequence[tuple[int, int]],
    batch: int | None,
    *,
    lean: bool = False,
) -> None:
    """Whether `find_plans` finds what runs `graph` here at every one of `sizes`; reads no plan.

    Raises:
        EngineError: a size has none; names every size that has none, and what to run.
    """
    problems: dict[str, EngineError] = {}
    for height, width in sizes:
        try:
            find_plans(bundle, graph, here, (height, width), batch, lean=lean)
        except EngineError as error:
            problems[f"{height}x{width}"] = error
    if len({str(error) for error in problems.values()}) > 1:
        options = f"--sizes {','.join(problems)}" + (f" --batches {batch}" if batch else "")
        raise EngineError(
            f"no {graph} engines for {', '.join(problems)}: run {build_command(bundle)[:-1]} "
            f"{options}`"
        )
    if problems:
        raise next(iter(problems.values()))


def _plan(
    bundle: Bundle,
    graph: str,
    here: Here,
    size_hw: tuple[int, int] | None,
    batch: int | None,
    lean: bool,
) -> tuple[str, Callable[[], Plan]]:
    problems: list[EngineError] = []
    fitting: list[Stored] = []
    for made in _all_of(bundle, graph, problems):
        try:
            check_fits(made.header, here, made.subject, made.command)
            if lean:
                _check_lean(made)
            fitting.append(made)
        except EngineError as error:
            problems.append(error)
    chosen = [made for made in fitting if _holds(bundle, made.header, size_hw, batch)]
    if chosen:  # a static engine before one with a range, an engine of this version first
        chosen.sort(key=lambda made: _preference(made, here))
        return graph, FirstSound(tuple(chosen))
    if fitting:
        raise EngineError(_not_built_for(graph, fitting, size_hw, batch))
    if problems:
        raise problems[0]
    raise EngineError(f"no {graph} engine in {bundle.root}: run {build_command(bundle)}")


@dataclass(frozen=True)
class FirstSound:
    """Reads the first of `engines`, best first, whose plan is what its header says. Two that are
    equal give the same plan."""

    engines: tuple[Stored, ...]

    def __call__(self) -> Plan:
        """The plan. Raises: EngineError: none is sound; about the first."""
        first: EngineError | None = None
        for made in self.engines:
            try:
                plan = Plan(made.read(), made.header.version_compatible)
            except EngineError as error:
                first = first or error
                continue
            if first is not None:
                print(f"{made.subject} takes its place: {first}", file=sys.stderr)
            return plan
        assert first is not None
        raise first


def _check_lean(made: Stored) -> None:
    """The lean runtime takes version-compatible plans alone, and cannot build any."""
    if not made.header.version_compatible:
        raise EngineError(
            f"{made.subject} is not version-compatible, and only TensorRT's lean runtime is here: "
            f"run {made.command[:-1]} --version-compatible` where the full TensorRT is installed"
        )


def _all_of(bundle: Bundle, graph: str, problems: list[EngineError]) -> list[Stored]:
    """Engines of `graph` in all device folders; what cannot be read is added to `problems`."""
    found: list[Stored] = []
    root = bundle.root / FOLDER
    folders = sorted(path for path in root.iterdir() if path.is_dir()) if root.is_dir() else []
    for folder in folders:
        try:
            for name, made in stored_engines(bundle, folder).items():
                if isinstance(made, EngineError):
                    if name.startswith(f"{graph}-"):
                        problems.append(made)
                elif made.header.graph == graph:
                    found.append(made)
        except EngineError as error:
            problems.append(error)
    return found


def _holds(
    bundle: Bundle, header: Header, size_hw: tuple[int, int] | None, batch: int | None
) -> bool:
    specs = bind_specs(bundle.graphs[header.graph].inputs, free_dimensions(size_hw, batch))
    for spec in specs:
        profile = header.profile.get(spec.name)
        if profile is None:
            return False
        shape = tuple(
            low if isinstance(length, str) else length
            for length, low in zip(spec.shape, profile.min, strict=True)
        )
        if not profile.holds(shape):
            return False
    return True


def _preference(made: Stored, here: Here) -> tuple[bool, bool, str]:
    dynamic = not all(profile.static for profile in made.header.profile.values())
    return dynamic, made.header.built_for.tensorrt != here.tensorrt, made.name


def _not_built_for(
    graph: str, fitting: Sequence[Stored], size_hw: tuple[int, int] | None, batch: int | None
) -> str:
    wanted = " ".join(
        part
        for part in (
            f"{size_hw[0]}x{size_hw[1]}" if size_hw else "",
            f"batch {batch}" if batch else "",
        )
        if part
    )
    options = (f" --sizes {size_hw[0]}x{size_hw[1]}" if size_hw else "") + (
        f" --batches {batch}" if batch else ""
    )
    command = fitting[0].command[:-1] + options + "`"
    have = ", ".join(made.name for made in fitting)
    return f"no {graph} engine for {wanted}: there are {have}; run {command}"
