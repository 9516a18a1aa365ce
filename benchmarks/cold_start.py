"""First image from a cold process: `ali-aug generate … --count 1`, and where the time goes.

    python benchmarks/cold_start.py [BUNDLE] [--runs 10]

Each run is a fresh process and an empty output folder; the files are in the page cache, as on a
machine that has read them once. BUNDLE is `tiny` unless given, with drawn surfaces or photos.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from common import ALI_AUG, median, print_card, print_json

from aliaug_edge.assets import resolve_bundle
from aliaug_edge.data.make import make_dataset

AIM_S = 5.0
PARTS = """
import json, sys, time
from pathlib import Path
marks = [time.perf_counter()]
import numpy, PIL.Image, onnxruntime, aliaug_edge.generation.run, aliaug_edge.cli
marks.append(time.perf_counter())
from aliaug_edge.bundle import load_bundle
bundle = load_bundle(Path(sys.argv[1]))
marks.append(time.perf_counter())
from aliaug_edge.engines import open_engine
size = min(bundle.sizes)
with open_engine(bundle, engine="onnxruntime-cpu", size_hw=size, batch=1) as engine:
    marks.append(time.perf_counter())
    engine.infer({s.name: numpy.zeros(s.shape, s.dtype) for s in engine.inputs})
    marks.append(time.perf_counter())
names = ("import", "read and verify bundle", "open session", "first inference")
print(json.dumps({n: b - a for n, a, b in zip(names, marks, marks[1:])}))
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("bundle", nargs="?", default="tiny")
    parser.add_argument("--runs", type=int, default=10)
    arguments = parser.parse_args()
    card = print_card()
    with tempfile.TemporaryDirectory() as scratch:
        images: list[str] = []
        if arguments.bundle != "tiny":
            line = make_dataset(Path(scratch) / "line", goods=2, defects_per_class=2)
            images = ["--images", str(line / "train" / "good")]
        walls = []
        for number in range(arguments.runs + 1):
            command = [ALI_AUG, "generate", arguments.bundle]
            command += [*images, "--out", f"{scratch}/{number}", "--count", "1"]
            walls.append(timed([*command, "--min-change", "0", "--min-preservation", "0"]))
    walls = walls[1:]  # the first run fills the page cache
    root = str(resolve_bundle(arguments.bundle))
    parts = [
        json.loads(
            subprocess.run(
                [sys.executable, "-c", PARTS, root], capture_output=True, check=True
            ).stdout
        )
        for _ in range(arguments.runs)
    ]
    split = {name: median([part[name] for part in parts]) for name in parts[0]}
    print(f"\nfirst image, {arguments.runs} fresh processes (aim {AIM_S:g} s)")
    print(f"  median {median(walls):.2f} s, min {min(walls):.2f}, max {max(walls):.2f}")
    for name, seconds in split.items():
        print(f"  {name:<24}{seconds:8.3f} s")
    results = {"median_s": median(walls), "min_s": min(walls), "max_s": max(walls)}
    print_json("cold_start", card, parts_s=split, **results)


def timed(command: list[str]) -> float:
    started = time.perf_counter()
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{' '.join(command)} failed: {done.stderr.strip()}")
    return time.perf_counter() - started


if __name__ == "__main__":
    main()
