"""What makes a GPU's latencies doubtful, by the rules that trtexec uses, and by its state."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from aliaug_edge.profiling.latency import COV_LIMIT_PERCENT, Latency

ENQUEUE_SHARE = 0.8  # of the compute time; sampleReporting.cpp of TensorRT
CLOCK_SHARE = 0.9  # of the highest clock; below it, under load, something holds the GPU back


def timing_warnings(queries: Mapping[str, Latency], cuda_graph: bool) -> list[str]:
    """`queries` by name: enqueue, h2d, compute, d2h."""
    found = []
    compute = queries["compute"].p50_ms
    enqueue = queries["enqueue"].p50_ms
    if enqueue > ENQUEUE_SHARE * compute:
        cure = (
            "a faster CPU, or a larger batch" if cuda_graph else "a CUDA graph, or a larger batch"
        )
        found.append(
            f"enqueue-bound: the host takes {enqueue:.2f} ms to enqueue {compute:.2f} ms of "
            f"computing (limit {ENQUEUE_SHARE:.0%}); {cure} would help"
        )
    for name, way in (("h2d", "to"), ("d2h", "from")):
        copying = queries[name].p50_ms
        if copying >= compute:
            found.append(
                f"transfer-bound: copying {way} the device takes {copying:.2f} ms, computing "
                f"{compute:.2f} ms; a smaller size or overlapped copies would help"
            )
    cov = queries["compute"].cov_percent
    if cov is not None and cov > COV_LIMIT_PERCENT:
        found.append(
            f"unstable: coefficient of variation {cov:.1f} % of the compute time (limit "
            f"{COV_LIMIT_PERCENT} %); lock the clocks (nvidia-smi -lgc, jetson_clocks)"
        )
    return found


def state_warnings(state: Mapping[str, Any]) -> list[str]:
    """`state` as `read_gpu_state` gives it, read under load."""
    found = [f"throttled while it was measured: {reason}" for reason in state["throttling"] or ()]
    clock, highest = state["sm_clock_mhz"], state["sm_clock_max_mhz"]
    if clock and highest and clock < CLOCK_SHARE * highest:
        found.append(
            f"the GPU ran at {clock:.0f} of {highest:.0f} MHz; see its power limit or power mode"
        )
    if state.get("clocks_locked") is False:
        found.append("clocks are not locked: run jetson_clocks before a measurement that counts")
    return found
