"""`ali-aug data …`: look at a folder of defect images before learning from it."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

data_app = typer.Typer(no_args_is_help=True, help="Look at a folder of defect images.")


@data_app.callback()
def data() -> None:
    """Look at a folder of defect images."""


@data_app.command("check")
def check(
    folder: Annotated[
        Path, typer.Argument(help="MVTec layout, Ali-AUG layout, or images/ and masks/.")
    ],
    groups: Annotated[
        Path | None,
        typer.Option(help="CSV or JSON that names the physical part that each file shows."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
) -> None:
    """Count classes, groups and mask areas, and list every problem; exit 1 if there is any."""
    from aliaug_edge.data.check import check_dataset
    from aliaug_edge.data.check_report import report_text
    from aliaug_edge.files import json_text

    quiet = as_json or not sys.stderr.isatty()
    report = check_dataset(folder, groups=groups, progress=None if quiet else _show_progress)
    typer.echo(json_text(report.as_json()).rstrip() if as_json else report_text(report))
    if not report.ok:
        raise typer.Exit(1)


def _show_progress(done: int, total: int) -> None:
    typer.echo(f"\rchecked {done} of {total}", err=True, nl=done == total)
