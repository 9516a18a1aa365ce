"""`ali-aug judge`: are a bundle's defects recognisable as what was asked for?"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Optional

import typer

from aliaug_edge.cli.require import require

JUDGE_NEEDS = ("torch", "onnxruntime")


def judge(
    bundle: Annotated[
        str, typer.Argument(help="Folder of a bundle; the word tiny for the shipped one.")
    ],
    count: Annotated[int, typer.Option(help="Insertions per class.")] = 60,
    seed: Annotated[int, typer.Option(help="Same seed, same report.")] = 0,
    engine: Annotated[
        str, typer.Option(help="Engine; auto takes the best that runs here.")
    ] = "auto",
    out: Annotated[
        Optional[Path],  # noqa: UP045 - Typer on Python 3.10 reads annotations at run time
        typer.Option("--out", "-o", help="Write the report as JSON to this file."),
    ] = None,
    sheet: Annotated[
        Optional[Path],  # noqa: UP045
        typer.Option(help="Write good | mask | generated | difference as PNG to this file."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
) -> None:
    """Let a classifier that knows real (drawn) defects judge un-tuned insertions. Minutes."""
    require(JUDGE_NEEDS, "train,cpu")
    from aliaug_edge import files, imaging
    from aliaug_edge.assets import resolve_bundle
    from aliaug_edge.bundle import load_bundle
    from aliaug_edge.evaluation.judging.drawn_report import report_text
    from aliaug_edge.evaluation.judging.drawn_trial import try_bundle
    from aliaug_edge.labels.sheet import draw_sheet

    loaded = load_bundle(resolve_bundle(bundle))
    trial = try_bundle(loaded, count=count, seed=seed, engine=engine, say=_say)
    if out is not None:
        files.write_json(out, trial.report)
    if sheet is not None:
        files.write_bytes(sheet, imaging.encode_png(draw_sheet(trial.rows), synthetic=True))
    document = files.json_text(trial.report).rstrip()
    typer.echo(document if as_json else report_text(trial.report))


def _say(line: str) -> None:
    typer.echo(line, err=True)
