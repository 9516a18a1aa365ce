"""One crop end to end through our engine, torch eager and OpenVINO: same weights, in alternation.

    python benchmarks/generator_speed.py BUNDLE [--base BASE] [--sizes 128,256] [--rounds 20]

BASE is what BUNDLE was exported from (`tiny`, or the base's folder). Every engine lives in a
process of its own, because the runtimes' idle threads slow each other within one; only one works at
a time. Per round each engine makes one image after a short warm-up; a ratio is the median over
rounds. PSNR is that of the pixels against torch in FP32.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from common import median, paired_ratio, print_card, print_json

from aliaug_edge import imaging
from aliaug_edge.assets import resolve_bundle
from aliaug_edge.bundle import Bundle, load_bundle
from aliaug_edge.data.procedural import render_pair
from aliaug_edge.engines import open_engine
from aliaug_edge.engines.threads import thread_count
from aliaug_edge.generation.feeds import bundle_feeds

OURS = "onnxruntime"
REFERENCE = "torch"
ENGINES = (OURS, "torch", "torch-nhwc", "torch-bf16", "torch-bf16-nhwc", "ov-f32", "ov-bf16")
EQUAL_DB = 60.0  # from here on an engine counts as of equal accuracy (the export's own limit)
WARM_RUNS = 2  # per round: the caches hold another engine's data when a turn begins

Feeds = dict[str, Any]
Infer = Callable[[Feeds], Any]


def main() -> None:
    arguments = parsed()
    if arguments.worker:
        return work(arguments)
    card = print_card()
    engines = [name for name in ENGINES if usable(name)]
    results: dict[str, Any] = {}
    for side in map(int, arguments.sizes.split(",")):
        results[str(side)] = table = measure(arguments, engines, side)
        print(f"\n{side} x {side}, {arguments.rounds} rounds, {thread_count()} threads")
        print(f"{'engine':<18}{'p50 ms':>9}{'min ms':>9}{'ratio to ours':>15}{'PSNR dB':>9}")
        for name, row in table.items():
            print(
                f"{name:<18}{row['p50_ms']:>9.1f}{row['min_ms']:>9.1f}"
                f"{row['ratio']:>15.2f}{row['psnr_db']:>9.1f}"
            )
        print(verdict(table))
    print_json("generator_speed", card, bundle=Path(arguments.bundle).name, sizes=results)
    return None


def parsed() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("bundle")
    parser.add_argument("--base", default="tiny")
    parser.add_argument("--sizes", default="128,256")
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--worker", help=argparse.SUPPRESS)
    parser.add_argument("--feeds", type=Path, help=argparse.SUPPRESS)
    return parser.parse_args()


def usable(name: str) -> bool:
    module = {"ov": "openvino", "torch": "torch"}.get(name.split("-")[0], "onnxruntime")
    if find_spec(module) is None:
        print(f"left out {name}: {module} is not installed (pip install {module})")
        return False
    return True


def measure(arguments: argparse.Namespace, engines: list[str], side: int) -> dict[str, Any]:
    """{engine: p50_ms, min_ms, ratio, psnr_db} for one size."""
    bundle = load_bundle(resolve_bundle(arguments.bundle))
    with tempfile.TemporaryDirectory() as folder:
        feeds = Path(folder) / "feeds.npz"
        np.savez(feeds, **real_feeds(bundle, side))
        workers = {name: start(arguments, name, feeds) for name in engines}
        times: dict[str, list[float]] = {name: [] for name in engines}
        try:
            for name, worker in workers.items():
                ask(worker, name)  # loaded, first run done
            for _ in range(arguments.rounds):
                for name, worker in workers.items():
                    times[name].append(ask(worker, name)["ms"])
        finally:
            for worker in workers.values():
                worker.kill()
                worker.communicate()
        pixels = {name: np.load(feeds.with_name(f"{name}.npy")) for name in engines}
    reference = pixels.get(REFERENCE, pixels[OURS])
    return {
        name: {
            "p50_ms": round(median(values), 2),
            "min_ms": round(min(values), 2),
            "ratio": round(paired_ratio(values, times[OURS]), 3),
            "psnr_db": psnr_db(reference, pixels[name]),
        }
        for name, values in times.items()
    }


def verdict(table: dict[str, Any]) -> str:
    """What a reader wants to know, in one line."""
    peers = {n: r for n, r in table.items() if n != OURS}
    equal = {n: r["ratio"] for n, r in peers.items() if r["psnr_db"] >= EQUAL_DB}
    if OURS in table and table[OURS]["psnr_db"] < EQUAL_DB:
        return f"our pixels differ from {REFERENCE}: was BUNDLE exported from this BASE?"
    if not equal:
        return "no peer of equal accuracy was measured"
    best = min(equal, key=lambda name: equal[name])
    parts = [f"best peer of equal accuracy: {best}, {equal[best]:.2f} x our time"]
    if REFERENCE in equal:
        parts.append(f"torch eager FP32: {equal[REFERENCE]:.2f} x")
    return "; ".join(parts)


def start(arguments: argparse.Namespace, name: str, feeds: Path) -> subprocess.Popen[str]:
    command = [sys.executable, __file__, arguments.bundle, "--base", arguments.base]
    return subprocess.Popen(
        [*command, "--worker", name, "--feeds", str(feeds)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def ask(worker: subprocess.Popen[str], name: str) -> dict[str, Any]:
    assert worker.stdin is not None and worker.stdout is not None and worker.stderr is not None
    try:
        worker.stdin.write("go\n")
        worker.stdin.flush()
    except BrokenPipeError:
        pass
    line = worker.stdout.readline()
    if not line:
        lines = worker.stderr.read().strip().splitlines() or ["no message"]
        raise SystemExit(f"{name} failed: {lines[-1]}")
    answer: dict[str, Any] = json.loads(line)
    return answer


def work(arguments: argparse.Namespace) -> None:
    """A worker: one engine; each line on stdin asks for one timed image."""
    with np.load(arguments.feeds) as arrays:
        feeds = {name: arrays[name] for name in arrays.files}
    bundle = load_bundle(resolve_bundle(arguments.bundle))
    answers, sys.stdout = sys.stdout, sys.stderr  # whatever a library prints is no answer
    infer = opened(arguments.worker, bundle, arguments.base, feeds)
    generated = infer(feeds)
    np.save(arguments.feeds.with_name(f"{arguments.worker}.npy"), pixels_of(generated))
    for number, _ in enumerate(sys.stdin):
        for _ in range(WARM_RUNS if number else 0):
            infer(feeds)
        started = time.perf_counter()
        infer(feeds)
        answer = {"ms": (time.perf_counter() - started) * 1000}
        print(json.dumps(answer), file=answers, flush=True)


def opened(name: str, bundle: Bundle, base: str, feeds: Feeds) -> Infer:
    if name == OURS:
        return our_engine(bundle, feeds)
    if name.startswith("torch"):
        return torch_engine(name, bundle, base, feeds)
    return openvino_engine(name, bundle, feeds)


def our_engine(bundle: Bundle, feeds: Feeds) -> Infer:
    size_hw = feeds["image"].shape[2:]
    engine = open_engine(bundle, engine="onnxruntime-cpu", size_hw=size_hw, batch=1).__enter__()
    return lambda given: engine.infer(given)["generated"]


def torch_engine(name: str, bundle: Bundle, base: str, feeds: Feeds) -> Infer:
    """What the bundle is too old to take is fed as zeros: a base of its age has no weights there
    (PSNR tells)."""
    import torch

    from aliaug_edge.export.stages import free_dimensions, stage_of
    from aliaug_edge.export.torch_engine import TorchEngine
    from aliaug_edge.model.base import generator_from, load_base

    torch.set_num_threads(thread_count())
    generator = generator_from(load_base(base), bundle.conditioning).eval()  # type: ignore[arg-type]
    settings = {"bf16": "bf16" in name, "channels_last": "nhwc" in name}
    engine = TorchEngine(stage_of(generator, "generator"), **settings).__enter__()
    _, _, height, width = feeds["image"].shape
    bound = free_dimensions(1, (height, width))
    newer = {
        spec.name: np.zeros([bound.get(d, d) for d in spec.shape], np.float32)  # type: ignore[call-overload]
        for spec in engine.inputs
        if spec.name not in feeds
    }
    return lambda given: engine.infer({**newer, **given})["generated"]


def openvino_engine(name: str, bundle: Bundle, feeds: Feeds) -> Infer:
    import openvino

    core = openvino.Core()
    model = core.read_model(bundle.graph_path("generator"))
    model.reshape({key: list(value.shape) for key, value in feeds.items()})
    settings = {
        "PERFORMANCE_HINT": "LATENCY",
        "INFERENCE_PRECISION_HINT": name.removeprefix("ov-"),
        "INFERENCE_NUM_THREADS": thread_count(),
    }
    request = core.compile_model(model, "CPU", settings).create_infer_request()
    return lambda given: next(iter(request.infer(given).values()))


def real_feeds(bundle: Bundle, side: int) -> Feeds:
    """The generator's inputs for a drawn part, its mask and the first class of the bundle."""
    pair = render_pair(11, side, side)
    first = bundle.classes[0].name
    feeds = bundle_feeds(bundle, pair.good[None], pair.mask[None], [first], [0], [0.7])
    return {tensor.name: feeds[tensor.name] for tensor in bundle.graphs["generator"].inputs}


def pixels_of(generated: Any) -> Any:
    return imaging.tensor_to_images(np.asarray(generated, dtype=np.float32))


def psnr_db(reference: Any, pixels: Any) -> float:
    error = float(((reference.astype(float) - pixels) ** 2).mean())
    return round(99.0 if error == 0 else min(99.0, 10 * float(np.log10(255**2 / error))), 1)


if __name__ == "__main__":
    os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
    main()
