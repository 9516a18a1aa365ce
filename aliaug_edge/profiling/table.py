"""A profile as text: one row per stage, then what holds for all of them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from aliaug_edge.profiling.gpu_text import gpu_lines
from aliaug_edge.profiling.latency import slowest_pass

STAGE_NAMES = {
    "read": "read",
    "preprocess": "preprocess",
    "encode": "encode",
    "unet": "U-Net",
    "decode": "decode",
    "generator": "generator (fused)",
    "blend": "blend",
    "write": "write",
    "end_to_end": "end to end",
}
_COLUMNS = ("p50", "p90", "p95", "p99", "max")


def profile_text(profile: dict[str, Any]) -> str:
    """`profile` as `profile_bundle` returns it, for people."""
    return "".join(f"{line}\n" for line in _lines(profile))


def shown(value: float | None, digits: int = 2) -> str:
    """A number, or a dash for what is not known."""
    return "–" if value is None else f"{value:.{digits}f}"


def _lines(profile: dict[str, Any]) -> Iterator[str]:
    bundle, machine = profile["bundle"], profile["machine"]
    height, width = profile["size"]
    yield (
        f"{bundle['name']}, {bundle['conditioning']}, {bundle['precision']}, "
        f"{height} x {width}, batch 1"
    )
    yield (
        f"{machine['cpu']}, {machine['physical_cores']} cores, "
        f"{shown(machine['memory_gib'], 1)} GiB, Python {machine['python']}"
    )
    for engine in profile["engines"]:
        yield ""
        yield from _engine_lines(engine)
    yield ""
    yield "encode, U-Net and decode are the fused generator's parts, run one by one;"
    yield "end to end = read + preprocess + generator + blend + write;"
    yield "generate also places the mask, scores the result and outlines its labels"
    yield (
        f"peak memory {shown(profile['peak_rss_mib'], 0)} MiB (whole process), "
        f"model {shown(bundle['model_mb'])} MB, bundle {shown(bundle['bundle_mb'])} MB"
    )


def _engine_lines(engine: dict[str, Any]) -> Iterator[str]:
    threads = "" if engine["threads"] is None else f", {counted(engine['threads'], 'thread')}"
    yield f"{engine['name']} {engine['version'] or ''}{threads}".replace(" ,", ",")
    header = ["ms", *_COLUMNS, "CoV %", "GFLOP", "GFLOP/s", "of peak"]
    yield from _aligned([header, *(_cells(row) for row in engine["stages"])])
    batches = ", ".join(
        f"{batch['images_per_s']:.1f} at batch {batch['batch']}" for batch in engine["batches"]
    )
    alone = f"; generator alone {batches}" if batches else ""
    yield f"images/s: {engine['images_per_s']:.1f} end to end{alone}"
    if engine["peak_gflops_f32"] is not None:
        yield f"measured peak: {engine['peak_gflops_f32']:.0f} GFLOP/s (FP32 matrix product)"
    yield passes_text(engine)
    if "gpu" in engine:
        yield from gpu_lines(engine["gpu"])


def passes_text(engine: dict[str, Any]) -> str:
    """How many passes there were, and which percentiles that is too few for."""
    count = engine["stages"][-1]["count"]
    text = f"{counted(count, 'pass', 'passes')}, nothing dropped"
    same = ", ".join(slowest_pass(count))
    return f"{text}; too few for {same}, shown is the slowest pass" if same else text


def _cells(row: dict[str, Any]) -> list[str]:
    share = row["share_of_peak"]
    return [
        STAGE_NAMES.get(row["stage"], row["stage"]),
        *(shown(row[f"{column}_ms"]) for column in _COLUMNS),
        shown(row["cov_percent"], 1),
        shown(row["gflop"]),
        shown(row["gflops"], 1),
        "–" if share is None else f"{100 * share:.0f} %",
    ]


def _aligned(rows: Sequence[Sequence[str]]) -> Iterator[str]:
    """First column to the left, numbers to the right."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        first, *rest = (
            cell.ljust(width) if index == 0 else cell.rjust(width)
            for index, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        yield "  ".join([first, *rest])


def counted(number: int, singular: str, plural: str | None = None) -> str:
    """ "1 thread", "2 threads"."""
    return f"{number} {singular if number == 1 else plural or singular + 's'}"
