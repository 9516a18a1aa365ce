"""What `ali-aug generate` costs beside its engine, and whether time and memory stay flat.

    python benchmarks/generate_overhead.py BUNDLE [--count 200] [--small 100] [--large 2000]

Good photos are drawn first (256x320, grey). Every run is a process of its own; peak memory is what
the system counted for it. All samples are kept, so that each is blended, written and labelled.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import tempfile
from pathlib import Path
from typing import Any

from common import ALI_AUG, print_card, print_json

from aliaug_edge.assets import resolve_bundle
from aliaug_edge.data.make import make_dataset

LABELS = "coco,yolo,mvtec"
AIM_RATIO, AIM_FLAT_PERCENT = 1.10, 5.0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("bundle")
    parser.add_argument("--count", type=int, default=200)
    parser.add_argument("--small", type=int, default=100)
    parser.add_argument("--large", type=int, default=2000)
    arguments = parser.parse_args()
    card = print_card()
    bundle = str(resolve_bundle(arguments.bundle))
    with tempfile.TemporaryDirectory() as scratch:
        line = make_dataset(Path(scratch) / "line", goods=40, defects_per_class=2)
        images = line / "train" / "good"
        overhead = generate(bundle, images, arguments.count, LABELS)
        ratio = overhead["wall_s"] / overhead["engine_s"]
        print(
            f"\n{arguments.count} images with labels: {overhead['wall_s']:.1f} s, of which "
            f"{overhead['engine_s']:.1f} s in the engine: ratio {ratio:.3f} (aim {AIM_RATIO})"
        )
        flatness = {}
        print(f"\n{'labels':<18}{'images':>7}{'ms/image':>10}{'peak MiB':>10}")
        for labels in (LABELS, "none"):
            small, large = (
                generate(bundle, images, count, labels)
                for count in (arguments.small, arguments.large)
            )
            for run in (small, large):
                print(
                    f"{labels:<18}{run['count']:>7}{run['ms_per_image']:>10.1f}"
                    f"{run['peak_mib']:>10.1f}"
                )
            flatness[labels] = compared(small, large)
            print(f"{'':<18}{'':>7}{flatness[labels]}")
    print(f"aim: within {AIM_FLAT_PERCENT:g} %")
    print_json("generate_overhead", card, ratio=round(ratio, 4), run=overhead, flatness=flatness)


def generate(bundle: str, images: Path, count: int, labels: str) -> dict[str, Any]:
    """One run of the command in a process of its own."""
    with tempfile.TemporaryDirectory() as folder:
        command = [ALI_AUG, "generate", bundle, "--json"]
        command += ["--images", str(images), "--out", f"{folder}/out", "--count", str(count)]
        command += ["--labels", labels, "--min-change", "0", "--min-preservation", "0"]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        assert process.stdout is not None
        printed = process.stdout.read()
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"{' '.join(command)} failed")
    summary = json.loads(printed)
    return {
        "count": count,
        "kept": summary["kept"],
        "wall_s": summary["wall_s"],
        "engine_s": summary["engine_s"],
        "ms_per_image": round(1000 * summary["wall_s"] / count, 2),
        "cpu_ms_per_image": round(1000 * (usage.ru_utime + usage.ru_stime) / count, 2),
        "peak_mib": round(usage.ru_maxrss / 1024, 1),
    }


def compared(small: dict[str, Any], large: dict[str, Any]) -> dict[str, float]:
    """How much more an image costs, and the process holds, in the large run; in per cent."""
    return {
        f"{name}_percent": round(100 * (large[name] / small[name] - 1), 2)
        for name in ("ms_per_image", "peak_mib")
    }


if __name__ == "__main__":
    main()
