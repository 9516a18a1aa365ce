"""The output folder of a run: claimed first, filled in any order, assembled last.

A kill at any moment leaves one of four states, and each of them continues:
nothing of ours yet → request.json (claimed) → .records/ filling → summary.json (complete).
"""

from __future__ import annotations

import contextlib
import json
import shutil
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from aliaug_edge import files, imaging
from aliaug_edge.errors import OutputError
from aliaug_edge.rules import COUNT, HASH, Rule, one_of, read_document, require

REQUEST = "request.json"
RECORDS = ".records"
SUMMARY = "summary.json"
SAMPLES = "samples.jsonl"
MAKER = "made_by.json"  # in RECORDS: the engine and the versions behind them
LABEL = "label"  # in a record: the image's size and its instances, until the labels are written
KEPT, REJECTED, FAILED = STATUSES = ("kept", "rejected", "failed")

Record = dict[str, Any]

_WORDS: Rule = ("text", lambda value: isinstance(value, str))
_WORDS_OR_NULL: Rule = ("text or null", lambda value: value is None or isinstance(value, str))
_RECORD: Mapping[str, Rule] = {  # what continuing or counting a dataset relies on
    "index": COUNT,
    "status": one_of(*STATUSES),
    "reason": _WORDS_OR_NULL,
    "defect_class": _WORDS,
    "source_image": _WORDS,
    "source_sha256": ("a SHA-256 or null", lambda value: value is None or HASH[1](value)),
    "image": _WORDS_OR_NULL,
    "mask": _WORDS_OR_NULL,
    "engine": _WORDS,
}


def check(out_dir: Path, document: Mapping[str, Any]) -> None:
    """Whether a run of `document` may use `out_dir`; writes nothing.

    Raises:
        OutputError: the folder holds something else or another request, or cannot be read.
    """
    try:
        taken = sorted(p.name for p in out_dir.iterdir()) if out_dir.exists() else []
    except OSError as error:
        raise OutputError(
            f"cannot use {out_dir} as output folder: {error.strerror or error}"
        ) from error
    if REQUEST in taken:
        _require_same(out_dir, document)
        return
    foreign = [name for name in taken if not files.is_temporary(name, REQUEST)]
    if foreign:
        raise OutputError(
            f"{out_dir} holds something else ({', '.join(foreign[:3])}); "
            "choose another output folder or an empty one"
        )


def claim(out_dir: Path, document: Mapping[str, Any]) -> None:
    """Make `out_dir` ours: write `document` as its request.json, or find the same one there.

    Only for who holds the folder (`lock.exclusive`): what looks left over is swept. Checked once
    more, for file systems without locks: there another run may have claimed it since.

    Raises:
        OutputError: as `check`, or the folder cannot be written.
    """
    check(out_dir, document)
    files.remove_temporaries(out_dir)
    if not (out_dir / REQUEST).exists():
        files.write_json(out_dir / REQUEST, document)


class Records(Mapping[int, Record]):
    """Records of complete samples by index, each read when it is asked for: a run of any length
    needs no memory for them."""

    def __init__(self, out_dir: Path, indices: Sequence[int]) -> None:
        self._out_dir = out_dir
        self._indices = dict.fromkeys(indices)

    def __getitem__(self, index: int) -> Record:
        if index not in self._indices:
            raise KeyError(index)
        record: Record = json.loads(_record_path(self._out_dir, index).read_text(encoding="utf-8"))
        return record

    def __iter__(self) -> Iterator[int]:
        return iter(self._indices)

    def __len__(self) -> int:
        return len(self._indices)


def read_records(out_dir: Path) -> Records:
    """Records of samples that are complete, by index; one that is damaged, or whose image or mask
    is gone or cut off, does not count."""
    complete = []
    for path in sorted((out_dir / RECORDS).glob("*.json")):
        try:
            record = read_document(path.read_bytes())
            require(record, _RECORD)
            index = int(path.stem)
        except (OSError, ValueError):
            continue
        if all(imaging.is_whole_png(place) for place in _files(out_dir, record)):
            complete.append(index)
    return Records(out_dir, complete)


def write_record(out_dir: Path, index: int, record: Record) -> None:
    """Say that a sample is complete; called after its files are in place.

    Raises:
        OutputError: the folder cannot be written.
    """
    text = json.dumps(record, sort_keys=True, allow_nan=False)
    files.write_text(_record_path(out_dir, index), text)


def require_all(out_dir: Path, records: Mapping[int, Record], count: int) -> None:
    """Refuse to assemble a dataset from fewer `records` than there were requests.

    Raises:
        OutputError: some are missing.
    """
    missing = [index for index in range(count) if index not in records]
    if missing:
        raise OutputError(
            f"{out_dir}: {len(missing)} of {count} samples are gone, first {missing[0]:06d}; "
            "something removed them during the run; run the same command again to make them"
        )


