"""Reads a run folder: what was planned, and which of it has been done."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

from aliaug_edge import files
from aliaug_edge.errors import DataError
from aliaug_edge.evaluation.conditions import Condition, Pool
from aliaug_edge.evaluation.protocol import PRIMARY_METRIC, PROTOCOL
from aliaug_edge.evaluation.results import Run, load_run, run_path
from aliaug_edge.report.read import misfit

_TEXT_OR_NULL = (str, type(None))
_SHAPE = {
    "schema": int,
    "data": dict,
    "folds": [dict],
    "seeds": [int],
    "conditions": [
        {
            "name": str,
            "title": str,
            "pool": str,
            "ratio": (int, float),
            "carrier": _TEXT_OR_NULL,
            "blend": _TEXT_OR_NULL,
        }
    ],
    "primary": {"metric": str, "contrast": [str]},
    "secondary": [list],
}


@dataclass(frozen=True)
class Evaluation:
    """A protocol and the runs that are there, in the protocol's order.

    `missing`: planned (fold, condition, seed) without a file. `strays`: files of runs that the
    protocol does not plan, relative to the folder; they are named, and not used.
    """

    out: Path
    protocol: Mapping[str, Any]
    conditions: tuple[Condition, ...]
    runs: tuple[Run, ...]
    missing: tuple[tuple[int, str, int], ...]
    strays: tuple[str, ...]

    @property
    def contrast(self) -> tuple[str, str]:
        """Names of the two conditions whose difference was declared to decide."""
        first, second = self.protocol["primary"]["contrast"]
        return first, second

    @property
    def is_quick(self) -> bool:
        """Whether the protocol says of itself that it decides nothing."""
        return bool(self.protocol.get("quick", False))

    def condition(self, name: str) -> Condition:
        """The condition of that name."""
        return next(c for c in self.conditions if c.name == name)

    def good_runs(self, name: str) -> list[Run]:
        """Finished runs of a condition whose detector could be used."""
        return [run for run in self.runs if run.condition == name and run.failed is None]


def read_evaluation(out: Path) -> Evaluation:
    """What lies in `out`, a folder that `ali-aug evaluate` made; it may be unfinished.

    Raises:
        DataError: no such folder, or a file of it is not what was written there.
    """
    protocol = read_protocol(out)
    conditions = tuple(_condition(row) for row in protocol["conditions"])
    runs, missing = [], []
    planned = {}
    for fold in range(len(protocol["folds"])):
        for condition in conditions:
            for seed in protocol["seeds"]:
                planned[run_path(out, fold, condition.name, seed)] = (fold, condition.name, seed)
    for path, place in planned.items():
        if path.is_file():
            runs.append(_checked(load_run(path), place, path))
        else:
            missing.append(place)
    strays = sorted(
        path.relative_to(out).as_posix()
        for path in (out / "runs").rglob("*.json")
        if path not in planned and not files.is_temporary(path.name)
    )
    return Evaluation(out, protocol, conditions, tuple(runs), tuple(missing), tuple(strays))


def read_protocol(out: Path) -> Mapping[str, Any]:
    """The protocol of the run folder `out`.

    Raises:
        DataError: it is missing, or not a protocol.
    """
    path = out / PROTOCOL
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise DataError(
            f"{path} cannot be read ({error}); give a folder that `ali-aug evaluate` made"
        ) from error
    wrong = misfit(document, _SHAPE) or _contradiction(document)
    if wrong:
        raise DataError(
            f"{path} is not the protocol of an evaluation ({wrong}); give a folder that "
            "`ali-aug evaluate` made, or evaluate again"
        )
    protocol: Mapping[str, Any] = document
    return protocol


def _contradiction(document: Mapping[str, Any]) -> str:
    """What in a protocol of the right shape cannot be, in a few words, or empty text."""
    names = [row["name"] for row in document["conditions"]]
    if len(set(names)) < len(names):
        return "two conditions share a name"
    if not names or not document["folds"] or not document["seeds"]:
        return "it has no condition, no fold or no seed"
    if document["primary"]["metric"] != PRIMARY_METRIC:
        return f"its primary metric is {document['primary']['metric']}, expected {PRIMARY_METRIC}"
    for row in document["conditions"]:
        if row["pool"] not in get_args(Pool):
            return f"condition {row['name']}: pool is {row['pool']}"
        if not isinstance(row.get("real"), bool) or not isinstance(row.get("augment"), bool):
            return f"condition {row['name']}: real and augment must be true or false"
    for contrast in [document["primary"]["contrast"], *document["secondary"]]:
        if len(contrast) != 2 or not set(contrast) <= set(names):
            return f"contrast {json.dumps(contrast)} does not name two of its conditions"
    return ""


def _condition(row: Mapping[str, Any]) -> Condition:
    return Condition(
        name=row["name"],
        title=row["title"],
        real=row["real"],
        augment=row["augment"],
        pool=row["pool"],
        ratio=float(row["ratio"]),
        carrier=row["carrier"],
        blend=row["blend"],
        bent=bool(row.get("bent", True)),
    )


def _checked(run: Run, place: tuple[int, str, int], path: Path) -> Run:
    came = (run.fold, run.condition, run.seed)
    if came != place:
        raise DataError(
            f"{path} holds the run {came}, expected {place}; remove it, and it is made again"
        )
    return run
