"""A chart of means with their intervals, a row per condition, as inline SVG."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from html import escape

from aliaug_edge.evaluation.report.numbers import plain, signed
from aliaug_edge.report.svg import drawing, number_text, round_ticks, scale

MARK = "#77776f"
_WIDTH, _LABEL_PX, _VALUE_PX, _ROW_PX = 1080, 180, 210, 28
_TOP_PX, _BOTTOM_PX = 24, 30


@dataclass(frozen=True)
class IntervalRow:
    """`middle` within [`low`, `high`], and `dots` of single seeds; `strong` is what decides."""

    label: str
    middle: float
    low: float
    high: float
    colour: str
    dots: tuple[float, ...] = ()
    strong: bool = False


def interval_chart(
    rows: Sequence[IntervalRow], title: str, marks: Mapping[str, float], *, differences: bool
) -> str:
    """Each row's interval as a bar, its mean as a tick, its seeds as dots.

    `marks` are named upright lines through all rows; `differences` are written with their sign.
    """
    if not rows:
        return ""
    values = [v for row in rows for v in (row.low, row.high, *row.dots)] + list(marks.values())
    ticks = round_ticks(min(values), max(values))
    x = scale(ticks[0], ticks[-1], _LABEL_PX, _WIDTH - _VALUE_PX)
    bottom = _TOP_PX + _ROW_PX * len(rows)
    parts = [_tick(x(tick), tick, bottom) for tick in ticks]
    parts += [_mark(name, x(value), bottom) for name, value in marks.items()]
    for number, row in enumerate(rows):
        parts.append(_row(row, _TOP_PX + _ROW_PX * (number + 0.5), x, differences))
    return drawing(_WIDTH, bottom + _BOTTOM_PX, title, parts)


def _row(row: IntervalRow, y: float, x: Callable[[float], float], differences: bool) -> str:
    """The bar, then dots, then the tick on top; label to the left, numbers to the right."""
    number = signed if differences else plain
    weight = ' class="sum"' if row.strong else ""
    dots = "".join(
        f'<circle cx="{x(dot):.1f}" cy="{y:.1f}" r="3.2" fill="#fff" stroke="{row.colour}" '
        f'stroke-width="1.4"><title>{number(dot)}</title></circle>'
        for dot in row.dots
    )
    left, right = x(row.low), x(row.high)
    return (
        f'<text{weight} text-anchor="end" x="{_LABEL_PX - 16}" y="{y + 4:.1f}">'
        f"{escape(row.label)}</text>"
        f'<rect x="{left:.1f}" y="{y - 7:.1f}" width="{max(right - left, 1):.1f}" height="14" '
        f'rx="3" fill="{row.colour}" fill-opacity="{0.5 if row.strong else 0.28}"/>{dots}'
        f'<line x1="{x(row.middle):.1f}" x2="{x(row.middle):.1f}" y1="{y - 10:.1f}" '
        f'y2="{y + 10:.1f}" stroke="{row.colour}" stroke-width="3"/>'
        f'<text{weight} x="{_WIDTH - _VALUE_PX + 14}" y="{y + 4:.1f}">{number(row.middle)} '
        f'<tspan class="tick">[{number(row.low)}, {number(row.high)}]</tspan></text>'
    )


def _tick(x: float, value: float, bottom: float) -> str:
    return (
        f'<line class="grid" x1="{x:.1f}" x2="{x:.1f}" y1="{_TOP_PX}" y2="{bottom}"/>'
        f'<text class="tick" text-anchor="middle" x="{x:.1f}" y="{bottom + 18}">'
        f"{number_text(value)}</text>"
    )


def _mark(name: str, x: float, bottom: float) -> str:
    return (
        f'<line x1="{x:.1f}" x2="{x:.1f}" y1="{_TOP_PX - 4}" y2="{bottom}" stroke="{MARK}" '
        'stroke-dasharray="5 4"/>'
        f'<text class="tick" text-anchor="middle" x="{x:.1f}" y="{_TOP_PX - 9}">'
        f"{escape(name)}</text>"
    )
