"""Which numbers of the document go into which chart."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from aliaug_edge.evaluation.report.aims import OVER_CLASSIC
from aliaug_edge.evaluation.report.curves import GroupPoint, RatioPoint, groups_chart, ratio_chart
from aliaug_edge.evaluation.report.intervals import IntervalRow, interval_chart
from aliaug_edge.evaluation.report.numbers import signed
from aliaug_edge.report.parts import legend
from aliaug_edge.report.svg import part_colours

REAL, OTHERS, OURS, ALONE = "#77776f", "#d9822b", "#3b6ea5", "#7a68a6"
_LEGEND = {
    "real defects alone": REAL,
    "with synthetic ones by other means": OTHERS,
    "with ours": OURS,
    "synthetic alone": ALONE,
}

Document = Mapping[str, Any]


def level_figure(document: Document) -> str:
    """Every condition's AP per image, classic as a line through all."""
    primary = document["primary"]
    rows = [
        IntervalRow(
            label=row["name"],
            middle=row["ap"]["mean"],
            low=row["ap"]["low"],
            high=row["ap"]["high"],
            colour=_colour(row),
            dots=tuple(row["ap"]["by_seed"].values()),
            strong=row["name"] in (primary["a"], primary["b"]),
        )
        for row in document["conditions"]
        if row["ap"]
    ]
    classic = _row(document, primary["b"])["ap"]
    marks = {primary["b"]: classic["mean"]} if classic else {}
    chart = interval_chart(rows, "AP per image of each condition", marks, differences=False)
    return chart + _legend(document) if chart else ""


def difference_figure(document: Document) -> str:
    """Every comparison with the classic condition, with a line at zero."""
    primary = document["primary"]
    shown = [
        row
        for row in document["comparisons"]
        if row["difference"] is not None and row["b"] == primary["b"]
    ]
    rows = [
        IntervalRow(
            label=row["a"],
            middle=row["difference"],
            low=row["low"],
            high=row["high"],
            colour=_colour(_row(document, row["a"])),
            strong=row["kind"] == "primary",
        )
        for row in shown
    ]
    marks = (
        {"0": 0.0, f"aim {signed(OVER_CLASSIC)}": OVER_CLASSIC} if document["aims"] else {"0": 0.0}
    )
    title = f"Difference to {primary['b']} in AP per image"
    return interval_chart(rows, title, marks, differences=True)


def ratio_figure(document: Document) -> str:
    """AP per image over the ratio, classic as a line."""
    curves = {
        name: [RatioPoint(**{k: p[k] for k in ("ratio", "mean", "low", "high")}) for p in points]
        for name, points in document["ratios"].items()
    }
    if not curves:
        return ""
    primary = document["primary"]
    classic = _row(document, primary["b"])["ap"]
    marks = {primary["b"]: classic["mean"]} if classic else {}
    return ratio_chart(curves, "AP per image over the ratio", marks) + legend(
        part_colours(list(curves))
    )


def groups_figure(document: Document) -> str:
    """Each test group under classic and under ours; empty while one of them has no result."""
    primary = document["primary"]
    ours, classic = (_row(document, primary[key]) for key in ("a", "b"))
    shared = [group for group in classic["by_group"] if group in ours["by_group"]]
    points = [
        GroupPoint(
            group,
            document["group_classes"][group],
            classic["by_group"][group],
            ours["by_group"][group],
        )
        for group in shared
    ]
    if not points:
        return ""
    names = (primary["b"], primary["a"])
    return groups_chart(points, "AP per image of each test group", names) + legend(
        part_colours([point.defect_class for point in points])
    )


def _row(document: Document, name: str) -> Document:
    found: Sequence[Document] = [row for row in document["conditions"] if row["name"] == name]
    return found[0]


def _colour(row: Document) -> str:
    if not row["real"]:
        return ALONE
    return {"none": REAL, "generated": OURS}.get(row["pool"], OTHERS)


def _legend(document: Document) -> str:
    used = {_colour(row) for row in document["conditions"]}
    return legend({name: colour for name, colour in _LEGEND.items() if colour in used})
