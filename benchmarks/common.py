"""What the benchmarks share: the machine's card, and one JSON line at the end."""

from __future__ import annotations

import json
import os
import statistics
import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np

from aliaug_edge.profiling.device import machine_card
from aliaug_edge.quality.limits import Limits, judge, signature_scores

LIBRARIES = ("onnxruntime", "torch", "openvino", "numpy", "pillow")
ALI_AUG = str(Path(sys.executable).with_name("ali-aug"))
BUSY = 0.5  # load per core, before the start, from which wall times mean little


def print_card() -> dict[str, Any]:
    """Print what was measured on, and return it. A busy machine is named as such."""
    card = {**machine_card(), "load_before": round(os.getloadavg()[0], 2)}
    card |= {name: _version(name) for name in LIBRARIES}
    print(
        f"{card['physical_cores']}-core {card['cpu']}, {card['memory_gib']} GiB, "
        f"{card['system']}, Python {card['python']}, load {card['load_before']} before the run"
    )
    print(", ".join(f"{name} {card[name]}" for name in LIBRARIES if card[name]))
    if card["load_before"] > BUSY * (card["physical_cores"] or 1):
        print("NOTE: the machine is busy with something else; these wall times mean little")
    return card


def print_json(name: str, card: dict[str, Any], **results: Any) -> None:
    """The one JSON line that ends a benchmark."""
    print(json.dumps({"benchmark": name, "machine": card, **results}, sort_keys=True))


def failed_signature(
    limits: Limits, defect_class: str, good: np.ndarray, result: np.ndarray, mask: np.ndarray
) -> str | None:
    """What `limits` reject `result` for; None where they let it pass."""
    found = judge(limits, defect_class, signature_scores(limits, defect_class, good, result, mask))
    return found.signature if found else None


def median(values: list[float]) -> float:
    return statistics.median(values)


def paired_ratio(theirs: list[float], ours: list[float]) -> float:
    """Median over rounds of theirs / ours: what slows the machine in a round slows both."""
    return statistics.median(a / b for a, b in zip(theirs, ours, strict=True))


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None
