"""`ali-aug data …`: look at a folder of defect images before learning from it, or draw one."""

from __future__ import annotations

import sys
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from aliaug_edge.cli.options import AsJson, Groups, Pool
from aliaug_edge.cli.say import say_count
from aliaug_edge.cli.values import read_names, read_size

data_app = typer.Typer(no_args_is_help=True, help="Look at a folder of defect images, or draw one.")


@data_app.callback()
def data() -> None:
    """Look at a folder of defect images, or draw one."""


@data_app.command("check")
def check(
    folder: Annotated[
        Path, typer.Argument(help="MVTec layout, Ali-AUG layout, or images/ and masks/.")
    ],
    groups: Groups = None,
    pool: Pool = "train",
    seed: Annotated[
        int, typer.Option(help="Draws the split where there is none, as for `ali-aug train`.")
    ] = 0,
    as_json: AsJson = False,
) -> None:
    """Count classes, groups and mask areas, and list every problem; exit 1 if there is any."""
    from aliaug_edge.data.check import check_dataset
    from aliaug_edge.data.check_report import report_text
    from aliaug_edge.files import json_text

    quiet = as_json or not sys.stderr.isatty()
    progress = None if quiet else partial(say_count, "checked")
    report = check_dataset(folder, groups=groups, pool=pool, seed=seed, progress=progress)
    typer.echo(json_text(report.as_json()).rstrip() if as_json else report_text(report))
    if not report.ok:
        raise typer.Exit(1)


@data_app.command("make")
def make(
    folder: Annotated[Path, typer.Argument(help="New folder, in MVTec's layout.")],
    material: Annotated[
        str, typer.Option(help="Surface of all photos; `mixed` draws one for each.")
    ] = "ground_metal",
    classes: Annotated[
        str, typer.Option(help="Defect classes, comma-separated.")
    ] = "blowhole,crack,stain",
    defects: Annotated[int, typer.Option(help="Defects per class.")] = 12,
    good: Annotated[int, typer.Option(help="Photos without a defect.")] = 40,
    size: Annotated[
        str, typer.Option(help="128 or 128x192 (height x width), in pixels.")
    ] = "256x320",
    seed: Annotated[int, typer.Option(help="Same seed, same bytes.")] = 0,
) -> None:
    """Draw the photos of a product line that never existed, with masked defects and a split."""
    from aliaug_edge.data.make import make_dataset

    made = make_dataset(
        folder,
        material=None if material == "mixed" else material,
        classes=read_names(classes),
        defects_per_class=defects,
        goods=good,
        size_hw=read_size(size, "--size"),
        seed=seed,
        progress=partial(say_count, "drew") if sys.stderr.isatty() else None,
    )
    typer.echo(f"saved {made}; next: ali-aug data check {made}")
