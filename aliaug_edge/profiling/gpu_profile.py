"""What a profile says of an engine on a GPU, beside the stages that every engine has.

The part `gpu` of an engine's entry (docs/profile.md): latencies by CUDA events, images per second
per batch, device memory by what it holds, the share of the FLOP floor, and the GPU's state.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import asdict, replace
from typing import Any, TypeGuard

from aliaug_edge.engines.base import Engine
from aliaug_edge.engines.jobs import PasteJob
from aliaug_edge.engines.tensorrt import TensorRtEngine
from aliaug_edge.errors import AliAugError
from aliaug_edge.profiling.gpu_paste import profile_paste
from aliaug_edge.profiling.gpu_state import read_gpu_state, under_load
from aliaug_edge.profiling.gpu_trace import Query, Tracer, collect
from aliaug_edge.profiling.gpu_warnings import state_warnings, timing_warnings
from aliaug_edge.profiling.latency import Latency, Rules, summarise
from aliaug_edge.tensors import Arrays

GPU_BATCHES = (1, 2, 4, 8)
BATCH_DURATION_MS = 1000.0
QUERIES = ("enqueue", "h2d", "compute", "d2h", "end_to_end")
SKIPS = ("tap_", "mask_tap_")
MIB = 2**20

Open = Callable[[int], AbstractContextManager[Engine]]
Flop = Callable[[str], float | None]


def is_tensorrt(engine: Engine) -> TypeGuard[TensorRtEngine]:
    """Whether an engine's runs can be traced on the device."""
    return isinstance(engine, TensorRtEngine)


def profile_gpu(
    engine: TensorRtEngine,
    open_batch: Open,
    feeds: Callable[[int], Arrays],
    flop: Flop,
    peak_gflops: float | None,
    rules: Rules,
    read_state: Callable[[], dict[str, Any]] = read_gpu_state,
    jobs: Sequence[PasteJob] = (),
) -> dict[str, Any]:
    """`engine` is entered, at batch 1; `open_batch` opens others, `feeds` gives their inputs.

    `flop` is that of one image by graph, `peak_gflops` the card's measured FP16 matrix rate; `jobs`
    are crops of different photos to be pasted as `generate` does it.

    Raises:
        AliAugError: the GPU or the engine failed at batch 1.
    """
    before = read_state()
    with Tracer(engine, feeds(1)) as tracer:
        whole = collect(tracer, rules, staged=False)
        used: list[int] = []

        def read() -> dict[str, Any]:
            engine.cuda.activate()  # of this thread
            used.append(_used_bytes(engine))
            return read_state()

        during = under_load(lambda: tracer.run(staged=False), read)
        parts = collect(tracer, rules, staged=True)
        graphed = tracer.graphed
        memory = memory_split(engine, tracer)
        memory["device_peak_mib"] = _mib(max(_used_bytes(engine), *used))
    queries = {name: summarise([getattr(q, name) for q in whole]) for name in QUERIES}
    pasted = profile_paste(engine, jobs, rules)
    weights = _weights_bytes(engine, open_batch)
    return {
        "cuda_graph": graphed,
        "transfers": "pinned, on the engine's stream, inside end_to_end",
        "queries": [{"name": name, **asdict(latency)} for name, latency in queries.items()],
        "paste": pasted,
        "stages": _stage_rows(parts, flop, peak_gflops),
        "batches": [_batch(open_batch, feeds, batch, rules) for batch in GPU_BATCHES],
        "memory": {**memory, "weights_mib": None if weights is None else _mib(weights)},
        "floor": _floor(queries["compute"], flop, peak_gflops),
        "state": {"before": before, "during": during},
        "warnings": [*timing_warnings(queries, graphed), *state_warnings(during)],
    }


def _stage_rows(queries: Sequence[Query], flop: Flop, peak: float | None) -> list[dict[str, Any]]:
    rows = []
    for stage in queries[0].stages:
        latency = summarise([query.stages[stage] for query in queries])
        work = flop(stage.removeprefix("mask_"))
        rate = work / latency.p50_ms / 1e6 if work and latency.p50_ms > 0 else None
        rows.append(
            {
                "stage": stage,
                **asdict(latency),
                "gflop": None if work is None else round(work / 1e9, 4),
                "gflops": None if rate is None else round(rate, 1),
                "share_of_peak": None if rate is None or not peak else round(rate / peak, 4),
            }
        )
    return rows


def _floor(compute: Latency, flop: Flop, peak: float | None) -> dict[str, Any]:
    """The time that the FLOPs alone would take at the measured rate, and its share of ours."""
    work = flop("generator")
    floor = work / peak / 1e6 if work and peak else None
    share = floor / compute.p50_ms if floor is not None and compute.p50_ms > 0 else None
    return {
        "gflop": None if work is None else round(work / 1e9, 4),
        "peak_gflops_f16": peak,
        "floor_ms": None if floor is None else round(floor, 4),
        "share": None if share is None else round(share, 4),
    }


def _batch(
    open_batch: Open, feeds: Callable[[int], Arrays], batch: int, rules: Rules
) -> dict[str, Any]:
    """Images per second at `batch`: of the device alone, and from arrays to arrays. What the
    engines were not built for is refused, and `problem` says so."""
    shorter = replace(rules, min_duration_ms=min(rules.min_duration_ms, BATCH_DURATION_MS))
    row: dict[str, Any] = {"batch": batch, "count": 0, "compute_p50_ms": None}
    row |= {"end_to_end_p50_ms": None, "images_per_s": None, "problem": None}
    try:
        with open_batch(batch) as engine:
            assert is_tensorrt(engine)
            with Tracer(engine, feeds(batch)) as tracer:
                queries = collect(tracer, shorter, staged=False)
    except AliAugError as error:
        return {**row, "problem": str(error)}
    whole = summarise([query.end_to_end for query in queries])
    return {
        **row,
        "count": len(queries),
        "compute_p50_ms": summarise([query.compute for query in queries]).p50_ms,
        "end_to_end_p50_ms": whole.p50_ms,
        "images_per_s": round(1000 * batch / whole.mean_ms, 2),
    }


def memory_split(engine: TensorRtEngine, tracer: Tracer) -> dict[str, float]:
    """Device memory in MiB at batch 1: of this engine by purpose, and in use on the whole device
    (by every process, the driver's own part with it)."""
    fields = tracer.ready.chain.tensors.layout.fields
    skips = sum(field.nbytes for name, field in fields.items() if name.startswith(SKIPS))
    return {
        "scratch_mib": _mib(engine.memory.used.get("scratch", 0)),
        "skips_mib": _mib(skips),
        "tensors_mib": _mib(sum(field.nbytes for field in fields.values()) - skips),
        "device_used_mib": _mib(_used_bytes(engine)),
    }


def _used_bytes(engine: TensorRtEngine) -> int:
    free, total = engine.cuda.memory_info()
    return total - free


def _weights_bytes(engine: TensorRtEngine, open_batch: Open) -> int | None:
    """What a second engine takes of the device beside its scratch memory: weights, and a little of
    the runtime's. Null where it cannot be opened, or other programs freed memory meanwhile."""
    before = engine.cuda.memory_info()[0]
    try:
        with open_batch(1) as second:
            assert is_tensorrt(second)
            taken = before - engine.cuda.memory_info()[0] - sum(second.memory.used.values())
    except AliAugError:
        return None
    finally:
        engine.cuda.activate()
    return taken if taken >= 0 else None


def _mib(nbytes: int) -> float:
    return round(nbytes / MIB, 2)
