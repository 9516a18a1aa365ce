"""What a report shows of an engine that was timed on its GPU: the part `gpu` of a profile."""

from __future__ import annotations

from collections.abc import Iterable
from html import escape
from types import NoneType
from typing import Any

from aliaug_edge.profiling.gpu_text import QUANTITIES, floor_text, state_text
from aliaug_edge.profiling.table import shown
from aliaug_edge.report import svg
from aliaug_edge.report.parts import Html, definition_list, legend, table, value_text

_PERCENTILES = ("p50", "p90", "p95", "p99", "max")
_NUMBER = (int, float)
_NUMBER_OR_NULL = (int, float, NoneType)
_LATENCY = {
    **dict.fromkeys([f"{name}_ms" for name in (*_PERCENTILES, "mean")], _NUMBER),
    "cov_percent": _NUMBER_OR_NULL,
}
# What is taken from the part, in the words of `read.misfit`.
PASTE = {"queries": [{"name": str, **_LATENCY}], "problem": (str, NoneType)}
SHAPE = {
    "queries": [{"name": str, **_LATENCY}],
    "stages": [{"stage": str, "share_of_peak": _NUMBER_OR_NULL, **_LATENCY}],
    "batches": [{"batch": int, "images_per_s": _NUMBER_OR_NULL, "problem": (str, NoneType)}],
    "memory": dict,
    "floor": dict.fromkeys(("share", "floor_ms", "peak_gflops_f16"), _NUMBER_OR_NULL),
    "state": {
        "during": {
            **dict.fromkeys(QUANTITIES, _NUMBER_OR_NULL),
            "throttling": (list, NoneType),
        }
    },
}


def gpu_block(gpu: dict[str, Any]) -> str:
    """A picture of where the time on the device goes, the table under it, and its conditions."""
    facts = [(f"batch {row['batch']}", _batch_text(row)) for row in gpu["batches"]]
    memory = {key.removesuffix("_mib"): value for key, value in gpu["memory"].items()}
    facts.append(("device memory, MiB", value_text(memory)))
    if gpu["floor"]["share"] is not None:
        facts.append(("floor", floor_text(gpu["floor"])))
    facts.append(("under load", state_text(gpu["state"]["during"])))
    graph = "as one CUDA graph" if gpu.get("cuda_graph") else "call by call"
    return (
        f'<h4>On the device</h4><p class="muted">By CUDA events, batch 1, enqueued {graph}; the '
        "stages are from runs of their own.</p>"
        f"{_chart(gpu)}{_table([*gpu['queries'], *gpu['stages']])}{definition_list(facts)}"
        f"{_paste_block(gpu.get('paste'))}"
    )


def _paste_block(paste: dict[str, Any] | None) -> str:
    """What `generate` runs, crop and blend on the device; empty where that was not timed."""
    if paste is None:
        return ""
    intro = "uint8 to uint8, one crop at a time: cut, generate and blend on the device"
    said = f"{intro}; not timed: {paste['problem']}" if paste["problem"] else intro
    body = f'<h4>What generate runs</h4><p class="muted">{escape(said)}.</p>'
    if not paste["queries"]:
        return body
    mean = {row["name"]: row["mean_ms"] for row in paste["queries"]}
    crop = [(name, mean[name]) for name in ("upload", "compute", "download") if name in mean]
    return body + _bars([("a crop", crop)]) + _table(paste["queries"])


def _chart(gpu: dict[str, Any]) -> str:
    mean = {row["name"]: row["mean_ms"] for row in gpu["queries"]}
    run = [(name, mean[name]) for name in ("h2d", "compute", "d2h") if name in mean]
    apart = [(row["stage"], row["mean_ms"]) for row in gpu["stages"]]
    rows = [row for row in (("a run", run), ("  its stages apart", apart)) if row[1]]
    return _bars(rows)


def _bars(rows: list[tuple[str, list[tuple[str, float]]]]) -> str:
    colours = svg.part_colours([name for _, parts in rows for name, _ in parts])
    return svg.stacked_bars(rows) + legend(colours) if rows else ""


def _table(latencies: Iterable[dict[str, Any]]) -> str:
    rows: list[list[str | Html]] = [
        [
            str(row.get("name") or row.get("stage")),
            *(shown(row[f"{name}_ms"], 3) for name in _PERCENTILES),
            shown(row["cov_percent"], 1),
            "–" if row.get("share_of_peak") is None else f"{100 * row['share_of_peak']:.0f} %",
        ]
        for row in latencies
    ]
    return table(["ms", *_PERCENTILES, "CoV %", "of peak"], rows)


def _batch_text(row: dict[str, Any]) -> str:
    rate = row["images_per_s"]
    return row["problem"] or f"{shown(rate, 1)} images/s from array to array"
