"""The part of a profile's text that is about the GPU."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

_COLUMNS = ("p50", "p90", "p95", "p99", "max")
# Key: name, key of the highest, unit.
QUANTITIES = {
    "sm_clock_mhz": ("SM clock", "sm_clock_max_mhz", "MHz"),
    "memory_clock_mhz": ("memory clock", None, "MHz"),
    "power_w": ("power", "power_limit_w", "W"),
    "temperature_c": ("temperature", None, "°C"),
}


def gpu_lines(gpu: Mapping[str, Any]) -> Iterator[str]:
    """`gpu` is what `profile_gpu` returns."""
    graph = "one CUDA graph" if gpu["cuda_graph"] else "enqueued call by call"
    yield f"on the device (CUDA events), batch 1, {graph}, stages in runs of their own:"
    yield from map(_latency, (*gpu["queries"], *gpu["stages"]))
    pasted = gpu.get("paste")
    if pasted is not None:
        said = f": {pasted['problem']}" if pasted["problem"] else ""
        yield f"what generate runs, uint8 to uint8, one crop at a time{said}"
        yield from map(_latency, pasted["queries"])
    for row in gpu["batches"]:
        said = row["problem"] or f"{row['images_per_s']:.1f} images/s from array to array"
        yield f"  batch {row['batch']}: {said}"
    shown = (f"{key.removesuffix('_mib')} {value}" for key, value in gpu["memory"].items())
    yield f"  device memory, MiB: {', '.join(shown)}"
    if gpu["floor"]["share"] is not None:
        yield f"  {floor_text(gpu['floor'])}"
    yield f"  under load: {state_text(gpu['state']['during'])}"


def _latency(row: Mapping[str, Any]) -> str:
    values = "  ".join(f"{key} {row[f'{key}_ms']:.3f}" for key in _COLUMNS)
    cov = "" if row["cov_percent"] is None else f"  CoV {row['cov_percent']:.1f} %"
    return f"  {row.get('name') or row['stage']:<14} ms  {values}{cov}"


def floor_text(floor: Mapping[str, Any]) -> str:
    """How near the computing comes to what its FLOPs alone would take; needs a known share."""
    rate = floor["peak_gflops_f16"] / 1e3
    return (
        f"FLOP floor {floor['floor_ms']:.3f} ms at the measured {rate:.0f} TFLOP/s (FP16): "
        f"{floor['share']:.0%} of it"
    )


def state_text(state: Mapping[str, Any]) -> str:
    """Clocks, power, temperature, power mode and throttling, as far as the machine tells them."""
    parts = [
        f"{name} {state[key]:.0f}{_of(state, highest)} {unit}"
        for key, (name, highest, unit) in QUANTITIES.items()
        if state.get(key) is not None
    ]
    if state.get("power_mode"):
        parts.append(f"power mode {state['power_mode']}")
    if state.get("clocks_locked") is not None:
        parts.append("clocks locked" if state["clocks_locked"] else "clocks not locked")
    if state.get("throttling") is not None:
        parts.append(f"throttled by {', '.join(map(str, state['throttling'])) or 'nothing'}")
    return ", ".join(parts) or "clocks, power and temperature are not told here"


def _of(state: Mapping[str, Any], highest: str | None) -> str:
    limit = state.get(highest) if highest else None
    return "" if limit is None else f" of {limit:.0f}"
