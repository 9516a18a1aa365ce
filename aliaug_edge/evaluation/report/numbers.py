"""How numbers are written in tables, charts and sentences."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

UNKNOWN = "–"


def plain(value: float | None) -> str:
    """Three decimals, or a dash for what is not known."""
    return UNKNOWN if value is None else f"{value:.3f}".replace("-", "−")


def signed(value: float | None) -> str:
    """Three decimals with their sign; what rounds to nothing has none."""
    if value is None:
        return UNKNOWN
    return "0.000" if abs(value) < 0.0005 else f"{value:+.3f}".replace("-", "−")


def percent(value: float | None) -> str:
    """A share in whole per cent."""
    return UNKNOWN if value is None else f"{100 * value:.0f} %"


def signed_percent(value: float | None) -> str:
    """A relative difference in whole per cent, with its sign."""
    if value is None:
        return UNKNOWN
    return "0 %" if abs(value) < 0.005 else f"{100 * value:+.0f} %".replace("-", "−")


def chance(value: float | None) -> str:
    """A p value: never 0, for no test of finitely many groups can give that."""
    if value is None:
        return UNKNOWN
    return "< 0.001" if value < 0.001 else f"{value:.3f}"


def interval(low: float, high: float, *, differences: bool = False) -> str:
    """[low, high]."""
    number = signed if differences else plain
    return f"[{number(low)}, {number(high)}]"


def over_groups(row: Mapping[str, Any], *, differences: bool = False) -> str:
    """The interval of a level or a comparison; a dash where one group leaves nothing to draw."""
    if row["groups"] < 2:
        return UNKNOWN
    return interval(row["low"], row["high"], differences=differences)


def over_groups_and_seeds(row: Mapping[str, Any]) -> str:
    """A comparison's interval with its seeds drawn as well; a dash where there is one of either."""
    if row["groups"] < 2 or len(row["seeds"]) < 2:
        return UNKNOWN
    return interval(row["low_seeds"], row["high_seeds"], differences=True)
