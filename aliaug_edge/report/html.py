"""The report as one HTML file: pictures as data URIs, inline CSS and SVG, no script, no network."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from aliaug_edge import __version__
from aliaug_edge.report.data import ReportData
from aliaug_edge.report.parts import definition_list, section_id
from aliaug_edge.report.sections import (
    commands_section,
    counts_section,
    parity_section,
    pictures_section,
    profile_section,
    provenance_section,
    training_section,
)
from aliaug_edge.report.style import CSS

_SECTIONS = (
    ("Pictures", pictures_section),
    ("Kept, rejected, failed", counts_section),
    ("Training", training_section),
    ("Parity", parity_section),
    ("Latency", profile_section),
    ("Commands", commands_section),
    ("Provenance", provenance_section),
)


def render_report(data: ReportData) -> str:
    """The report as HTML; equal data give equal text. Everything that is shown is escaped."""
    notes = "".join(f'<p class="warned">{escape(note)}</p>' for note in data.notes)
    sections = [(title, section(data)) for title, section in _SECTIONS]
    return page(data.title, definition_list(data.facts), notes, sections)


def page(title: str, head: str, notes: str, sections: Sequence[tuple[str, str]]) -> str:
    """A whole HTML file: heading and `head`, links to the sections, `notes`, the sections.

    `head`, `notes` and the sections' bodies are HTML; a section with an empty body is left out.
    Half surrogates, as Python makes of file names that are no text, are shown as `\\udcff`.
    """
    present = [(name, body) for name, body in sections if body]
    links = "".join(f'<a href="#{section_id(name)}">{escape(name)}</a>' for name, _ in present)
    bodies = "".join(
        f'<section><h2 id="{section_id(name)}">{escape(name)}</h2>{body}</section>'
        for name, body in present
    )
    html = (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(title)}</title><style>{CSS}</style></head><body><main>"
        f"<h1>{escape(title)}</h1>{head}"
        f"<nav>{links}</nav>{notes}{bodies}"
        f"<footer>Made by aliaug-edge {escape(__version__)}. Generated images are synthetic: for "
        "training, never for testing.</footer></main></body></html>\n"
    )
    return html.encode("utf-8", "backslashreplace").decode("utf-8")
