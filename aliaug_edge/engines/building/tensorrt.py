"""TensorRT as a toolchain: every name of its build side that this project uses is in this file and
in `legacy`, and is held against the real bindings in tests/engines/test_bindings.py.

One route serves 10.3 to 11: the network is strongly typed, so precision is a property of the ONNX
graph. TensorRT 11 knows nothing else. On 10.3 strong typing is there as well (NVIDIA calls it
complete from 10.12), while its FP16 flag would ignore the graph's FP32 islands: so it is not used.
8.5 and 8.6 have weak types only; see `legacy`.

Loaded in the child process alone, never in the user's.
"""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

from aliaug_edge.bundle import GraphSpec
from aliaug_edge.engines.base import Engine
from aliaug_edge.engines.building import legacy
from aliaug_edge.engines.building.jobs import BuildJob
from aliaug_edge.engines.building.toolchain import Made, OutOfMemoryError, Watch
from aliaug_edge.engines.packages import tensorrt_install
from aliaug_edge.engines.plan import EngineError, version_tuple
from aliaug_edge.engines.plugins import register_plugins
from aliaug_edge.engines.tensorrt_package import (
    OLDEST,
    import_problem,
    memory_line,
    start_problem,
    tensorrt_fault,
)

_MIB = 2**20


def version() -> str:
    """The version of the installed TensorRT.

    Raises:
        EngineError: there is none that builds, or it cannot be imported.
    """
    return str(_module().__version__)


def build(job: BuildJob, watch: Watch) -> Made:
    """See `Toolchain`."""
    trt = _module()
    log: list[str] = []
    logger = _logger(trt, log)
    number = version_tuple(trt.__version__)
    old = number < (10,)
    if job.version_compatible and number < (8, 6):
        raise EngineError(
            f"--version-compatible needs TensorRT 8.6 or newer, this is {trt.__version__}"
        )
    try:
        builder = trt.Builder(logger)
    except TypeError as error:
        said = log[-1] if log else _one_line(error)
        raise EngineError(start_problem(trt.__version__, said)) from error
    network = builder.create_network(legacy.creation_flags(trt) if old else _creation_flags(trt))
    _parse(trt, network, logger, job)
    config = builder.create_builder_config()
    flags, notes = _configure(trt, config, job)
    if old:
        flags += legacy.configure(trt, network, config, job)
    else:
        config.builder_optimization_level = job.optimization_level
        config.progress_monitor = _monitor(trt, watch)
        flags += ["STRONGLY_TYPED"]
    _shape(builder, network, config, job)
    notes += _use_timing_cache(config, Path(job.timing_cache)) if job.timing_cache else []
    plan = builder.build_serialized_network(network, config)
    if plan is None:
        raise _failed(log, watch)
    Path(job.plan).write_bytes(plan)
    # Ours alone is asked for: the bindings free what they give, also what the builder may own.
    cache = config.get_timing_cache() if job.timing_cache else None
    if cache is not None:
        Path(job.timing_cache_out).write_bytes(cache.serialize())
    return Made(tuple(sorted(flags)), tuple(notes))


def load(graph: str, spec: GraphSpec, plan: bytes) -> Engine:
    """See `Toolchain`."""
    from aliaug_edge.engines.stage import Plan
    from aliaug_edge.engines.tensorrt import TensorRtEngine

    made = Plan(plan, host_code=True)  # just built here, whether version-compatible or not
    return TensorRtEngine(spec, [(graph, lambda: made)])


def _module() -> Any:
    fault = tensorrt_fault()
    if fault is not None:
        raise EngineError(f"{fault.reason}; run: {fault.fix}")
    try:
        trt = importlib.import_module("tensorrt")
    except ImportError as error:
        raise EngineError(import_problem(error)) from error
    if not hasattr(trt, "Builder"):
        raise EngineError(import_problem(ImportError("a stub without a Builder")))
    if version_tuple(trt.__version__)[:2] < OLDEST:
        raise EngineError(
            f"TensorRT {trt.__version__} is too old: 8.5 is the oldest that is supported; run: "
            f"{tensorrt_install()}"
        )
    return trt


def _creation_flags(trt: Any) -> int:
    """Needed on 10, harmless on 11, where every network is strongly typed."""
    return 1 << int(trt.NetworkDefinitionCreationFlag.STRONGLY_TYPED)


