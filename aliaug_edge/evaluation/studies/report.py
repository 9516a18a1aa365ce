"""What a study leaves: one JSON document, and a table and a page drawn from it alone."""

from __future__ import annotations

import html
import textwrap
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from aliaug_edge import files
from aliaug_edge.evaluation.report.intervals import IntervalRow, interval_chart
from aliaug_edge.evaluation.studies.study import Result, StudySettings, summary
from aliaug_edge.report.html import page
from aliaug_edge.report.parts import definition_list, table
from aliaug_edge.report.svg import part_colours

SCHEMA = 1
RESULTS, TABLE, PAGE = "results.json", "table.txt", "report.html"
QUICK = "A quick run tries the machinery. Its numbers decide nothing."
SPREAD = {
    "seeds": "Mean over training or noise seeds, with the range from the lowest to the highest.",
    "scenes": "Median over the scenes, with the quartiles.",
}
UNKNOWN = "–"
TEXT_WIDTH = 100
Document = dict[str, Any]


def document_of(result: Result, settings: StudySettings) -> Document:
    """The result as plain JSON data; of the user's paths the last part alone."""
    shown = {**asdict(settings), "classes": list(settings.classes)}
    for key in ("data", "groups", "run"):
        if shown[key] is not None:
            shown[key] = Path(shown[key]).name
    if Path(settings.base).is_dir():
        shown["base"] = Path(settings.base).name
    return {
        "schema": SCHEMA,
        "study": result.name,
        "title": result.title,
        "quick": settings.quick,
        "decides": not settings.quick,
        "settings": shown,
        "spread": SPREAD[result.spread],
        "measures": [asdict(measure) for measure in result.measures],
        "rows": [
            {
                "factor": row.factor,
                "label": row.label,
                "values": row.values,
                "summary": {
                    measure.key: summary(row.values.get(measure.key, []), result.spread)
                    for measure in result.measures
                },
            }
            for row in result.rows
        ],
        "notes": list(result.notes),
    }


def write_report(document: Document, out: Path) -> None:
    """Write results.json, table.txt and report.html into `out`."""
    files.write_json(out / RESULTS, document)
    files.write_text(out / TABLE, table_text(document))
    files.write_text(out / PAGE, page_text(document))


def table_text(document: Document) -> str:
    """The rows as plain text, a column per measure, with what there is to know about them."""
    header = ["", "", *(measure["title"] for measure in document["measures"])]
    rows = [
        [row["factor"], row["label"], *_cells(document, row, with_range=False)]
        for row in document["rows"]
    ]
    keys = [f"[{i}] {title}" for i, title in enumerate(header[2:], 1)]
    short = ["", "", *(f"[{i}]" for i in range(1, len(keys) + 1))]
    widths = [max(len(line[i]) for line in [short, *rows]) for i in range(len(short))]
    lines = [document["title"], *([QUICK] if document["quick"] else []), "", *keys, ""]
    for line in [short, *rows]:
        left = [cell.ljust(width) for cell, width in zip(line[:2], widths[:2], strict=True)]
        right = [cell.rjust(width) for cell, width in zip(line[2:], widths[2:], strict=True)]
        lines.append("  ".join([*left, *right]).rstrip())
    words = [textwrap.fill(note, TEXT_WIDTH) for note in (document["spread"], *document["notes"])]
    return "\n".join([*lines, "", *words]) + "\n"


def page_text(document: Document) -> str:
    """One self-contained HTML page; equal documents give equal text."""
    head = _paragraph(QUICK, "warned") if document["quick"] else ""
    head += definition_list(_facts(document["settings"]))
    head += "".join(_paragraph(note) for note in document["notes"])
    header = ["", "", *(measure["title"] for measure in document["measures"])]
    rows = [
        [row["factor"], row["label"], *_cells(document, row, with_range=True)]
        for row in document["rows"]
    ]
    body = _paragraph(document["spread"], "muted") + table(header, rows)
    charts = [(measure["title"], _chart(document, measure)) for measure in document["measures"]]
    return page(document["title"], head, "", [("Table", body), *charts])


def _chart(document: Document, measure: Mapping[str, Any]) -> str:
    """A row per case with its range and single values; the references as upright lines."""
    colours = part_colours([row["factor"] for row in document["rows"]])
    rows, marks = [], {}
    for row in document["rows"]:
        found = row["summary"][measure["key"]]
        if found is None:
            continue
        if row["factor"] == "reference":
            marks[row["label"]] = found["middle"]
            continue
        values = row["values"][measure["key"]]
        rows.append(
            IntervalRow(
                row["label"],
                found["middle"],
                found["low"],
                found["high"],
                colours[row["factor"]],
                tuple(values) if document["spread"] == SPREAD["seeds"] else (),
            )
        )
    words = {"lower": "Lower is better.", "higher": "Higher is better.", "neither": ""}
    chart = interval_chart(rows, measure["title"], marks, differences=False)
    return (_paragraph(words[measure["better"]], "muted") if chart else "") + chart


def _cells(document: Document, row: Mapping[str, Any], *, with_range: bool) -> list[str]:
    cells = []
    for measure in document["measures"]:
        found = row["summary"][measure["key"]]
        if found is None:
            cells.append(UNKNOWN)
            continue
        low, middle, high = (f"{found[k]:.{measure['digits']}f}" for k in ("low", "middle", "high"))
        ranged = with_range and found["count"] > 1
        cells.append(f"{middle} [{low}, {high}]" if ranged else middle)
    return cells


def _facts(settings: Mapping[str, Any]) -> list[tuple[str, str]]:
    shown = {**settings, **settings["budget"]}
    del shown["budget"]
    shown["classes"] = ", ".join(settings["classes"]) or "all"
    return [(key.replace("_", " "), str(v)) for key, v in shown.items() if v is not None]


def _paragraph(text: str, kind: str = "") -> str:
    return f'<p class="{kind}">{html.escape(text)}</p>' if text else ""
