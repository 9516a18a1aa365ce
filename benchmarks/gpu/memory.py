"""How much device memory? Each engine alone in a process of its own, as on an edge device.

python -m benchmarks.gpu.memory BUNDLE ENGINE SIDE        prints one JSON line
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from aliaug_edge.bundle import load_bundle
from aliaug_edge.engines import open_engine
from aliaug_edge.engines.cuda import MIB, Cuda
from aliaug_edge.errors import AliAugError
from aliaug_edge.profiling.device import peak_rss_mib
from aliaug_edge.profiling.gpu_profile import is_tensorrt, memory_split
from aliaug_edge.profiling.gpu_state import read_gpu_state
from aliaug_edge.profiling.gpu_trace import Tracer

from . import processes
from .runners import feeds_of

RUNS = 3


def in_a_process(root: Path, engine: str, side: int, seconds: float) -> dict[str, Any]:
    """What `alone` finds there.

    Raises:
        RuntimeError: it failed, or did not end in time.
    """
    command = [sys.executable, "-m", __spec__.name, str(root), engine, str(side)]
    found: dict[str, Any] = json.loads(processes.run(command, seconds).splitlines()[-1])
    return found


def alone(root: Path, name: str, side: int) -> dict[str, Any]:
    """Device memory in MiB that this process comes to hold by running an engine at batch 1 (the
    driver's own part included), and where it can be told, by what it holds."""
    before = used_mib()
    bundle = load_bundle(root)
    split = None
    with open_engine(bundle, engine=name, size_hw=(side, side), batch=1) as engine:
        feeds = feeds_of(bundle, side, 1)
        own = {spec.name: feeds[spec.name] for spec in engine.inputs}
        for _ in range(RUNS):
            engine.infer(own)
        after = used_mib()
        if is_tensorrt(engine):
            with Tracer(engine, own) as tracer:
                split = memory_split(engine, tracer)
    held = None if before is None or after is None else round(after - before, 1)
    return {
        "engine": name,
        "side": side,
        "device_mib": held,
        "split": split,
        "process_rss_mib": peak_rss_mib(),
    }


def used_mib() -> float | None:
    """Of the whole device. On a Jetson nvidia-smi does not say it, and CUDA is asked, in a context
    that is there at both ends: then the driver's own part is not in the difference."""
    told = read_gpu_state()["memory_used_mib"]
    if told is not None:
        return float(told)
    try:
        with Cuda() as cuda:
            free, total = cuda.memory_info()
    except AliAugError:
        return None
    return (total - free) / MIB


if __name__ == "__main__":
    print(json.dumps(alone(Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]))))
