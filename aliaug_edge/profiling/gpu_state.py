"""Clocks, power, temperature and throttling of a GPU: the conditions of a latency.

Read from nvidia-smi, and on a Jetson, where that says little, from nvpmodel and sysfs. What a
machine does not tell is null; nothing here fails, and nothing is changed.
"""

from __future__ import annotations

import re
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

SECONDS = 10.0
SYS = Path("/sys")
# Field of nvidia-smi, our key; an old driver refuses a query for the sake of one unknown field.
FIELDS = {
    "driver_version": "driver",
    "pstate": "pstate",
    "clocks.sm": "sm_clock_mhz",
    "clocks.max.sm": "sm_clock_max_mhz",
    "clocks.mem": "memory_clock_mhz",
    "power.draw": "power_w",
    "power.limit": "power_limit_w",
    "temperature.gpu": "temperature_c",
    "clocks_throttle_reasons.active": "throttling",
    "memory.used": "memory_used_mib",
}
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


def read_gpu_state(run: Run | None = None, sys: Path = SYS) -> dict[str, Any]:
    """The state now, under the keys of `FIELDS` and `jetson_state`; null what is not known."""
    run = run or _output
    query = ["nvidia-smi", f"--query-gpu={','.join(FIELDS)}", "--format=csv,noheader,nounits"]
    state = parse_nvidia_smi(run([*query, "--id=0"]))
    for key, value in jetson_state(run, sys).items():
        state[key] = value if state.get(key) is None else state[key]
    return state


def parse_nvidia_smi(text: str) -> dict[str, Any]:
    """`FIELDS` from the line that nvidia-smi prints for them; all null where it is no such line."""
    line = next(iter(text.strip().splitlines()), "")
    values = [value.strip() for value in line.split(",")]
    if len(values) != len(FIELDS):
        return dict.fromkeys(FIELDS.values())
    named = dict(zip(FIELDS.values(), values, strict=True))
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
