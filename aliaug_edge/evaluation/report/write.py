"""Writes what an evaluation says: results.json, table.txt and report.html."""

from __future__ import annotations

from pathlib import Path

from aliaug_edge import files
from aliaug_edge.evaluation.report.document import summarise
from aliaug_edge.evaluation.report.page import render_page
from aliaug_edge.evaluation.report.read import read_protocol
from aliaug_edge.evaluation.report.samples import sample_rows
from aliaug_edge.evaluation.report.tables import table_text

RESULTS, TABLE, REPORT = "results.json", "table.txt", "report.html"


def write_report(out: Path, *, pictures: bool = True) -> Path:
    """Write the three files into the run folder `out` and return the report's path.

    The run may be unfinished: the report says so. Without `pictures` no pixel of the data gets in.
    Equal folders give equal bytes.

    Raises:
        AliAugError: as `summarise`, a pool cannot be read, or a file cannot be written.
    """
    document = summarise(out)
    blocks = sample_rows(out) if pictures else []
    html = render_page(document, read_protocol(out), blocks)
    files.write_json(out / RESULTS, document)
    files.write_text(out / TABLE, table_text(document))
    files.write_text(out / REPORT, html)
    return out / REPORT
