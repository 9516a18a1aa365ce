"""Reads the files that a report is made of, and checks what it will take from them.

A shape says what a value must be: a type (or several), a list of one shape, or a dict of the keys
that must be there; other keys may be there too.
"""

from __future__ import annotations

import json
from pathlib import Path
from types import NoneType
from typing import Any

from aliaug_edge.errors import DataError
from aliaug_edge.generation.folder import REQUEST, SAMPLES, STATUSES
from aliaug_edge.generation.request import PROCEDURAL
from aliaug_edge.report import gpu

CONFIG, METRICS = "config.json", "metrics.jsonl"

Record = dict[str, Any]

_NUMBER = (int, float)
_NUMBER_OR_NULL = (int, float, NoneType)
_PERCENTILES = ("p50_ms", "p90_ms", "p95_ms", "p99_ms", "max_ms", "mean_ms")
_RATES = ("cov_percent", "gflop", "gflops", "share_of_peak")
_STAGE = {
    "stage": str,
    "count": int,
    **dict.fromkeys(_PERCENTILES, _NUMBER),
    **dict.fromkeys(_RATES, _NUMBER_OR_NULL),
}
_ENGINE = {
    "spec": str,
    "name": str,
    "version": (str, NoneType),
    "threads": (int, NoneType),
    "peak_gflops_f32": _NUMBER_OR_NULL,
    "images_per_s": _NUMBER,
    "stages": [_STAGE],
    "batches": [{"batch": int, "images_per_s": _NUMBER}],
}
_PROFILE = {
    "size": [int],
    "machine": dict,
    "engines": [_ENGINE],
    "peak_rss_mib": _NUMBER_OR_NULL,
    "warnings": [str],
}
_REQUESTED = {"status": str, "defect_class": str}
_KEPT = {
    "index": int,
    "image": str,
    "mask": str,
    "source_image": str,
    "seed": int,
    "severity": _NUMBER,
    "window": [int],
    "blend": str,
    "scores": {"change_inside": _NUMBER, "preservation_db": _NUMBER},
}


def read_records(dataset_dir: Path) -> list[Record]:
    """The lines of `samples.jsonl`, in their order, with what docs/samples.md promises.

    Raises:
        DataError: no dataset, an unfinished one, or a line that is not as promised.
    """
    path = dataset_dir / SAMPLES
    if not path.is_file():
        if (dataset_dir / REQUEST).is_file():
            raise DataError(f"{dataset_dir} is unfinished: run the same ali-aug generate again")
        raise DataError(
            f"{dataset_dir} has no {SAMPLES}; give a folder that `ali-aug generate` filled"
        )
    records = _read_lines(path)
    for number, record in enumerate(records, start=1):
        if wrong := _wrong_record(record):
            raise DataError(f"{path}, line {number}: {wrong}; see docs/samples.md")
    return records


def read_profile(path: Path) -> Record:
    """The document that `ali-aug profile -o` wrote.

    Raises:
        DataError: unreadable, or not such a document.
    """
    profile = _read_json(path)
    wrong = misfit(profile, _PROFILE)
    for number, engine in enumerate(profile["engines"] if not wrong else []):
        if "gpu" in engine:
            wrong = wrong or _wrong_gpu(engine["gpu"], f"engines[{number}].gpu")
    if not wrong and len(profile["size"]) != 2:
        wrong = "size is not [height, width]"
    if not wrong and not (profile["engines"] and all(e["stages"] for e in profile["engines"])):
        wrong = "it has no engine, or one without stages"
    if wrong:
        raise DataError(
            f"{path} is not a profile of ali-aug ({wrong}); give the file that "
            "`ali-aug profile BUNDLE -o FILE` wrote"
        )
    return profile


def _wrong_gpu(part: Record, where: str) -> str:
    """`paste` is null where nothing was there to time, and absent in older profiles."""
    wrong = misfit(part, gpu.SHAPE, where)
    if not wrong and part.get("paste") is not None:
        wrong = misfit(part["paste"], gpu.PASTE, f"{where}.paste")
    return wrong


def read_run(run_dir: Path) -> tuple[Record, list[Record]]:
    """A run's configuration, and the lines of its log.

    Raises:
        DataError: not a folder that `ali-aug train` wrote, or damaged.
    """
    config, metrics = run_dir / CONFIG, run_dir / METRICS
    if not config.is_file() and not metrics.is_file():
        what = f"has no {CONFIG} and no {METRICS}" if run_dir.is_dir() else "is not a folder"
        raise DataError(
            f"{run_dir} is not a run folder: it {what}; give one that `ali-aug train` wrote"
        )
    rows = _read_lines(metrics) if metrics.is_file() else []
    for number, row in enumerate(rows, start=1):
        if wrong := misfit(row, {"step": int}):
            raise DataError(f"{metrics}, line {number}: {wrong}")
    return _read_json(config) if config.is_file() else {}, rows


def read_commands(path: Path) -> tuple[str, ...]:
    """The commands in a text file, one per line; empty lines and # comments are left out.

    Raises:
        DataError: the file cannot be read.
    """
    lines = _read_text(path, "").splitlines()
    return tuple(line.strip() for line in lines if line.strip() and line.lstrip()[0] != "#")


def misfit(value: Any, shape: Any, where: str = "") -> str:
    """What in `value` is not of `shape`, in a few words, or empty text."""
    if isinstance(shape, dict):
        if not isinstance(value, dict):
            return f"{where or 'it'} is not an object"
        for key, inner in shape.items():
            place = f"{where}.{key}" if where else key
            if key not in value:
                return f"{place} is missing"
            if wrong := misfit(value[key], inner, place):
                return wrong
        return ""
    if isinstance(shape, list):
        if not isinstance(value, list):
            return f"{where} is not a list"
        found = (misfit(item, shape[0], f"{where}[{i}]") for i, item in enumerate(value))
        return next((wrong for wrong in found if wrong), "")
    fits = isinstance(value, shape) and not isinstance(value, bool)
    return "" if fits else f"{where} is {json.dumps(value)[:40]}"


def _wrong_record(record: Record) -> str:
    if record.get("status") not in STATUSES:
        return "expected a status kept, rejected or failed"
    wrong = misfit(record, _REQUESTED)
    if wrong or record["status"] != "kept":
        return wrong
    if wrong := misfit(record, _KEPT):
        return wrong
    source = record["source_image"]
    if source.startswith(PROCEDURAL) and not source.removeprefix(PROCEDURAL).isdecimal():
        return f"source_image is {source}, expected {PROCEDURAL}<seed>"
    if len(record["window"]) != 4 or min(record["window"][2:]) < 1:
        return f"window is {record['window']}, expected [top, left, height, width]"
    return ""


def _read_json(path: Path) -> Record:
    try:
        document = json.loads(_read_text(path, " as JSON"))
    except ValueError as error:
        raise DataError(f"{path} cannot be read as JSON: {error}") from error
    if not isinstance(document, dict):
        raise DataError(f"{path}: expected a JSON object")
    return document


def _read_lines(path: Path) -> list[Record]:
    try:
        lines = _read_text(path, "").split("\n")  # a file name may hold other line breaks
        rows = [json.loads(line) for line in lines if line]
    except ValueError as error:
        raise DataError(f"{path} cannot be read as JSON lines: {error}") from error
    if not all(isinstance(row, dict) for row in rows):
        raise DataError(f"{path}: expected one JSON object per line")
    return rows


def _read_text(path: Path, how: str) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{path} cannot be read{how}: {error}") from error
