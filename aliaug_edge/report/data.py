"""What a report shows, as plain data: gathered by `collect`, drawn by `html`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Picture:
    """A PNG file's bytes, its size in pixels and what it shows, in a word or two."""

    png: bytes
    width: int
    height: int
    title: str


@dataclass(frozen=True)
class PictureRow:
    """Pictures that belong together; `title` heads them, `caption` says more."""

    title: str
    caption: str
    pictures: tuple[Picture, ...]


@dataclass(frozen=True)
class ClassPictures:
    """Generated samples of one defect class, and real training defects of that class beside."""

    defect_class: str
    rows: tuple[PictureRow, ...]
    real: tuple[Picture, ...] = ()


@dataclass(frozen=True)
class Curve:
    """A logged value over steps: (step, value), steps rising."""

    name: str
    points: tuple[tuple[float, float], ...]


@dataclass(frozen=True)
class ReportData:
    """Everything a report shows; what is empty or None is left out.

    `facts` are (name, value) lines of the heading. `parity` is the bundle's, `profile` what
    `ali-aug profile --json` printed, `counts` and `reasons` come from samples.jsonl: kept, rejected
    and failed per class, and (reason, number). `notes` say what could not be read.
    """

    title: str
    facts: tuple[tuple[str, str], ...] = ()
    classes: tuple[ClassPictures, ...] = ()
    counts: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    reasons: tuple[tuple[str, int], ...] = ()
    curves: tuple[Curve, ...] = ()
    strips: tuple[Picture, ...] = ()
    parity: Mapping[str, Any] | None = None
    profile: Mapping[str, Any] | None = None
    commands: tuple[str, ...] = ()
    provenance: Mapping[str, Any] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
