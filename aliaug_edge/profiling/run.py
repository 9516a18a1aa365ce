"""Profile a bundle on one engine, or on several in alternation within one run.

The result is one JSON document (a public format):

    bundle     name, sha256, precision, model_mb …          size      [height, width] in pixels
    machine    cpu, cores, memory_gib, gpu …                rules     warm-up and iteration rules
    engines    per engine: spec, name, version, threads, peak_gflops_f32,
               stages   [{stage, p50_ms … count, gflop, gflops, share_of_peak}],
               batches  [{batch, count, p50_ms, images_per_s}], images_per_s,
               gpu      only of an engine that is timed on the device: see gpu_profile
    prompt_lookup_ms, peak_rss_mib, warnings

Unknown values are null.
"""

from __future__ import annotations

import contextlib
import itertools
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from aliaug_edge.bundle import Bundle
from aliaug_edge.engines.threads import thread_count
from aliaug_edge.errors import AliAugError
from aliaug_edge.profiling.device import (
    flop_count,
    machine_card,
    model_card,
    peak_rss_mib,
    runtime_version,
)
from aliaug_edge.profiling.gpu_peak import measured_gpu_gflops
from aliaug_edge.profiling.gpu_profile import is_tensorrt, profile_gpu
from aliaug_edge.profiling.latency import COV_LIMIT_PERCENT, Rules, summarise
from aliaug_edge.profiling.peak import measured_peak_gflops
from aliaug_edge.profiling.stages import (
    END_TO_END,
    GENERATOR,
    STAGES,
    Bench,
    Times,
    prompt_lookup_ms,
)
from aliaug_edge.profiling.trt_layers import write_layers

BATCHES = (1, 2, 4)
BATCH_DURATION_MS = 1000.0
_GRAPH_OF = {"encode": "encoder", "unet": "unet", "decode": "decoder", GENERATOR: "generator"}

Notify = Callable[[str], None]


def profile_bundle(
    bundle: Bundle,
    engines: Sequence[str],
    size_hw: tuple[int, int] | None = None,
    rules: Rules | None = None,
    threads: int | None = None,
    notify: Notify = lambda _: None,
    layers_dir: Path | None = None,
) -> dict[str, Any]:
    """Measure and return the document above.

    `engines` are specs, "onnxruntime-cpu" or "onnxruntime-cpu:1" (threads); several take turns,
    pass by pass. `size_hw` must be one that the bundle was proven at; the smallest by default.
    `notify` hears what is being done. With `layers_dir`, TensorRT's layers are profiled in a pass
    of their own, and `layers_*.json` and `profile_*.json` written there.

    Raises:
        AliAugError: a spec or size that cannot be used, or an engine that fails.
    """
    if not engines:
        raise AliAugError("no engine to profile; give --engine or --compare a name")
    rules = rules or Rules()
    size_hw = _checked_size(bundle, size_hw)
    specs = [_parsed(spec, threads) for spec in engines]
    with tempfile.TemporaryDirectory() as folder, contextlib.ExitStack() as stack:
        benches = []
        for number, (engine, count) in enumerate(specs):
            place = Path(folder) / str(number)
            benches.append(stack.enter_context(Bench(bundle, engine, count, size_hw, place)))
        notify("measuring this machine's peak")
        peaks = _measure_peaks(benches, [None] * len(benches))
        notify(f"timing {' and '.join(engines)} at {size_hw[0]} x {size_hw[1]}")
        passes = _alternate([bench.run_once for bench in benches], rules)
        notify("timing batches")
        offered = [bench for bench in benches if bench.offered_anywhere]
        timed = [dict(zip(offered, _time_batches(offered, n, rules), strict=True)) for n in BATCHES]
        batches = [[latencies.get(bench) for bench in benches] for latencies in timed]
        peaks = _measure_peaks(benches, peaks)
        gpus = [_gpu_part(bench, rules, notify, layers_dir) for bench in benches]
        entries = [
            _engine_entry(spec, bench, times, [latencies[index] for latencies in batches], peak)
            for index, (spec, bench, times, peak) in enumerate(
                zip(engines, benches, passes, peaks, strict=True)
            )
        ]
        for entry, gpu in zip(entries, gpus, strict=True):
            entry |= {} if gpu is None else {"gpu": gpu}
    return {
        "bundle": model_card(bundle),
        "size": list(size_hw),
        "machine": machine_card(),
        "rules": asdict(rules),
        "engines": entries,
        "prompt_lookup_ms": prompt_lookup_ms(bundle),
        "peak_rss_mib": peak_rss_mib(),
        "warnings": _warnings(entries),
    }


def _alternate(steps: Sequence[Callable[[], Times]], rules: Rules) -> list[list[Times]]:
    """Warm each step up, then let them take turns until each has enough passes."""
    for step in steps:
        started = time.perf_counter()
        for count in itertools.count(1):
            step()
            if rules.warm(count, _ms_since(started)):
                break
    rules = replace(rules, min_duration_ms=rules.min_duration_ms * len(steps))
    passes: list[list[Times]] = [[] for _ in steps]
    started = time.perf_counter()
    while not rules.enough(len(passes[0]), _ms_since(started)):
        for step, times in zip(steps, passes, strict=True):
            times.append(step())
    return passes


