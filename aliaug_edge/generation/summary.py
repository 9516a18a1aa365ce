"""How a run ended: the counts, which add up, and the times, which never enter the dataset."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from aliaug_edge.generation.folder import Record
from aliaug_edge.generation.sample import FAILED, KEPT, REJECTED
from aliaug_edge.labels import sheet

STATUSES = (KEPT, REJECTED, FAILED)


@dataclass(frozen=True)
class Summary:
    """How a run ended; requested = kept + rejected + failed. Times are of this call alone."""

    out_dir: str
    requested: int
    kept: int
    rejected: int
    failed: int
    per_class: Mapping[str, Mapping[str, int]]
    first_reason: str | None
    contact_sheet: str | None
    engine: str
    wall_s: float
    engine_s: float
    images_per_s: float


def count_statuses(records: Mapping[int, Record]) -> dict[str, Any]:
    """What summary.json holds: counts in total and per class."""
    per_class: dict[str, dict[str, int]] = {}
    for record in records.values():
        counts = per_class.setdefault(record["defect_class"], dict.fromkeys(STATUSES, 0))
        counts[record["status"]] += 1
    total = {status: sum(c[status] for c in per_class.values()) for status in STATUSES}
    return {"requested": len(records), **total, "per_class": dict(sorted(per_class.items()))}


def summarise(
    out_dir: Path,
    records: Mapping[int, Record],
    wall_s: float,
    engine_s: float = 0.0,
    made: int = 0,
) -> Summary:
    """The summary of `records`, of which `made` came from this call."""
    reasons = (records[index]["reason"] for index in sorted(records))
    contact_sheet = out_dir / sheet.NAME
    return Summary(
        out_dir=str(out_dir),
        **count_statuses(records),
        first_reason=next((reason for reason in reasons if reason), None),
        contact_sheet=str(contact_sheet) if contact_sheet.is_file() else None,
        engine=next(iter(records.values()))["engine"],
        wall_s=round(wall_s, 3),
        engine_s=round(engine_s, 3),
        images_per_s=round(made / wall_s, 3) if wall_s else 0.0,
    )