def _parse(trt: Any, network: Any, logger: Any, job: BuildJob) -> None:
    register_plugins(trt, logger)
    parser = trt.OnnxParser(network, logger)
    # The plugin that it replaces cannot be in a version-compatible plan. From 10 on it is the
    # default, 8.6 has to be asked, and 8.5 may not know it.
    if hasattr(getattr(trt, "OnnxParserFlag", None), "NATIVE_INSTANCENORM"):
        parser.set_flag(trt.OnnxParserFlag.NATIVE_INSTANCENORM)
    if parser.parse_from_file(job.onnx):
        return
    said = [parser.get_error(index).desc() for index in range(parser.num_errors)]
    raise EngineError(
        f"TensorRT {trt.__version__} does not take the ONNX graph: "
        f"{' '.join(said[0].split()) if said else 'it does not say why'}"
    )


def _configure(trt: Any, config: Any, job: BuildJob) -> tuple[list[str], list[str]]:
    """What all versions share; (flags set, notes)."""
    flags: list[str] = []
    # FP32 in the graph means FP32: TF32, on by default, would round products to 10 bits.
    config.clear_flag(trt.BuilderFlag.TF32)
    config.profiling_verbosity = trt.ProfilingVerbosity.DETAILED  # `profile --layers` reads it
    if job.workspace_mib is not None:
        config.set_memory_pool_limit(trt.MemoryPoolType.WORKSPACE, job.workspace_mib * _MIB)
    if job.version_compatible:
        config.set_flag(trt.BuilderFlag.VERSION_COMPATIBLE)
        flags.append("VERSION_COMPATIBLE")
    return flags, []


def _shape(builder: Any, network: Any, config: Any, job: BuildJob) -> None:
    """Static shapes go into the network itself, a range becomes an optimisation profile."""
    profile = builder.create_optimization_profile()
    free = False
    for index in range(network.num_inputs):
        tensor = network.get_input(index)
        shapes = job.profile[tensor.name]
        if shapes.static:
            tensor.shape = shapes.opt
        else:
            profile.set_shape(tensor.name, shapes.min, shapes.opt, shapes.max)
            free = True
    if free and config.add_optimization_profile(profile) < 0:
        raise EngineError(f"TensorRT refuses the shapes {dict(job.profile)}")


def _use_timing_cache(config: Any, path: Path) -> list[str]:
    """Begin from the file's timings; where they do not fit or cannot be read, from none, with a
    note."""
    note: list[str] = []
    try:
        kept = path.read_bytes()
    except FileNotFoundError:
        pass
    except OSError as error:
        note = [f"the timing cache {path} cannot be read ({error.strerror or error}): dropped"]
    else:
        cache = config.create_timing_cache(kept)
        if cache is not None and config.set_timing_cache(cache, ignore_mismatch=False):
            return []
        note = [f"the timing cache {path} does not fit this device and TensorRT: dropped"]
    empty = config.create_timing_cache(b"")
    if empty is not None:
        config.set_timing_cache(empty, ignore_mismatch=False)
    return note


def _logger(trt: Any, log: list[str]) -> Any:
    """TensorRT's errors into `log`; the rest is not for users."""

    class Logger(trt.ILogger):  # type: ignore[misc]
        def __init__(self) -> None:
            trt.ILogger.__init__(self)

        def log(self, severity: Any, message: str) -> None:
            if severity in (trt.ILogger.ERROR, trt.ILogger.INTERNAL_ERROR):
                log.append(" ".join(message.split()))

    return Logger()


def _monitor(trt: Any, watch: Watch) -> Any:
    """TensorRT calls it, from threads of its own, at each step; False there ends the build."""

    class Monitor(trt.IProgressMonitor):  # type: ignore[misc]
        def __init__(self) -> None:
            trt.IProgressMonitor.__init__(self)

        def phase_start(self, phase_name: str, _parent: str | None, num_steps: int) -> None:
            watch.begin(phase_name, num_steps)

        def step_complete(self, phase_name: str, step: int) -> bool:
            return watch.step(phase_name, step)

        def phase_finish(self, phase_name: str) -> None:
            pass

    return Monitor()


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())


def _failed(log: list[str], watch: Watch) -> EngineError:
    if watch.stopped:
        return EngineError("stopped")
    said = log[-1] if log else "TensorRT does not say why"
    memory = memory_line(log)
    if memory is not None:
        return OutOfMemoryError(f"out of memory: {memory}")
    return EngineError(f"the build failed: {said}")
