"""Build what a bundle lacks: one engine after the other, each proven before it counts."""

from __future__ import annotations

import contextlib
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from aliaug_edge import files
from aliaug_edge.bundle import Bundle
from aliaug_edge.engines.building.estimate import Estimate, estimate
from aliaug_edge.engines.building.jobs import BuildJob, Target, targets_for
from aliaug_edge.engines.building.machine import Machine, timing_cache_path
from aliaug_edge.engines.building.onnx_facts import read_onnx
from aliaug_edge.engines.building.options import BuildOptions
from aliaug_edge.engines.building.parity import (
    DRAWN,
    MIN_PSNR_DB,
    Feeds,
    Reference,
    out_of_date,
    prove,
)
from aliaug_edge.engines.building.parser_limits import check_parsable
from aliaug_edge.engines.building.plain_weights import with_plain_weights
from aliaug_edge.engines.building.process import ask
from aliaug_edge.engines.building.toolchain import memory_hint
from aliaug_edge.engines.index import (
    Stored,
    add_engine,
    adopt_engines,
    readable_engines,
    sweep,
)
from aliaug_edge.engines.installed import onnxruntime_fault
from aliaug_edge.engines.plan import EngineError, Header
from aliaug_edge.engines.store import FOLDER, device_key
from aliaug_edge.errors import OutputError
from aliaug_edge.lock import exclusive

Notify = Callable[[str], None]  # lines for people
Progress = Callable[[str, str, int, int, float], None]  # engine, phase, step, steps, seconds


@dataclass(frozen=True)
class Planned:
    """An engine of a plan of work; `present` says that it is there, as it would be built."""

    target: Target
    present: bool
    estimate: Estimate


@dataclass(frozen=True)
class Outcome:
    """An engine that stands: `built` now, or found as it is."""

    name: str
    built: bool
    folder: Path
    header: Header


def plan_builds(bundle: Bundle, options: BuildOptions, machine: Machine) -> list[Planned]:
    """What `build_bundle` would do, and what that takes. Builds nothing and writes nothing.

    Raises:
        EngineError: options that cannot be met, or a graph that this TensorRT does not take.
    """
    options = _settled(bundle, options, machine)
    have = readable_engines(bundle, _folder(bundle, machine))
    headers = [stored.header for stored in have.values()]
    return [
        Planned(
            target,
            _is_current(bundle, target, options, have),
            estimate(target, options.optimization_level, headers),
        )
        for target in _targets(bundle, options, machine)
    ]


def build_bundle(
    bundle: Bundle,
    options: BuildOptions,
    machine: Machine,
    feeds: Feeds,
    notify: Notify = lambda _: None,
    progress: Progress = lambda *_: None,
    kind: str = DRAWN,
) -> list[Outcome]:
    """Build the engines that `options` ask for and that are not there yet, for this machine.

    `feeds` gives the generator's inputs for the proof, made of `kind`. `progress` hears (engine,
    phase, step, steps, seconds since its build began). Engines finished before an error or Ctrl-C
    stay.

    Raises:
        EngineError: options or a graph that cannot be built, a build that failed, or an engine out
            of tolerance. OutputError: another build writes to this folder.
    """
    options = _settled(bundle, options, machine)
    if options.parity:
        _require_onnxruntime()
    targets = _targets(bundle, options, machine)
    folder = _folder(bundle, machine)
    reference = Reference(bundle, feeds, kind)
    outcomes = []
    with exclusive(folder):
        adopt_engines(bundle, folder, {t.graph: t.facts.sha256 for t in targets})
        have = readable_engines(bundle, folder)
        sweep(folder, have.values())
        for target in targets:
            if _is_current(bundle, target, options, have) and not options.force:
                notify(f"{target.name}: already built")
                outcomes.append(Outcome(target.name, False, folder, have[target.name].header))
                continue
            header = _build_one(
                bundle, target, options, machine, folder, reference, notify, progress
            )
            outcomes.append(Outcome(target.name, True, folder, header))
    return outcomes


