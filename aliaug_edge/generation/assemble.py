"""The last step of a run: samples.jsonl, label files and the contact sheet from the records."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from aliaug_edge import crops, imaging
from aliaug_edge.generation import folder
from aliaug_edge.generation.sample import Job
from aliaug_edge.generation.sources import Sources
from aliaug_edge.labels.instances import instance_from
from aliaug_edge.labels.samples import LabelledImage
from aliaug_edge.labels.sheet import NAME as SHEET
from aliaug_edge.labels.sheet import SheetRow, write_contact_sheet
from aliaug_edge.labels.writer import MAIN_FILES, write_labels

SHEET_ROWS = 24


def described_in(records: Mapping[int, folder.Record], formats: Sequence[str]) -> list[str]:
    """The files, relative to the dataset, that `assemble` writes beside samples.jsonl."""
    shown = any(record["status"] == folder.KEPT for record in records.values())
    return [*(MAIN_FILES[name] for name in formats), *([SHEET] if shown else [])]


def assemble(
    out_dir: Path,
    records: Mapping[int, folder.Record],
    job: Job,
) -> None:
    """Write what describes the dataset as a whole; doing it again gives the same bytes.

    Label files number all classes of the bundle, whichever were made, so that datasets of one
    bundle have one numbering.

    Raises:
        OutputError: the folder cannot be written.
    """
    lines: list[str] = []
    kept: list[LabelledImage] = []
    shown: list[int] = []
    for index in sorted(records):
        record = records[index]
        lines.append(folder.sample_line(record))
        if record["status"] == folder.KEPT:
            shown.append(index)
            if job.settings.labels:
                kept.append(_labelled(records, index, record))
    folder.write_samples(out_dir, lines)
    write_labels(out_dir, job.settings.labels, kept, job.bundle.class_names)
    if shown:
        stride = max(1, -(-len(shown) // SHEET_ROWS))
        rows = [_sheet_row(out_dir, records[index], job.sources) for index in shown[::stride]]
        write_contact_sheet(out_dir, rows)


def _labelled(
    records: Mapping[int, folder.Record], index: int, record: folder.Record
) -> LabelledImage:
    height, width = record[folder.LABEL]["hw"]
    return LabelledImage(
        image=record["image"],
        mask=record["mask"],
        defect_class=record["defect_class"],
        width=width,
        height=height,
        known_instances=lambda: [
            instance_from(found) for found in records[index][folder.LABEL]["instances"]
        ],
    )


def _sheet_row(out_dir: Path, record: folder.Record, sources: Sources) -> SheetRow:
    """The crop that the model worked on: a small defect would not be seen in a whole photo."""
    source = sources.load(record["source_image"]).image
    window = crops.inside(crops.Window(*record["window"]), source.shape)
    scores = record["scores"]
    return SheetRow(
        source=crops.cut(source, window),
        mask=crops.cut(imaging.load_mask(out_dir / record["mask"]), window),
        generated=crops.cut(imaging.load_image(out_dir / record["image"]), window),
        caption=(
            f"{record['index']:06d} {record['defect_class']} severity {record['severity']:.2f} "
            f"change {scores['change_inside']:.0f}"
        ),
    )
