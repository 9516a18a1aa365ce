"""Which ONNX Runtime session settings suit generation: threads × spinning, in alternation.

    python benchmarks/session_settings.py

Three uses of one convolution graph: alone, back to back; with a pause between runs, as when a
request waits for its image; and beside a thread that writes PNGs, as generation does. Prints the
machine's card, a table of medians, and one JSON line.
"""

from __future__ import annotations

import io
import itertools
import os
import statistics
import threading
import time
from typing import Any

import numpy as np
import onnx
import onnxruntime
from common import print_card, print_json
from onnx import TensorProto, helper, numpy_helper
from PIL import Image

ROUNDS, RUNS = 12, 8
CHANNELS, SIDE, LAYERS = 48, 96, 7


def conv_graph() -> bytes:
    """A chain of 3×3 convolutions with SiLU, static shape, about 20 ms on two cores."""
    rng = np.random.default_rng(0)
    nodes, weights, source = [], [], "x"
    for i in range(LAYERS):
        w = rng.normal(0, 0.05, (CHANNELS, CHANNELS, 3, 3)).astype(np.float32)
        weights.append(numpy_helper.from_array(w, f"w{i}"))
        nodes += [
            helper.make_node("Conv", [source, f"w{i}"], [f"c{i}"], pads=[1, 1, 1, 1]),
            helper.make_node("Sigmoid", [f"c{i}"], [f"s{i}"]),
            helper.make_node("Mul", [f"c{i}", f"s{i}"], [f"y{i}"]),
        ]
        source = f"y{i}"
    shape = [1, CHANNELS, SIDE, SIDE]
    graph = helper.make_graph(
        nodes,
        "convs",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info(source, TensorProto.FLOAT, shape)],
        weights,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])
    model.ir_version = 8
    onnx.checker.check_model(model)
    return model.SerializeToString()


def session(model: bytes, threads: int, spinning: bool) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.add_session_config_entry("session.intra_op.allow_spinning", str(int(spinning)))
    return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])


def write_png() -> None:
    Image.fromarray(PHOTO).save(io.BytesIO(), "PNG", compress_level=1)


def alone(run: Any) -> float:
    return timed(lambda: [run() for _ in range(RUNS)])


def paused(run: Any) -> float:
    total = 0.0
    for _ in range(RUNS):
        time.sleep(0.01)
        total += timed(run)
    return total


def beside_writer(run: Any) -> float:
    """Until both are done: RUNS inferences, and as many PNGs on another thread."""

    def both() -> None:
        writer = threading.Thread(target=lambda: [write_png() for _ in range(RUNS)])
        writer.start()
        for _ in range(RUNS):
            run()
        writer.join()

    return timed(both)


def timed(work: Any) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def main() -> None:
    card = print_card()
    model = conv_graph()
    feed = {"x": np.random.default_rng(1).normal(size=(1, CHANNELS, SIDE, SIDE)).astype(np.float32)}
    cores = len(os.sched_getaffinity(0))
    counts = sorted({1, max(1, cores // 2), cores})
    settings = list(itertools.product(counts, (True, False)))
    uses = {"alone": alone, "paused": paused, "beside a PNG writer": beside_writer}
    found: dict[tuple[str, int, bool], list[float]] = {}
    for number in range(ROUNDS + 1):
        for threads, spinning in settings:
            # One session at a time: an idle one that still spins would disturb the next.
            opened = session(model, threads, spinning)
            run = lambda opened=opened: opened.run(None, feed)  # noqa: E731
            run()
            run()
            for use, measure in uses.items():
                seconds = measure(run)
                if number:  # the first round is warm-up
                    found.setdefault((use, threads, spinning), []).append(seconds * 1000 / RUNS)
            del run, opened
    rows = []
    for (use, threads, spinning), values in sorted(found.items()):
        quartiles = statistics.quantiles(values, n=4)
        rows.append([use, threads, spinning, *(round(q, 1) for q in quartiles)])
        print(
            f"{use:22} threads {threads}  spinning {spinning!s:5}  p25 {quartiles[0]:6.1f}  "
            f"p50 {quartiles[1]:6.1f}  p75 {quartiles[2]:6.1f} ms per run"
        )
    print_json("session_settings", card, rows=rows)


PHOTO = np.random.default_rng(2).normal(128, 12, (256, 512)).clip(0, 255).astype(np.uint8)

if __name__ == "__main__":
    main()
