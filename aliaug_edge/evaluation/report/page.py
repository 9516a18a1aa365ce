"""The evaluation's report: one HTML file with everything in it, drawn from the document alone."""

from __future__ import annotations

import html
from collections.abc import Mapping, Sequence
from typing import Any

from aliaug_edge.evaluation.report.figures import (
    difference_figure,
    groups_figure,
    level_figure,
    ratio_figure,
)
from aliaug_edge.evaluation.report.tables import (
    Table,
    aim_table,
    class_table,
    comparison_table,
    insertion_table,
    level_table,
    otherwise_table,
    share_table,
)
from aliaug_edge.evaluation.report.words import (
    HOLM,
    PER_CLASS,
    PRIMARY,
    QUICK,
    VERDICTS,
    condition_sentence,
    dominance_sentence,
    gaps,
    verdict_sentence,
)
from aliaug_edge.report.data import PictureRow
from aliaug_edge.report.html import page
from aliaug_edge.report.parts import definition_list, figures, table, value_text

NO_BREAK = "\u00a0"
TITLE = "Does it help a detector?"
_KINDS = {"gain": "passed", "loss": "failed", "none": "warned", "open": "warned"}
_NOT_SHOWN = ("schema", "conditions", "folds", "quick", "primary", "secondary", "seeds")

Document = Mapping[str, Any]
Blocks = Sequence[tuple[str, Sequence[PictureRow]]]


def render_page(document: Document, protocol: Document, blocks: Blocks) -> str:
    """The report as HTML; equal arguments give equal text. Everything that is shown is escaped."""
    sections = [
        ("Level of each condition", _levels(document)),
        ("Difference to classic", _differences(document)),
        ("Aims", _table(aim_table(document))),
        ("Amount of synthetic defects", _amounts(document)),
        ("Group by group", _groups(document)),
        ("Class by class", _classes(document)),
        ("Insertions kept and rejected", _table(insertion_table(document))),
        ("What is compared", _conditions(document)),
        ("Pictures of the pools", _pictures(blocks)),
        ("Protocol", _protocol(protocol)),
        ("Raw scores", _raw(document)),
    ]
    notes = "".join(f'<p class="warned">{html.escape(line)}</p>' for line in gaps(document))
    return page(TITLE, _head(document), notes, sections)


def _head(document: Document) -> str:
    verdict = document["primary"]["verdict"]
    test = document["test_set"]
    facts = [
        ("Tried on", _tried_on(test)),
        ("Runs", f"{len(document['seeds'])} seeds × {document['folds']} folds × "
         f"{len(document['conditions'])} conditions"),
    ]  # fmt: skip
    quick = _banner("warned", "Decides nothing", QUICK) if document["quick"] else ""
    kind = "warned" if document["quick"] else _KINDS[verdict]
    return (
        quick
        + _banner(kind, VERDICTS[verdict], verdict_sentence(document))
        + f"<p>{html.escape(PRIMARY)}</p>"
        + definition_list(facts)
    )


def _tried_on(test: Document) -> str:
    return (
        f"{test['defects']} defect photos of {test['groups']} groups, {test['goods']} good photos"
    )


def _banner(kind: str, title: str, text: str) -> str:
    return f'<div class="banner {kind}"><b>{html.escape(title)}</b><p>{html.escape(text)}</p></div>'


def _levels(document: Document) -> str:
    return (
        _muted(
            "Bar: 95 % interval over groups. Upright tick: mean. Circles: single seeds. The bars "
            "of two conditions may overlap though their difference is clear, for both were tried "
            "on the same groups; the next section shows differences."
        )
        + level_figure(document)
        + _table(level_table(document))
        + _muted(dominance_sentence(document["test_set"]))
    )


def _differences(document: Document) -> str:
    otherwise = otherwise_table(document)
    primary = document["primary"]
    return (
        _muted("Paired by group and seed. The bold row is the one that decides.")
        + difference_figure(document)
        + _table(comparison_table(document["comparisons"]))
        + _muted(HOLM)
        + (
            f"<h3>{html.escape(primary['a'])} less {html.escape(primary['b'])}, other measures"
            f"</h3>{_table(otherwise)}"
            if otherwise[1]
            else ""
        )
    )


def _amounts(document: Document) -> str:
    shares = share_table(document)
    return ratio_figure(document) + (_table(shares) if shares[1] else "")


def _groups(document: Document) -> str:
    chart = groups_figure(document)
    if not chart:
        return ""
    return (
        _muted("A point is a group of the test side, its AP averaged over seeds; above the line "
               "the detector is better with our synthetic defects.")
        + chart
    )  # fmt: skip


def _classes(document: Document) -> str:
    found = class_table(document)
    rows = [
        [
            row["class"],
            str(row["defects"]),
            str(row["groups"]),
            str(row["positives"]),
        ]
        for row in document["test_set"]["classes"]
    ]
    if not found[1]:
        return ""
    return (
        _muted(PER_CLASS)
        + _table(found)
        + _table((["class", "test photos", "groups", "defect pixels"], rows))
    )


def _conditions(document: Document) -> str:
    return definition_list(
        (row["name"], f"{row['title']}. {condition_sentence(row).capitalize()}.")
        for row in document["conditions"]
    )


def _pictures(blocks: Blocks) -> str:
    intro = _muted(
        "Cut out around the mask, pixel by pixel. Copy-paste and our generator work at the same "
        "places of the same good photos. Click a picture to enlarge it."
    )
    body = "".join(
        f"<h3>{html.escape(heading)}</h3>" + "".join(map(_picture_row, rows))
        for heading, rows in blocks
    )
    return intro + body if body else ""


def _picture_row(row: PictureRow) -> str:
    return (
        f'<div class="sample"><header><b>{html.escape(row.title)}</b> <span class="caption">'
        f"{html.escape(row.caption)}</span></header>{figures(row.pictures, 'real')}</div>"
    )


def _protocol(protocol: Document) -> str:
    """What was fixed before the first result; protocol.json has all of it."""
    return definition_list(
        (key.replace("_", " "), value_text(value))
        for key, value in sorted(protocol.items())
        if key not in _NOT_SHOWN
    )


def _raw(document: Document) -> str:
    """Links to the per-image scores that every number above comes from."""
    rows = "".join(
        f"<dt>{html.escape(row['name'])}</dt><dd>"
        + " · ".join(
            f'<a href="{html.escape(path, quote=True)}">{html.escape(_short(path))}</a>'
            for path in row["files"]
        )
        + "</dd>"
        for row in document["conditions"]
        if row["files"]
    )
    return _muted(
        "Scores of every photo, one file per detector; paths from this file's folder."
    ) + (f"<dl>{rows}</dl>" if rows else "")


def _short(path: str) -> str:
    """runs/fold-0/classic/seed-1.json as "fold 0 seed 1"."""
    _, fold, _, seed = path.removesuffix(".json").split("/")
    return f"{fold} {seed}".replace("-", " ")


def _muted(text: str) -> str:
    return f'<p class="muted">{html.escape(text)}</p>'


def _table(found: Table) -> str:
    """Empty without rows; only the first column may break its lines."""
    header, rows = found
    kept = [[row[0], *(cell.replace(" ", NO_BREAK) for cell in row[1:])] for row in rows]
    return table(header, kept) if rows else ""
