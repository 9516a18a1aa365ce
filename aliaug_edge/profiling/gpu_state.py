"""Clocks, power, temperature and throttling of a GPU: the conditions of a latency.

Read from nvidia-smi, and on a Jetson, where that says little, from nvpmodel and sysfs. What a
machine does not tell is null; nothing here fails, and nothing is changed.
"""

from __future__ import annotations

import contextlib
import re
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from aliaug_edge.engines.gpu import probe_gpus
from aliaug_edge.errors import AliAugError

SECONDS = 10.0
READINGS, APART_S, LOAD_S = 4, 0.25, 15.0
SYS = Path("/sys")
# Field of nvidia-smi, our key.
FIELDS = {
    "driver_version": "driver",
    "pstate": "pstate",
    "clocks.sm": "sm_clock_mhz",
    "clocks.max.sm": "sm_clock_max_mhz",
    "clocks.mem": "memory_clock_mhz",
    "power.draw": "power_w",
    "power.limit": "power_limit_w",
    "temperature.gpu": "temperature_c",
    "clocks_event_reasons.active": "throttling",
    "memory.used": "memory_used_mib",
}
OLDER = {"clocks_event_reasons.active": "clocks_throttle_reasons.active"}  # before driver 535
_TEXTS = ("driver", "pstate")
# Bits of nvmlClocksThrottleReasons (nvml.h); idle and settings made by hand slow nothing down.
REASONS = {
    0x4: "software power cap",
    0x8: "hardware slowdown",
    0x20: "software thermal slowdown",
    0x40: "hardware thermal slowdown",
    0x80: "power brake",
}
_POWER_MODE = re.compile(r"^NV Power Mode\s*:\s*(\S+)", re.MULTILINE)

Run = Callable[[Sequence[str]], str]


def read_gpu_state(
    run: Run | None = None, sys: Path = SYS, gpu_id: str | None = None
) -> dict[str, Any]:
    """The state now, under the keys of `FIELDS` and `jetson_state`; null what is not known.

    `gpu_id` is the device in nvidia-smi's words, that which CUDA calls the first if left out.
    """
    run = run or _output
    state = _from_nvidia_smi(run, first_gpu_id() if gpu_id is None else gpu_id)
    for key, value in jetson_state(run, sys).items():
        state[key] = value if state.get(key) is None else state[key]
    return state