def require_maker(out_dir: Path, records: Mapping[int, Record], maker: Mapping[str, str]) -> None:
    """Refuse to continue `records` with anything but what made them; note `maker` when it is the
    first. It stays beside the records, so a finished dataset does not depend on it.

    Raises:
        OutputError: engine or versions differ, so equal bytes could not be promised.
    """
    path = out_dir / RECORDS / MAKER
    if not records:
        files.write_json(path, maker)
        return
    try:
        before: dict[str, str] = json.loads(path.read_text(encoding="utf-8"))
        changed = [key for key in sorted({*before, *maker}) if before.get(key) != maker.get(key)]
    except (OSError, ValueError, AttributeError) as error:
        raise OutputError(f"{path} cannot be read ({error}); choose another folder") from error
    if changed:
        was, now = (of.get(changed[0], "not there") for of in (before, maker))
        raise OutputError(
            f"{out_dir} was begun with {changed[0]} {was}, now it is {now}; the rest would not "
            f"match: continue with {changed[0]} {was}, or choose another output folder"
        )


def sample_line(record: Record) -> str:
    """The line of samples.jsonl for `record`: what is public in it."""
    public = {key: value for key, value in record.items() if key != LABEL}
    return json.dumps(public, sort_keys=True, allow_nan=False, ensure_ascii=False)


def write_samples(out_dir: Path, lines: Sequence[str]) -> None:
    """samples.jsonl: one line per request, in index order.

    Raises:
        OutputError: the folder cannot be written.
    """
    files.write_text(out_dir / SAMPLES, "".join(f"{line}\n" for line in lines))


def read_samples(out_dir: Path) -> dict[int, Record]:
    """What `write_samples` wrote.

    Raises:
        OutputError: the file is missing or damaged.
    """
    samples = {}
    try:
        lines = (out_dir / SAMPLES).read_bytes().split(b"\n")  # a file name may hold other breaks
        for record in (read_document(line) for line in lines if line):
            require(record, _RECORD)
            samples[record["index"]] = record
    except (OSError, ValueError) as error:
        raise OutputError(
            f"{out_dir / SAMPLES} is missing or damaged ({error}); remove the folder and run again"
        ) from error
    return samples


def require_files(
    out_dir: Path, samples: Mapping[int, Record], count: int, beside: Sequence[str] = ()
) -> None:
    """Refuse to call a dataset complete that has lost lines or files since: those that the samples
    name, and those `beside` them.

    Raises:
        OutputError: fewer or more lines than requests, or a file is gone or cut off.
    """
    if sorted(samples) != list(range(count)):
        raise OutputError(
            f"{out_dir / SAMPLES} has {len(samples)} of {count} samples; remove the folder and "
            "run again"
        )
    places = [place for record in samples.values() for place in _files(out_dir, record)]
    for place in (*places, *(out_dir / name for name in beside)):
        if not place.is_file():
            raise _lost(place, "is gone from")
    for place in places:
        if not imaging.is_whole_png(place):
            raise _lost(place, "was cut off in")


def is_complete(out_dir: Path) -> bool:
    return (out_dir / SUMMARY).is_file()


def complete(out_dir: Path, summary: Mapping[str, Any]) -> None:
    """Write summary.json, after which the records are not needed.

    Raises:
        OutputError: the folder cannot be written.
    """
    files.write_json(out_dir / SUMMARY, summary)
    drop_records(out_dir)


def drop_records(out_dir: Path) -> None:
    with contextlib.suppress(FileNotFoundError, NotADirectoryError):
        shutil.rmtree(out_dir / RECORDS)


def _files(out_dir: Path, record: Record) -> list[Path]:
    """The image and the mask of a kept sample."""
    return [out_dir / record[key] for key in ("image", "mask") if record[key] is not None]


def _lost(place: Path, how: str) -> OutputError:
    return OutputError(
        f"{place} {how} the finished dataset; put it back, or remove the folder and run again"
    )


def _record_path(out_dir: Path, index: int) -> Path:
    return out_dir / RECORDS / f"{index:06d}.json"


def _require_same(out_dir: Path, document: Mapping[str, Any]) -> None:
    path = out_dir / REQUEST
    try:
        before, now = _flat(read_document(path.read_bytes())), _flat(document)
    except (OSError, ValueError) as error:
        raise OutputError(f"{path} cannot be read ({error}); choose another folder") from error
    for key in sorted(before.keys() | now.keys()):
        if before.get(key) != now.get(key):
            raise OutputError(
                f"{out_dir} holds another request: {key} was {json.dumps(before.get(key))}, now "
                f"{json.dumps(now.get(key))}; repeat the same request to continue it, or choose "
                "another output folder"
            )


def _flat(document: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested keys joined by dots; tuples become lists, as JSON has them."""
    flat: dict[str, Any] = {}
    for key, value in document.items():
        if isinstance(value, Mapping):
            flat.update(_flat(value, f"{prefix}{key}."))
        else:
            flat[f"{prefix}{key}"] = list(value) if isinstance(value, tuple) else value
    return flat