def _time_batches(benches: Sequence[Bench], batch: int, rules: Rules) -> list[list[float]]:
    """Generator latencies per bench at `batch`, in alternation."""
    if not benches:
        return []
    shorter = replace(rules, min_duration_ms=min(rules.min_duration_ms, BATCH_DURATION_MS))
    with contextlib.ExitStack() as stack:
        steps = [stack.enter_context(bench.batches(batch)) for bench in benches]
        return [[times[GENERATOR] for times in passes] for passes in _alternate(steps, shorter)]


def _measure_peaks(benches: Sequence[Bench], before: Sequence[float | None]) -> list[float | None]:
    """The better of `before` and now: measured at both ends of a run, since clocks and neighbours
    change. None for engines on a GPU, where the transfers would be measured with it."""
    return [
        max(measured_peak_gflops(bench.threads), peak or 0.0) if bench.on_cpu else None
        for bench, peak in zip(benches, before, strict=True)
    ]


def _gpu_part(
    bench: Bench, rules: Rules, notify: Notify, layers_dir: Path | None
) -> dict[str, Any] | None:
    """What is measured on the device itself; None of an engine that runs elsewhere."""
    engine = bench.engines["generator"]
    if not is_tensorrt(engine):
        return None
    notify("measuring the card's matrix rate, and the engine on the device")

    def flop(graph: str) -> float | None:
        return flop_count(bench.bundle, graph, bench.size_hw)

    gpu = profile_gpu(
        engine,
        lambda batch: bench.open("generator", batch),
        bench.feeds,
        flop,
        measured_gpu_gflops(),
        rules,
        jobs=bench.paste_jobs(),
    )
    if layers_dir is not None:
        written, notes = write_layers(engine, bench.feeds(1), layers_dir)
        gpu["layers"] = [path.name for path in written]
        gpu["warnings"] += notes
    return gpu


def _engine_entry(
    spec: str,
    bench: Bench,
    passes: Sequence[Times],
    batches: Sequence[Sequence[float] | None],
    peak: float | None,
) -> dict[str, Any]:
    stages = [stage for stage in (*STAGES, END_TO_END) if stage in passes[0]]
    rows = [_stage_row(stage, [times[stage] for times in passes], bench, peak) for stage in stages]
    return {
        "spec": spec,
        "name": bench.engine_name,
        "version": _version(bench),
        "threads": bench.threads if bench.on_cpu else None,
        "peak_gflops_f32": peak,
        "stages": rows,
        "images_per_s": round(1000 / rows[-1]["mean_ms"], 2),
        "batches": [
            {
                "batch": batch,
                "count": len(latencies),
                "p50_ms": summarise(latencies).p50_ms,
                "images_per_s": round(1000 * batch / summarise(latencies).mean_ms, 2),
            }
            for batch, latencies in zip(BATCHES, batches, strict=True)
            if latencies is not None
        ],
    }


def _version(bench: Bench) -> str | None:
    """What the runtime says of itself where pip need not know it: a Jetson's comes from apt."""
    engine = bench.engines["generator"]
    return str(engine.trt.__version__) if is_tensorrt(engine) else runtime_version(engine.name)


def _stage_row(
    stage: str, latencies_ms: Sequence[float], bench: Bench, peak: float | None
) -> dict[str, Any]:
    latency = summarise(latencies_ms)
    flop = None
    if stage in _GRAPH_OF:
        flop = flop_count(bench.bundle, _GRAPH_OF[stage], bench.size_hw)
    if flop is not None and stage == "encode":
        flop *= bench.encoder_passes
    rate = flop / latency.p50_ms / 1e6 if flop is not None and latency.p50_ms > 0 else None
    return {
        "stage": stage,
        **asdict(latency),
        "gflop": None if flop is None else round(flop / 1e9, 4),
        "gflops": None if rate is None else round(rate, 2),
        "share_of_peak": None if rate is None or peak is None else round(rate / peak, 4),
    }


def _warnings(entries: Sequence[dict[str, Any]]) -> list[str]:
    found = []
    for entry in entries:
        cov = entry["stages"][-1]["cov_percent"]
        if cov is not None and cov > COV_LIMIT_PERCENT:
            found.append(
                f"{entry['spec']}: unstable, coefficient of variation {cov:.1f} % end to end "
                f"(limit {COV_LIMIT_PERCENT} %); close other programs, lock the clocks or set the "
                "power mode, and measure again"
            )
        found += [f"{entry['spec']}: {text}" for text in entry.get("gpu", {}).get("warnings", ())]
        if any((row["share_of_peak"] or 0) > 1 for row in entry["stages"]):
            found.append(
                f"{entry['spec']}: a stage is faster than the measured peak, so something else was "
                "using the cores while the peak was measured; shares of peak do not hold"
            )
    return found


def _parsed(spec: str, threads: int | None) -> tuple[str, int]:
    name, colon, text = spec.partition(":")
    if not colon:
        return name, thread_count(threads)
    if not text.isdecimal() or int(text) < 1:
        raise AliAugError(f"engine {spec!r}: expected NAME or NAME:THREADS, as onnxruntime-cpu:1")
    return name, thread_count(int(text))


def _checked_size(bundle: Bundle, size_hw: tuple[int, int] | None) -> tuple[int, int]:
    if size_hw is None:
        return min(bundle.sizes)
    if size_hw not in bundle.sizes:
        offered = ", ".join(f"{h}x{w}" for h, w in bundle.sizes)
        raise AliAugError(
            f"--size {size_hw[0]}x{size_hw[1]}: this bundle was proven at {offered}; choose one "
            "of these, or export it again for that size"
        )
    return size_hw


def _ms_since(started: float) -> float:
    return (time.perf_counter() - started) * 1000