def under_load(load: Callable[[], Any], read: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """The worst of a few readings, taken by a thread while `load` is run again and again.

    Not of the runs that are timed: nvidia-smi takes the driver's locks, and would be in their
    percentiles.
    """
    found: list[dict[str, Any]] = []

    def readings() -> None:
        with contextlib.suppress(AliAugError):  # a GPU that fails is told by `load`
            for _ in range(READINGS):
                found.append(read())
                time.sleep(APART_S)

    reader = threading.Thread(target=readings, daemon=True)
    reader.start()
    started = time.perf_counter()
    while reader.is_alive() and time.perf_counter() - started < LOAD_S:
        load()
    return worst(list(found)) if found else read_nothing()


def worst(states: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """One state of several: the lowest clocks, the highest power, temperature and memory, every
    reason that slowed it down; of the rest the first that is known."""
    kinds: dict[str, Callable[[list[Any]], Any]] = {
        "sm_clock_mhz": min,
        "memory_clock_mhz": min,
        "power_w": max,
        "temperature_c": max,
        "memory_used_mib": max,
        "clocks_locked": all,
        "throttling": lambda lists: list(dict.fromkeys(name for each in lists for name in each)),
    }
    made: dict[str, Any] = {}
    for key in dict.fromkeys(key for state in states for key in state):
        known = [state[key] for state in states if state.get(key) is not None]
        made[key] = kinds.get(key, _first)(known) if known else None
    return made


def _first(values: list[Any]) -> Any:
    return values[0]


def read_nothing() -> dict[str, Any]:
    """The state of a GPU of which nothing is known."""
    return dict.fromkeys(FIELDS.values())


def first_gpu_id() -> str:
    """The device that CUDA calls the first, in nvidia-smi's words: its own numbers know nothing of
    CUDA_VISIBLE_DEVICES."""
    gpu = next(iter(probe_gpus().gpus), None)
    return gpu.bus_id if gpu is not None and gpu.bus_id and not gpu.integrated else "0"


def parse_nvidia_smi(text: str) -> dict[str, Any]:
    """`FIELDS` from the line that nvidia-smi prints for them; all null where it is no such line."""
    return _state_of(dict(_answers(text, list(FIELDS))))


def _from_nvidia_smi(run: Run, gpu_id: str) -> dict[str, Any]:
    def ask(fields: list[str]) -> dict[str, str]:
        query = ["nvidia-smi", f"--query-gpu={','.join(fields)}", "--format=csv,noheader,nounits"]
        return dict(_answers(run([*query, f"--id={gpu_id}"]), fields))

    known = ask(list(FIELDS))
    if not known and ask(["driver_version"]):  # it refuses all for the sake of one
        for name in FIELDS:
            known |= ask([name])
            if name not in known and name in OLDER:
                older = ask([OLDER[name]])
                known |= dict(zip([name], older.values(), strict=False))
    return _state_of(known)


def _answers(text: str, fields: Sequence[str]) -> Iterator[tuple[str, str]]:
    """(field, value) from a line that has a value for each; none from any other."""
    line = next(iter(text.strip().splitlines()), "")
    values = [value.strip() for value in line.split(",")]
    if line and len(values) == len(fields) and not line.startswith(("Field ", "No devices")):
        yield from zip(fields, values, strict=True)


def _state_of(known: dict[str, str]) -> dict[str, Any]:
    """By our keys; null what is missing or not a value."""
    named = {key: known.get(field, "") for field, key in FIELDS.items()}
    state: dict[str, Any] = {key: _number(value) for key, value in named.items()}
    state |= {key: named[key] if _known(named[key]) else None for key in _TEXTS}
    state["throttling"] = parse_reasons(named["throttling"])
    return state


def parse_reasons(text: str) -> list[str] | None:
    """What slows the clocks, from nvidia-smi's hexadecimal bits; null where it does not say."""
    if not re.fullmatch(r"0x[0-9a-fA-F]+", text):
        return None
    bits = int(text, 16)
    return [name for bit, name in REASONS.items() if bits & bit]


def jetson_state(run: Run, sys: Path = SYS) -> dict[str, Any]:
    """Power mode, GPU clock, whether it is locked (`jetson_clocks`), temperature and throttling.

    Empty where there is no Jetson's GPU in sysfs.
    """
    gpu = next(iter(sorted(sys.glob("class/devfreq/*gpu*")) or _by_chip(sys)), None)
    if gpu is None:
        return {}
    low, high, now = (_hertz(gpu / f"{name}_freq") for name in ("min", "max", "cur"))
    return {
        "power_mode": parse_nvpmodel(run(["nvpmodel", "-q"])),
        "sm_clock_mhz": now,
        "sm_clock_max_mhz": high,
        "clocks_locked": None if low is None or high is None else low == high,
        "temperature_c": _gpu_temperature(sys),
        "throttling": _throttled(sys),
    }


def parse_nvpmodel(text: str) -> str | None:
    """The power mode's name ("MAXN", "15W") from `nvpmodel -q`."""
    found = _POWER_MODE.search(text)
    return found[1] if found else None


def _by_chip(sys: Path) -> list[Path]:
    """Older JetPacks name the device after its chip: 17000000.ga10b, 17000000.gv11b."""
    found = [*sys.glob("class/devfreq/*.ga10b"), *sys.glob("class/devfreq/*.gv11b")]
    return sorted(found)


def _gpu_temperature(sys: Path) -> float | None:
    for zone in sorted(sys.glob("class/thermal/thermal_zone*")):
        if _text(zone / "type").lower().startswith("gpu"):
            value = _number(_text(zone / "temp"))
            return None if value is None else value / 1000
    return None


def _throttled(sys: Path) -> list[str] | None:
    """Cooling devices that throttle something now."""
    devices = sorted(sys.glob("class/thermal/cooling_device*"))
    named = {_text(device / "type"): _number(_text(device / "cur_state")) for device in devices}
    throttles = {name: state for name, state in named.items() if "throttle" in name}
    return [name for name, state in throttles.items() if state] if throttles else None


def _hertz(path: Path) -> float | None:
    """MHz of a file in Hz."""
    value = _number(_text(path))
    return None if value is None else value / 1e6


def _known(value: str) -> bool:
    return bool(value) and not value.startswith("[")  # [N/A], [Not Supported]


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace").strip("\0\n ")
    except OSError:
        return ""


def _output(command: Sequence[str]) -> str:
    """What a program prints; nothing where it is missing, fails or hangs."""
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=SECONDS, check=True, errors="replace"
        )
    except (OSError, subprocess.SubprocessError):
        return ""
    return done.stdout
