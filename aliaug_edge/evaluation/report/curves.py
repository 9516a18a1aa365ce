"""Charts over two axes as inline SVG: the level over the ratio, and ours against classic."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from html import escape

from aliaug_edge.evaluation.report.intervals import MARK
from aliaug_edge.evaluation.report.numbers import plain
from aliaug_edge.report.svg import drawing, number_text, part_colours, round_ticks, scale

_LEFT, _RIGHT, _TOP, _BOTTOM = 62, 18, 16, 48


@dataclass(frozen=True)
class RatioPoint:
    """The level at so many synthetic defects per real one, with its interval."""

    ratio: float
    mean: float
    low: float
    high: float


@dataclass(frozen=True)
class GroupPoint:
    """A test group's value under two conditions."""

    group: str
    defect_class: str
    before: float
    after: float


def ratio_chart(
    curves: Mapping[str, Sequence[RatioPoint]], title: str, marks: Mapping[str, float]
) -> str:
    """A curve per name; the ratios stand evenly, in their order. `marks` are level lines."""
    width, height = 640, 320
    points = [point for curve in curves.values() for point in curve]
    ratios = sorted({point.ratio for point in points})
    values = [v for p in points for v in (p.mean, p.low, p.high)] + list(marks.values())
    ticks = round_ticks(min(values), max(values))
    x = scale(-0.5, len(ratios) - 0.5, _LEFT, width - _RIGHT)
    y = scale(ticks[0], ticks[-1], height - _BOTTOM, _TOP)
    parts = [_level_line(y(t), number_text(t), width) for t in ticks]
    parts += [_below(x(i), height, f"{ratio:g}") for i, ratio in enumerate(ratios)]
    parts += [_named_level(name, y(value), width) for name, value in marks.items()]
    parts += _axis_names(width, height, "synthetic defects per real one", "AP per image")
    for (name, curve), colour in zip(curves.items(), _colours(curves), strict=True):
        place = [(x(ratios.index(p.ratio)), p) for p in sorted(curve, key=lambda p: p.ratio)]
        path = " ".join(f"{at:.1f},{y(p.mean):.1f}" for at, p in place)
        parts.append(f'<polyline class="mean" points="{path}" stroke="{colour}"/>')
        parts += [_whisker(at, p, y, colour, name) for at, p in place]
    return drawing(width, height, title, parts)


def groups_chart(points: Sequence[GroupPoint], title: str, names: tuple[str, str]) -> str:
    """A point per group, both axes from 0 to 1; above the diagonal the second condition wins."""
    side = 470
    x = scale(0.0, 1.0, _LEFT, side - _RIGHT)
    y = scale(0.0, 1.0, side - _BOTTOM, _TOP)
    parts = []
    for tick in (0.0, 0.25, 0.5, 0.75, 1.0):
        parts += [_level_line(y(tick), f"{tick:g}", side), _below(x(tick), side, f"{tick:g}")]
    parts.append(
        f'<line x1="{x(0):.1f}" y1="{y(0):.1f}" x2="{x(1):.1f}" y2="{y(1):.1f}" '
        f'stroke="{MARK}" stroke-dasharray="5 4"/>'
    )
    parts += _axis_names(side, side, *names)
    colours = part_colours([point.defect_class for point in points])
    parts += [
        f'<circle cx="{x(p.before):.1f}" cy="{y(p.after):.1f}" r="5.5" '
        f'fill="{colours[p.defect_class]}" fill-opacity="0.8" stroke="#fff">'
        f"<title>{escape(p.group)}, {escape(p.defect_class)}: {plain(p.before)} to "
        f"{plain(p.after)}</title></circle>"
        for p in points
    ]
    return drawing(side, side, title, parts)


def _colours(curves: Mapping[str, object]) -> list[str]:
    return list(part_colours(list(curves)).values())


def _whisker(
    at: float, point: RatioPoint, y: Callable[[float], float], colour: str, name: str
) -> str:
    return (
        f'<line x1="{at:.1f}" x2="{at:.1f}" y1="{y(point.low):.1f}" y2="{y(point.high):.1f}" '
        f'stroke="{colour}" stroke-opacity="0.45" stroke-width="3"/>'
        f'<circle cx="{at:.1f}" cy="{y(point.mean):.1f}" r="4.5" fill="{colour}">'
        f"<title>{escape(name)}, ratio {point.ratio:g}: {plain(point.mean)}</title></circle>"
    )


def _level_line(y: float, text: str, width: int) -> str:
    return (
        f'<line class="grid" x1="{_LEFT}" x2="{width - _RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>'
        f'<text class="tick" text-anchor="end" x="{_LEFT - 7}" y="{y + 4:.1f}">{text}</text>'
    )


def _named_level(name: str, y: float, width: int) -> str:
    return (
        f'<line x1="{_LEFT}" x2="{width - _RIGHT}" y1="{y:.1f}" y2="{y:.1f}" stroke="{MARK}" '
        'stroke-dasharray="5 4"/>'
        f'<text class="tick" x="{_LEFT + 5}" y="{y - 5:.1f}">{escape(name)}</text>'
    )


def _below(x: float, height: int, text: str) -> str:
    return (
        f'<text class="tick" text-anchor="middle" x="{x:.1f}" y="{height - _BOTTOM + 18}">'
        f"{text}</text>"
    )


def _axis_names(width: int, height: int, below: str, beside: str) -> list[str]:
    centre = (_TOP + height - _BOTTOM) / 2
    return [
        f'<text class="tick" text-anchor="middle" x="{(_LEFT + width - _RIGHT) / 2:.1f}" '
        f'y="{height - 8}">{escape(below)}</text>',
        f'<text class="tick" text-anchor="middle" x="14" y="{centre:.1f}" '
        f'transform="rotate(-90 14 {centre:.1f})">{escape(beside)}</text>',
    ]
