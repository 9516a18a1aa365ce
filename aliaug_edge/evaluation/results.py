"""What an evaluation writes: one file per trained detector, and nothing that time changes.

OUT/protocol.json                          before the first result
OUT/runs/fold-F/CONDITION/seed-S.json      per-image scores of one detector (`Run`)
OUT/pools/fold-F/NAME/                     synthetic photos that conditions share
OUT/generators/fold-F/CARRIER/             our generator's run and bundle
OUT/results.json, report.html, table.txt   what they say together
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from aliaug_edge import files
from aliaug_edge.errors import DataError

SCHEMA = 1


@dataclass(frozen=True)
class ImageScore:
    """How one test photo was judged.

    `ap`: average precision of its pixels; `iou` and `f1`: at the threshold that was best on the
    train side. The three are None for good photos. `score`: mean of the 20 highest pixel scores,
    for the image-level AUROC. `positives`: defect pixels.
    """

    name: str
    group: str
    defect_class: str
    positives: int
    ap: float | None
    iou: float | None
    f1: float | None
    score: float


@dataclass(frozen=True)
class Run:
    """One trained detector on one fold's test photos.

    `pooled`: `ap` over all test pixels (information only), `auroc` of image scores, `map50_95` and
    `map50` of defect instances where they can be told, each a number or None. `failed`: why the
    detector could not be used (it diverged), then `images` is empty.
    """

    fold: int
    condition: str
    seed: int
    threshold: float
    images: tuple[ImageScore, ...]
    pooled: dict[str, float | None]
    failed: str | None = None


def run_path(out: Path, fold: int, condition: str, seed: int) -> Path:
    """Where a run's file lies."""
    return out / "runs" / f"fold-{fold}" / condition / f"seed-{seed}.json"


def save_run(run: Run, out: Path) -> None:
    """Write `run` to its place, whole or not at all."""
    files.write_json(
        run_path(out, run.fold, run.condition, run.seed), {"schema": SCHEMA, **asdict(run)}
    )


def load_run(path: Path) -> Run:
    """Read what `save_run` wrote.

    Raises:
        DataError: the file is missing, or is not a run of this schema.
    """
    try:
        document: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        if document.pop("schema") != SCHEMA:
            raise ValueError("another schema")
        images = tuple(ImageScore(**row) for row in document.pop("images"))
        return Run(images=images, **document)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DataError(
            f"{path} is not a run of this evaluation ({error}); remove it, and it is made again"
        ) from error
