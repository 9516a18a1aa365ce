"""`ali-aug study`: questions about the method, each one command with a report."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from aliaug_edge.cli.options import AsJson, Base, Classes, Groups, Pool
from aliaug_edge.cli.require import require
from aliaug_edge.cli.say import say
from aliaug_edge.cli.termination import ending_on_sigterm
from aliaug_edge.cli.values import read_base, read_names
from aliaug_edge.errors import AliAugError
from aliaug_edge.extras import EXPORT, EXPORT_EXTRAS, TRAIN

NAMES = "mask-size, steps, lora, ablations, data-size or real-synthetic."
STUDY_NEEDS = (*TRAIN, "onnxruntime")
EXPORTING = ("data-size", "real-synthetic")


def study(
    name: Annotated[str, typer.Argument(help=NAMES)],
    data: Annotated[
        Path, typer.Option(help="Folder of photos and masks (see `ali-aug data check`).")
    ],
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder of the study.")],
    classes: Classes = "",
    pool: Pool = "train",
    groups: Groups = None,
    base: Base = "tiny",
    run: Annotated[
        Path | None,
        typer.Option(help="mask-size and steps: look at this finished run instead of training."),
    ] = None,
    steps: Annotated[int | None, typer.Option(help="Training steps of each run.")] = None,
    seeds: Annotated[int | None, typer.Option(help="Runs per row.")] = None,
    size: Annotated[int | None, typer.Option(help="Side of the window in pixels.")] = None,
    seed: Annotated[int, typer.Option(help="First seed; same seed, same result.")] = 0,
    quick: Annotated[
        bool, typer.Option("--quick", help="Minutes; tries the machinery, decides nothing.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Ask one question about the method; resumable, with table, JSON and charts."""
    if name in EXPORTING:
        if size is not None:
            raise AliAugError(
                f"study {name} evaluates detectors, with the generator's own window; drop --size"
            )
        require((*EXPORT, "scipy"), EXPORT_EXTRAS)
    require(STUDY_NEEDS, "train,cpu")
    from dataclasses import replace

    from aliaug_edge.evaluation.studies.report import PAGE, table_text
    from aliaug_edge.evaluation.studies.run import run_study
    from aliaug_edge.evaluation.studies.study import FULL, QUICK, StudySettings
    from aliaug_edge.files import json_text

    given = {"steps": steps, "seeds": seeds, "size": size}
    budget = replace(
        QUICK if quick else FULL,
        **{key: value for key, value in given.items() if value is not None},
    )
    settings = StudySettings(
        data=str(data.resolve()),
        pool=pool,
        groups=str(groups.resolve()) if groups else None,
        classes=read_names(classes),
        base=read_base(base),
        run=str(run.resolve()) if run else None,
        seed=seed,
        quick=quick,
        budget=budget,
    )
    with ending_on_sigterm():
        document = run_study(name, settings, out, say)
    if as_json:
        typer.echo(json_text(document), nl=False)
    else:
        typer.echo(table_text(document), nl=False)
        typer.echo(f"saved {out / PAGE}")
