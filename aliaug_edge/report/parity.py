"""The parity table: worst values per tensor and size, over all seeds, against the tolerance."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

PASSED, FAILED, NOT_JUDGED = "passed", "failed", "–"
_TOLERANCES = {
    "max_grey": ("at most {} grey levels apart", max),
    "psnr_db": ("a PSNR of at least {} dB", min),
    "max_abs": ("at most {} apart", max),
}


@dataclass(frozen=True)
class ParityRow:
    """`cells`: tensor, size, seeds, max abs, PSNR,
    max grey levels. `verdict`: passed, failed or –."""

    cells: tuple[str, ...]
    verdict: str


def parity_rows(parity: Mapping[str, Any]) -> list[ParityRow]:
    """One row per tensor and size, in the order in which they first occur."""
    groups: dict[tuple[str, str], list[Mapping[str, Any]]] = {}
    for row in parity.get("rows") or []:
        size = " × ".join(str(side) for side in row.get("size") or []) or "–"
        groups.setdefault((str(row.get("tensor", "?")), size), []).append(row)
    tolerance = parity.get("tolerance") or {}
    return [_summary(key, rows, tolerance) for key, rows in groups.items()]


def tolerance_text(parity: Mapping[str, Any]) -> str:
    """The limits on the final pixels in words, empty where none are given."""
    limits = parity.get("tolerance") or {}
    said = [text.format(limits[key]) for key, (text, _) in _TOLERANCES.items() if key in limits]
    return f"Asked of the final pixels: {', '.join(said)}." if said else ""


def _summary(
    key: tuple[str, str], rows: Sequence[Mapping[str, Any]], tolerance: Mapping[str, Any]
) -> ParityRow:
    worst = {name: _worst(rows, name) for name in _TOLERANCES}
    cells = (
        *key,
        str(len(rows)),
        _scientific(worst["max_abs"]),
        "–" if worst["psnr_db"] is None else f"{worst['psnr_db']:.1f}",
        "–" if worst["max_grey"] is None else f"{worst['max_grey']:g}",
    )
    return ParityRow(cells, _verdict(worst, tolerance))


def _worst(rows: Sequence[Mapping[str, Any]], name: str) -> float | None:
    values = [float(row[name]) for row in rows if row.get(name) is not None]
    return _TOLERANCES[name][1](values) if values else None


def _verdict(worst: Mapping[str, float | None], tolerance: Mapping[str, Any]) -> str:
    """Limits are on the final pixels, which are what is measured in grey levels."""
    grey, psnr = worst["max_grey"], worst["psnr_db"]
    if grey is None:
        return NOT_JUDGED
    too_far = "max_grey" in tolerance and grey > tolerance["max_grey"]
    too_noisy = "psnr_db" in tolerance and psnr is not None and psnr < tolerance["psnr_db"]
    return FAILED if too_far or too_noisy else PASSED


def _scientific(value: float | None) -> str:
    return "–" if value is None else f"{value:.2e}".replace("e-0", "e−").replace("e-", "e−")
