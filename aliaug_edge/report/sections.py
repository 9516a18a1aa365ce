"""The sections of the report, one function each: data in, HTML out, empty for nothing."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape
from typing import Any

from aliaug_edge.profiling.stages import FUSED, STAGED_STAGES
from aliaug_edge.profiling.table import STAGE_NAMES, counted, passes_text, shown
from aliaug_edge.report import svg
from aliaug_edge.report.data import ClassPictures, Curve, ReportData
from aliaug_edge.report.gpu import gpu_block
from aliaug_edge.report.parity import parity_rows, tolerance_text
from aliaug_edge.report.parts import (
    Html,
    definition_list,
    figures,
    legend,
    table,
    value_text,
)

_TALLY = {"kept": "#5a9367", "rejected": "#d9a02b", "failed": "#b5485d"}
_PERCENTILES = ("p50", "p90", "p95", "p99", "max")


def pictures_section(data: ReportData) -> str:
    """Generated samples by class, real defects beside them."""
    if not data.classes:
        return ""
    intro = (
        '<p class="muted">Each row: the good part, the mask that was asked for, what was '
        "generated, the difference amplified four times, and the whole photo. The first four are "
        "the crop that the model worked on, pixel by pixel. Click a picture to enlarge it.</p>"
    )
    return intro + "".join(_class_block(entry) for entry in data.classes)


def counts_section(data: ReportData) -> str:
    """What became of the requests, per class and in all."""
    if not data.counts:
        return ""
    total = {status: sum(c[status] for c in data.counts.values()) for status in _TALLY}
    rows = [_count_row(name, counts) for name, counts in [*data.counts.items(), ("all", total)]]
    header = ["class", "requested", *_TALLY, ""]
    reasons = [[reason, str(number)] for reason, number in data.reasons]
    return table(header, rows, last_is_total=True) + (
        table(["why not kept", "samples"], reasons) if reasons else ""
    )


def training_section(data: ReportData) -> str:
    """Loss curves, and strips of samples from early to late."""
    if not data.curves and not data.strips:
        return ""
    charts = "".join(
        _chart(curve, svg.PALETTE[number % len(svg.PALETTE)])
        for number, curve in enumerate(data.curves)
    )
    key = (
        '<div class="legend"><span><i class="thin" style="background:#3b6ea5;opacity:.35"></i>as '
        'logged</span><span><i class="thin" style="background:#3b6ea5"></i>running mean</span>'
        "<span>horizontal: step</span></div>"
    )
    body = f'{key}<div class="charts">{charts}</div>' if charts else ""
    if data.strips:
        body += "<h3>Samples during training</h3>" + figures(data.strips, "strip")
    return body


def parity_section(data: ReportData) -> str:
    """Whether the exported graphs reproduce the model that they came from."""
    if not data.parity:
        return ""
    verdict = str(data.parity.get("verdict", "unknown"))
    kind = {"passed": "passed", "failed": "failed"}.get(verdict, "warned")
    head = (
        f'<p>Exported graphs against the model they came from: <span class="verdict {kind}">'
        f"{escape(verdict)}</span>. {escape(tolerance_text(data.parity))}</p>"
    )
    rows: list[list[str | Html]] = [
        [*row.cells, Html(f'<span class="verdict {row.verdict}">{escape(row.verdict)}</span>')]
        for row in parity_rows(data.parity)
    ]
    header = ["tensor", "size", "seeds", "max abs", "PSNR dB", "max grey levels", "verdict"]
    return head + (table(header, rows) if rows else "")


def profile_section(data: ReportData) -> str:
    """Where the milliseconds go, per engine."""
    if not data.profile:
        return ""
    size = data.profile.get("size") or ["?", "?"]
    engines = data.profile.get("engines") or []
    machine = data.profile.get("machine") or {}
    facts = [(str(k).replace("_", " "), value_text(v)) for k, v in machine.items()]
    facts.append(("peak memory", f"{shown(data.profile.get('peak_rss_mib'), 0)} MiB"))
    body = f"<p>One crop of {size[0]} × {size[1]} pixels, from image file to finished files.</p>"
    body += _profile_chart(engines) + "".join(_engine_block(engine) for engine in engines)
    for warning in data.profile.get("warnings") or []:
        body += f'<p class="warned">{escape(str(warning))}</p>'
    return f"{body}<h3>Machine</h3>{definition_list(facts)}"


def commands_section(data: ReportData) -> str:
    """The commands that made all this, in order."""
    if not data.commands:
        return ""
    lines = "".join(f"<li><code>{escape(command)}</code></li>" for command in data.commands)
    return f'<ol class="commands">{lines}</ol>'


def provenance_section(data: ReportData) -> str:
    """Hashes, versions and settings."""
    return definition_list(
        (name.replace("_", " "), value_text(value)) for name, value in data.provenance.items()
    )


def _class_block(entry: ClassPictures) -> str:
    rows = "".join(
        f'<div class="sample"><header><b>{escape(row.title)}</b> '
        f'<span class="caption">{escape(row.caption)}</span></header>{figures(row.pictures)}</div>'
        for row in entry.rows
    )
    real = ""
    if entry.real:
        real = (
            f'<div class="sample"><header><b>Real {escape(entry.defect_class)}</b> '
            '<span class="caption">from the training data, to compare</span></header>'
            f"{figures(entry.real, 'real')}</div>"
        )
    return f"<h3>{escape(entry.defect_class)}</h3>{real}{rows}"


def _count_row(name: str, counts: Mapping[str, int]) -> list[str | Html]:
    total = sum(counts[status] for status in _TALLY)
    bars = "".join(
        f'<b style="width:{100 * counts[status] / max(total, 1):.2f}%;background:{colour}"></b>'
        for status, colour in _TALLY.items()
    )
    numbers = [str(counts[status]) for status in _TALLY]
    return [name, str(total), *numbers, Html(f'<span class="tally">{bars}</span>')]


def _chart(curve: Curve, colour: str) -> str:
    first, last = curve.points[0][1], curve.points[-1][1]
    return (
        f'<div class="chart"><h4>{escape(curve.name)}<span>{first:.4g} → {last:.4g}</span></h4>'
        f"{svg.line_chart(curve, colour)}</div>"
    )


def _profile_chart(engines: list[dict[str, Any]]) -> str:
    rows = []
    for engine in engines:
        mean = {row["stage"]: row["mean_ms"] for row in engine["stages"]}
        label = str(engine.get("spec") or engine["name"])
        rows.append((label, [(STAGE_NAMES[s], mean[s]) for s in FUSED if s in mean]))
        if staged := [(STAGE_NAMES[s], mean[s]) for s in STAGED_STAGES if s in mean]:
            rows.append(("  its three graphs apart", staged))
    colours = svg.part_colours([name for _, parts in rows for name, _ in parts])
    return svg.stacked_bars(rows) + legend(colours) if rows else ""


def _engine_block(engine: dict[str, Any]) -> str:
    rows = [
        [
            STAGE_NAMES.get(row["stage"], str(row["stage"])),
            *(shown(row.get(f"{name}_ms")) for name in _PERCENTILES),
            shown(row.get("cov_percent"), 1),
            shown(row.get("gflop")),
            shown(row.get("gflops"), 1),
            "–" if row.get("share_of_peak") is None else f"{100 * row['share_of_peak']:.0f} %",
        ]
        for row in engine["stages"]
    ]
    header = ["stage, ms", *_PERCENTILES, "CoV %", "GFLOP", "GFLOP/s", "of peak"]
    batches = ", ".join(
        f"{shown(entry['images_per_s'], 1)} at batch {entry['batch']}"
        for entry in engine.get("batches") or []
    )
    threads = f", {counted(engine['threads'], 'thread')}" if engine.get("threads") else ""
    peak = engine.get("peak_gflops_f32")
    facts = f"{shown(engine.get('images_per_s'), 1)} images/s end to end"
    facts += f"; generator alone {batches}" if batches else ""
    facts += f"; measured peak {peak:.0f} GFLOP/s" if peak else ""
    facts += f"; {passes_text(engine)}"
    title = f"{engine['name']} {engine.get('version') or ''}".strip() + threads
    return (
        f"<h3>{escape(title)}</h3>{table(header, rows, last_is_total=True)}"
        f'<p class="muted">{escape(facts)}.</p>'
        f"{gpu_block(engine['gpu']) if 'gpu' in engine else ''}"
    )
