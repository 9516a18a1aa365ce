"""What was found, as text: aims and floor beside the numbers."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

COLUMNS = ("p50", "p90", "p95", "p99", "max")
H100_FLOOR_TFLOPS = 800.0
# Of one H100 with SD-Turbo's geometry at batch 1: side, ms from uint8 to uint8.
AIMS_MS = {512: 11.0, 256: 3.5}
AIM_MIB = 2600.0


def lines(results: dict[str, Any]) -> Iterator[str]:
    """The whole table."""
    yield from _correctness(results["correctness"])
    yield from _speed(results)
    yield from _overlap(results)
    yield from _memory(results["memory"])
    yield ""
    yield "left out:" if results["missing"] else "nothing was left out"
    for entry in results["missing"]:
        yield f"  {entry['what']}: {entry['why']}"


def json_line(results: dict[str, Any]) -> str:
    """The one line that ends a run."""
    return json.dumps(results, sort_keys=True)


def floor_ms(results: dict[str, Any], side: int, batch: int) -> float | None:
    """What the FLOPs alone would take at this card's measured matrix rate."""
    work = results["flops"].get(str(side))
    rate = results["card"]["matrix_tflops_f16"]
    return batch * work / rate / 1e9 if work and rate else None


def _correctness(rows: list[dict[str, Any]]) -> Iterator[str]:
    yield ""
    yield "correctness, against torch in FP32 (or the first engine, without torch)"
    for row in rows:
        verdict = "right" if row["right"] else "WRONG"
        swaps = ", ".join(
            f"{kind} swap {'acts' if row[f'{kind}_acts'] else 'DOES NOT ACT'}"
            for kind in ("mask", "prompt")
        )
        yield (
            f"  {row['model']:<14} {row['engine']:<18} {row['psnr_db']:6.1f} dB "
            f"(limit {row['limit_db']:.0f}), {swaps}: {verdict}"
        )


def _speed(results: dict[str, Any]) -> Iterator[str]:
    yield ""
    kind = f"{(results['precision'] or 'no').upper()} engines, FP16 torch"
    yield f"speed of {results['subject']} ({kind}), ms, host arrays to host array (taking turns)"
    head = "".join(f"{name:>9}" for name in (*COLUMNS, "CoV %", "device", "img/s", "of floor"))
    yield f"  {'engine':<18}{'px':>5}{'batch':>6}{head}{'runs':>6}"
    for row in results["speed"]:
        wall, device = row["wall"], row["device"]
        floor = floor_ms(results, row["side"], row["batch"])
        inside = (device or wall)["p50_ms"]
        cells = [f"{wall[f'{name}_ms']:9.2f}" for name in COLUMNS]
        cells.append(_cell(wall["cov_percent"], 1))
        cells.append(_cell(device["p50_ms"] if device else None, 2))
        cells.append(f"{row['images_per_s']:9.1f}")
        cells.append("        –" if floor is None else f"{100 * floor / inside:8.0f}%")
        yield (
            f"  {row['engine']:<18}{row['side']:>5}{row['batch']:>6}{''.join(cells)}"
            f"{wall['count']:>6}"
        )
        if row.get("uncaptured"):
            yield f"    no CUDA graph, each kernel enqueued by itself: {row['uncaptured']}"
    if results["prompt"]:
        yield (
            f"  prompt encoder: {results['prompt']['uncached_p50_ms']:.2f} ms uncached, "
            "0 cached (bundles hold the embeddings)"
        )


def _overlap(results: dict[str, Any]) -> Iterator[str]:
    yield ""
    yield "pipeline"
    for row in results["generate"]:
        yield (
            f"  generate, {row['engine']}, {row['side']} px: {row['images_per_s']:.1f} images/s to "
            f"files, engine alone {row['engine_images_per_s']:.1f}; the engine has "
            f"{row['engine_share']:.0%} of the wall time"
        )
    for row in results["paste"]:
        one = row["one_at_a_time"]
        yield (
            f"  uint8 to uint8, {row['side']} px: p50 {one['p50_ms']:.2f}, p99 "
            f"{one['p99_ms']:.2f} ms one at a time; "
            f"{row['overlapped_images_per_s']:.1f} images/s with copies hidden"
        )
    for side, aim in AIMS_MS.items():
        floor = results["flops"].get(str(side))
        at_h100 = (
            f", floor {floor / H100_FLOOR_TFLOPS / 1e9:.1f} ms at 800 TFLOP/s" if floor else ""
        )
        yield f"  aim on an H100, {side} px, batch 1: {aim} ms uint8 to uint8{at_h100}"


def _memory(rows: list[dict[str, Any]]) -> Iterator[str]:
    yield ""
    yield f"memory, each engine alone in its process, batch 1 (aim {AIM_MIB:.0f} MiB at 512 px)"
    for row in rows:
        split = row["split"] or {}
        parts = ", ".join(f"{key.removesuffix('_mib')} {value}" for key, value in split.items())
        held = "unknown" if row["device_mib"] is None else f"{row['device_mib']:.0f} MiB"
        yield (
            f"  {row['engine']:<18} {row['side']} px: device {held}"
            f"{f' ({parts})' if parts else ''}, process {row['process_rss_mib']} MiB"
        )


def _cell(value: float | None, digits: int) -> str:
    return f"{'–':>9}" if value is None else f"{value:9.{digits}f}"
