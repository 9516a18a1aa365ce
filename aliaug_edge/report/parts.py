"""Pieces of HTML that several sections use. Every text that comes in is escaped here."""

from __future__ import annotations

import base64
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

from aliaug_edge.report.data import Picture

LONGEST_VALUE = 300  # characters; the JSON that it comes from has the rest
SMALL_PX = 240  # about a column's width: smaller pictures are enlarged there, pixel by pixel


def definition_list(facts: Iterable[tuple[str, str]]) -> str:
    """A list of names and values; empty text when there are none."""
    lines = "".join(f"<dt>{escape(name)}</dt><dd>{escape(value)}</dd>" for name, value in facts)
    return f"<dl>{lines}</dl>" if lines else ""


def figure(picture: Picture) -> str:
    """A picture that enlarges when clicked, with its title below."""
    uri = "data:image/png;base64," + base64.b64encode(picture.png).decode("ascii")
    title = escape(picture.title)
    small = ' class="small"' if picture.width <= SMALL_PX else ""
    return (
        f'<figure><label><input type="checkbox" aria-label="enlarge {title}">'
        f'<img{small} src="{uri}" width="{picture.width}" height="{picture.height}" alt="{title}">'
        f"</label><figcaption>{title}</figcaption></figure>"
    )


def figures(pictures: Sequence[Picture], kind: str = "") -> str:
    """Pictures side by side."""
    return f'<div class="pictures {kind}">{"".join(map(figure, pictures))}</div>'


@dataclass(frozen=True)
class Html:
    """Text that is HTML already, made by our own code."""

    text: str


def table(
    header: Sequence[str], rows: Sequence[Sequence[str | Html]], *, last_is_total: bool = False
) -> str:
    """A table; cells are escaped unless they are `Html`."""
    head = "".join(f"<th>{escape(cell)}</th>" for cell in header)
    body = ""
    for number, row in enumerate(rows, start=1):
        total = ' class="total"' if last_is_total and number == len(rows) else ""
        body += f"<tr{total}>{''.join(f'<td>{_cell(cell)}</td>' for cell in row)}</tr>"
    inner = f"<thead><tr>{head}</tr></thead><tbody>{body}</tbody>"
    return f'<div class="wide"><table>{inner}</table></div>'


def legend(colours: dict[str, str]) -> str:
    """Names with their colours."""
    items = "".join(
        f'<span><i style="background:{colour}"></i>{escape(name)}</span>'
        for name, colour in colours.items()
    )
    return f'<div class="legend">{items}</div>'


def section_id(title: str) -> str:
    """A title as an anchor: "Kept, rejected" becomes "kept-rejected"."""
    return re.sub(r"[^a-z0-9]+", "-", title.lower()).strip("-")


def value_text(value: Any) -> str:
    """A JSON value in words, cut where it is long."""
    text = _whole_text(value)
    return text if len(text) <= LONGEST_VALUE else f"{text[:LONGEST_VALUE]} …"


def _whole_text(value: Any) -> str:
    if value is None:
        return "–"
    if isinstance(value, Mapping):
        parts = (f"{key}: {_whole_text(entry)}" for key, entry in sorted(value.items()))
        return ", ".join(parts) or "–"
    if isinstance(value, list | tuple):
        return ", ".join(map(_whole_text, value)) or "–"
    return str(value)


def _cell(cell: str | Html) -> str:
    return cell.text if isinstance(cell, Html) else escape(cell)
