"""How a run ended: the counts, which add up, and the times, which never enter the dataset."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from aliaug_edge.generation.folder import REJECTED, STATUSES, Record
from aliaug_edge.labels import sheet

UNNAMED = "unnamed"  # in a dataset of an earlier version


@dataclass(frozen=True)
class Summary:
    """How a run ended; requested = kept + rejected + failed. Times are of this call alone."""

    out_dir: str
    requested: int
    kept: int
    rejected: int
    failed: int
    per_class: Mapping[str, Mapping[str, int]]
    signatures: Mapping[str, int]  # of the rejected: how often each failure was the reason
    first_reason: str | None
    contact_sheet: str | None
    engine: str
    wall_s: float
    engine_s: float
    images_per_s: float

    def counts(self) -> dict[str, Any]:
        """What summary.json holds: counts in total, per class and per failure."""
        names = ("requested", *STATUSES, "per_class", "signatures")
        return {name: getattr(self, name) for name in names}


def summarise(
    out_dir: Path,
    records: Mapping[int, Record],
    wall_s: float,
    engine_s: float = 0.0,
    made: int = 0,
) -> Summary:
    """The summary of `records`, of which `made` came from this call."""
    per_class: dict[str, dict[str, int]] = {}
    signatures: Counter[str] = Counter()
    first_reason, engine = None, ""
    for index in sorted(records):
        record = records[index]
        counts = per_class.setdefault(record["defect_class"], dict.fromkeys(STATUSES, 0))
        counts[record["status"]] += 1
        if record["status"] == REJECTED:
            signatures[record.get("signature") or UNNAMED] += 1
        first_reason = first_reason or record["reason"]
        engine = record["engine"]
    contact_sheet = out_dir / sheet.NAME
    return Summary(
        out_dir=str(out_dir),
        requested=len(records),
        **{status: sum(c[status] for c in per_class.values()) for status in STATUSES},
        per_class=dict(sorted(per_class.items())),
        signatures=dict(sorted(signatures.items())),
        first_reason=first_reason,
        contact_sheet=str(contact_sheet) if contact_sheet.is_file() else None,
        engine=engine,
        wall_s=round(wall_s, 3),
        engine_s=round(engine_s, 3),
        images_per_s=round(made / wall_s, 3) if wall_s else 0.0,
    )
