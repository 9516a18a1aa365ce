"""How many insertions each generator was asked for, and what its quality limits rejected."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

from aliaug_edge.errors import DataError
from aliaug_edge.report.read import misfit

REJECTED = "rejected.json"
_SHAPE = {"asked": int, "rejected": dict}


def rejected_path(out: Path, fold: int, carrier: str) -> Path:
    """Where the run folder `out` keeps what a fold's generator of a carrier was refused."""
    return out / "generators" / f"fold-{fold}" / carrier / REJECTED


def insertion_rows(out: Path, folds: int) -> list[dict[str, Any]]:
    """A row per generator that has made its pool: `asked`, `kept`, and rejected ones by signature.

    `kept` counts those too that the limits rejected and a class was filled up with, so it and the
    rejected may add up to more than `asked`.

    Raises:
        DataError: a file of it is not what was written there.
    """
    found = [
        (fold, path)
        for fold in range(folds)
        for path in sorted((out / "generators" / f"fold-{fold}").glob(f"*/{REJECTED}"))
    ]
    return [_row(fold, path) for fold, path in found]


def _row(fold: int, path: Path) -> dict[str, Any]:
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise DataError(f"{path} cannot be read ({error}); evaluate into another folder") from error
    if wrong := misfit(document, _SHAPE):
        raise DataError(f"{path} is not what was written ({wrong}); evaluate into another folder")
    reasons = Counter(str(why).partition(":")[0] for why in document["rejected"].values())
    return {
        "fold": fold,
        "carrier": path.parent.name,
        "asked": document["asked"],
        "kept": document.get("kept", document["asked"] - len(document["rejected"])),
        "rejected": dict(sorted(reasons.items())),
    }