def _build_one(
    bundle: Bundle,
    target: Target,
    options: BuildOptions,
    machine: Machine,
    folder: Path,
    reference: Reference,
    notify: Notify,
    progress: Progress,
) -> Header:
    started = time.perf_counter()

    def tell(phase: str, step: int, steps: int) -> None:
        progress(target.name, phase, step, steps, time.perf_counter() - started)

    with _work_dir(folder) as work:
        job = _job(bundle, target, options, machine, work)
        request = {"do": "build", "job": job.document()}
        hint = memory_hint(options.workspace_mib)
        made = ask(machine.toolchain, request, f"engine {target.name}", hint, tell)
        for note in made["notes"]:
            notify(f"{target.name}: {note}")
        build_s = round(time.perf_counter() - started, 1)
        plan = Path(job.plan)
        parity = None
        if options.parity:
            tell("parity", 0, len(target.cases))
            parity = prove(
                machine.toolchain, bundle, target, plan, reference, _min_psnr(bundle, options), tell
            )
        if options.timing_cache:
            _keep_timing_cache(Path(job.timing_cache_out), timing_cache_path(machine))
        digest = files.sha256_of_file(plan)
        name = f"{target.name}-{digest[:8]}.plan"
        header = Header(
            graph=target.graph,
            key=target.key,
            plan=name,
            plan_sha256=digest,
            plan_bytes=plan.stat().st_size,
            onnx_sha256=target.facts.sha256,
            built_for=machine.here,
            precision=bundle.precision,
            profile=target.profile,
            flags=tuple(made["flags"]),
            optimization_level=options.optimization_level,
            workspace_mib=options.workspace_mib,
            version_compatible=options.version_compatible,
            parity=parity,
            build_s=build_s,
        )
        plan.replace(folder / name)
        add_engine(bundle, folder, target.name, header)
    return header


def _settled(bundle: Bundle, options: BuildOptions, machine: Machine) -> BuildOptions:
    options = options.checked(bundle)
    if options.workspace_mib is None:
        return replace(options, workspace_mib=machine.default_workspace_mib)
    return options


def _targets(bundle: Bundle, options: BuildOptions, machine: Machine) -> list[Target]:
    facts = {graph: read_onnx(bundle.graph_path(graph)) for graph in options.graphs}
    for graph, found in facts.items():
        check_parsable(graph, found, machine.here.tensorrt)
    return targets_for(bundle, options, facts, machine.here)


def _folder(bundle: Bundle, machine: Machine) -> Path:
    return bundle.root / FOLDER / device_key(machine.here)


def _is_current(
    bundle: Bundle, target: Target, options: BuildOptions, have: Mapping[str, Stored]
) -> bool:
    """Whether the engine is there as it would be built: same key, whole plan, proven."""
    stored = have.get(target.name)
    if stored is None or stored.header.key != target.key:
        return False
    if options.parity and out_of_date(
        target.cases, stored.header.parity, _min_psnr(bundle, options)
    ):
        return False
    try:
        stored.read()
    except EngineError:
        return False
    return True


def _job(
    bundle: Bundle, target: Target, options: BuildOptions, machine: Machine, work: Path
) -> BuildJob:
    cache = timing_cache_path(machine)
    return BuildJob(
        name=target.name,
        onnx=str(with_plain_weights(target.facts.path.resolve(), work.resolve())),
        plan=str((work / "plan").resolve()),
        precision=bundle.precision,
        profile=target.profile,
        optimization_level=options.optimization_level,
        workspace_mib=options.workspace_mib,
        version_compatible=options.version_compatible,
        timing_cache=str(cache) if options.timing_cache else "",
        timing_cache_out=str((work / "timing").resolve()),
    )


def _min_psnr(bundle: Bundle, options: BuildOptions) -> float:
    return MIN_PSNR_DB[bundle.precision] if options.min_psnr_db is None else options.min_psnr_db


def _keep_timing_cache(made: Path, target: Path) -> None:
    """Cached timings are a gain, not a need: a cache folder that cannot be written is no error."""
    with contextlib.suppress(OutputError, OSError):
        files.write_bytes(target, made.read_bytes())


def _require_onnxruntime() -> None:
    fault = onnxruntime_fault()
    if fault is not None:
        raise EngineError(
            f"engines are proven against ONNX Runtime, and {fault.reason}; run: {fault.fix}, or "
            "build with --no-parity"
        )


@contextlib.contextmanager
def _work_dir(folder: Path) -> Iterator[Path]:
    """A folder beside the engines for what is not finished; a killed build's is swept later.

    Raises:
        OutputError: it cannot be written, or the disk is full.
    """
    try:
        with tempfile.TemporaryDirectory(prefix=".build.", suffix=".tmp", dir=folder) as name:
            yield Path(name)
    except OSError as error:
        raise OutputError(
            f"cannot write {folder}: {error.strerror or error}; free some space; nothing was kept"
        ) from error
