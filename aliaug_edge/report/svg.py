"""Charts as inline SVG: lines over steps, and stacked bars of milliseconds."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from html import escape

from aliaug_edge.report.data import Curve

PALETTE = (
    "#3b6ea5", "#d9822b", "#5a9367", "#b5485d", "#7a68a6", "#8c6d4f", "#4aa3a2", "#9a9a9a",
)  # fmt: skip
_PAD_LEFT, _PAD_RIGHT, _PAD_TOP, _PAD_BOTTOM = 52, 12, 10, 26
_LOG_RATIO = 30  # a positive curve that spans more than this is drawn on a log scale
_SPANS = 15  # the running mean looks back over about this share of a curve


def line_chart(curve: Curve, colour: str, width: int = 360, height: int = 190) -> str:
    """A curve as logged (pale) and its running mean (full), with axes; log scale where it helps."""
    values = [value for _, value in curve.points]
    low, high = min(values), max(values)
    log = low > 0 and high / low > _LOG_RATIO
    steps = [step for step, _ in curve.points]
    x = scale(steps[0], steps[-1], _PAD_LEFT, width - _PAD_RIGHT)
    ticks = _log_ticks(low, high) if log else round_ticks(low, high)
    bottom, top = min([low, *ticks]), max([high, *ticks])
    to = math.log10 if log else float
    y = scale(to(bottom), to(top), height - _PAD_BOTTOM, _PAD_TOP)
    parts = [_y_tick(y(to(tick)), tick, width) for tick in ticks]
    parts += [_x_tick(x(step), step, height) for step in _ends(steps)]
    for points, style in ((values, "raw"), (_smoothed(values), "mean")):
        path = " ".join(
            f"{x(step):.1f},{y(to(value)):.1f}" for step, value in zip(steps, points, strict=True)
        )
        parts.append(f'<polyline class="{style}" points="{path}" stroke="{colour}"/>')
    title = f"{curve.name}: {number_text(values[0])} to {number_text(values[-1])}"
    return drawing(width, height, title, parts)


def stacked_bars(rows: Sequence[tuple[str, Sequence[tuple[str, float]]]], width: int = 900) -> str:
    """A bar per row of (label, (part, ms) …), on one scale, with values where they fit."""
    label_width, bar, gap = 190, 26, 14
    longest = max((sum(ms for _, ms in parts) for _, parts in rows), default=0.0) or 1.0
    x = scale(0.0, longest, label_width, width - 90)
    colours = part_colours([name for _, parts in rows for name, _ in parts])
    out, top = [], 4
    for label, parts in rows:
        out.append(f'<text class="label" x="0" y="{top + 17}">{escape(label)}</text>')
        start = 0.0
        for name, ms in parts:
            left, right = x(start), x(start + ms)
            out.append(
                f'<rect x="{left:.1f}" y="{top}" width="{max(right - left, 0.5):.1f}" '
                f'height="{bar}" fill="{colours[name]}">'
                f"<title>{escape(name)}: {ms:.2f} ms</title></rect>"
            )
            if right - left > 44:
                centre = (left + right) / 2
                out.append(f'<text class="in" x="{centre:.1f}" y="{top + 17}">{ms:.2f}</text>')
            start += ms
        out.append(f'<text class="sum" x="{x(start) + 8:.1f}" y="{top + 17}">{start:.2f} ms</text>')
        top += bar + gap
    return drawing(width, top, "time per stage", out)


def part_colours(names: Sequence[str]) -> dict[str, str]:
    """A colour per name, in the order in which names first occur."""
    return {
        name: PALETTE[number % len(PALETTE)] for number, name in enumerate(dict.fromkeys(names))
    }


def drawing(width: int, height: int, title: str, parts: Sequence[str]) -> str:
    """An SVG of `parts`, `width` by `height` pixels; `title` says what it shows."""
    return (
        f'<svg viewBox="0 0 {width} {height}" width="{width}" height="{height}" role="img">'
        f"<title>{escape(title)}</title>{''.join(parts)}</svg>"
    )


def scale(low: float, high: float, start: float, end: float) -> Callable[[float], float]:
    """A linear map from [low, high] to [start, end]; everything to the middle when low = high."""

    def scaled(value: float) -> float:
        share = (value - low) / (high - low) if high > low else 0.5
        return start + share * (end - start)

    return scaled


def round_ticks(low: float, high: float) -> list[float]:
    """Three to six round values that enclose [low, high]."""
    span = (high - low) or abs(high) or 1.0
    unit = 10 ** math.floor(math.log10(span / 4))
    step = next(unit * m for m in (1, 2, 2.5, 5, 10) if span / (unit * m) <= 4.5)
    first, last = math.floor(low / step), math.ceil(high / step)
    return [number * step for number in range(first, last + 1)]


def _log_ticks(low: float, high: float) -> list[float]:
    first, last = math.floor(math.log10(low)), math.ceil(math.log10(high))
    return [10.0**power for power in range(first, last + 1)]


def _smoothed(values: Sequence[float]) -> list[float]:
    """Exponential running mean, begun without bias."""
    keep = 1 - 1 / max(2.0, len(values) / _SPANS)
    smooth, weight, out = 0.0, 0.0, []
    for value in values:
        smooth = keep * smooth + (1 - keep) * value
        weight = keep * weight + (1 - keep)
        out.append(smooth / weight)
    return out


def _ends(steps: Sequence[float]) -> list[float]:
    return [steps[0], (steps[0] + steps[-1]) / 2, steps[-1]]


def _y_tick(y: float, value: float, width: int) -> str:
    return (
        f'<line class="grid" x1="{_PAD_LEFT}" x2="{width - _PAD_RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>'
        f'<text class="tick" text-anchor="end" x="{_PAD_LEFT - 7}" y="{y + 4:.1f}">'
        f"{number_text(value)}</text>"
    )


def _x_tick(x: float, step: float, height: int) -> str:
    return (
        f'<text class="tick" text-anchor="middle" x="{x:.1f}" y="{height - 8}">'
        f"{number_text(round(step))}</text>"
    )


def number_text(value: float) -> str:
    """Four significant digits, with a true minus."""
    return f"{value:.4g}".replace("-", "−")
