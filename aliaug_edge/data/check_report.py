"""What a check of a data folder found: as plain data, and as text for people."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

QUANTILES = {"min": 0.0, "q25": 0.25, "median": 0.5, "q75": 0.75, "max": 1.0}
_HEADER = ("class", "train", "test", "groups", "mask area: min", "median", "max", "median px")


@dataclass(frozen=True)
class ClassReport:
    """One class. Areas are quantiles (`QUANTILES`) over its readable masks; none for "good".

    `area_fraction` is the marked share of the image in [0, 1], `area_px` the marked pixels.
    """

    name: str
    train: int
    test: int
    groups_train: int
    groups_test: int
    area_fraction: dict[str, float]
    area_px: dict[str, float]


@dataclass(frozen=True)
class CheckReport:
    """What a folder holds. `problems` must be mended; `notes` are worth knowing.

    `image_modes` counts images per stored pixel format (Pillow's names); `smallest_hw` and
    `largest_hw` are the (height, width) of the images with the fewest and most pixels.
    """

    root: str
    layout: str
    classes: tuple[ClassReport, ...]
    image_count: int
    image_modes: dict[str, int]
    distinct_sizes: int
    smallest_hw: tuple[int, int] | None
    largest_hw: tuple[int, int] | None
    problems: tuple[str, ...]
    notes: tuple[str, ...]

    @property
    def ok(self) -> bool:
        """Whether the data can be used as they are."""
        return not self.problems

    def as_json(self) -> dict[str, Any]:
        """The report as plain JSON data, `ok` included."""
        return {"ok": self.ok, **dataclasses.asdict(self)}


def report_text(report: CheckReport) -> str:
    """The table of classes, then sizes and modes, then every note and problem, a line each."""
    rows = [_HEADER, *(_row(c) for c in report.classes)]
    modes = ", ".join(f"{count} {mode}" for mode, count in report.image_modes.items())
    lines = [
        f"{report.root}: layout {report.layout}, {report.image_count} images",
        "",
        *_aligned(rows),
        "",
        f"sizes: {_sizes(report)}; stored as: {modes or 'none readable'}",
        *(f"note: {note}" for note in report.notes),
        *(f"problem: {problem}" for problem in report.problems),
        "no problems found" if report.ok else f"{len(report.problems)} problems to mend",
    ]
    return "\n".join(lines)


def _row(c: ClassReport) -> tuple[str, ...]:
    counts = (c.name, str(c.train), str(c.test), f"{c.groups_train} + {c.groups_test}")
    if not c.area_fraction:
        return (*counts, "", "", "", "")
    fractions = (f"{100 * c.area_fraction[q]:.3f} %" for q in ("min", "median", "max"))
    return (*counts, *fractions, f"{c.area_px['median']:.0f}")


def _sizes(report: CheckReport) -> str:
    if report.smallest_hw is None or report.largest_hw is None:
        return "none readable"
    (top, left), (bottom, right) = report.smallest_hw, report.largest_hw
    if report.distinct_sizes == 1:
        return f"{left} x {top}"
    return f"{report.distinct_sizes} different, {left} x {top} to {right} x {bottom}"


def _aligned(rows: Sequence[Sequence[str]]) -> list[str]:
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return [
        "  ".join(
            cell.ljust(width) if column == 0 else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]
