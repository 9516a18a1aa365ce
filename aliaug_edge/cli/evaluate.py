"""`ali-aug evaluate`: does a detector find more real defects when it learns from made ones too?"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from aliaug_edge.cli.options import AsJson, Base, Classes, Groups, Pool, Seed
from aliaug_edge.cli.require import require
from aliaug_edge.cli.say import say
from aliaug_edge.cli.termination import ending_on_sigterm
from aliaug_edge.cli.values import read_base, read_names

NEEDS = ("torch", "diffusers", "peft", "onnx", "onnxruntime", "scipy")
QUICK_SEEDS, QUICK_DETECTOR_STEPS, QUICK_GENERATOR_STEPS = 1, 150, 40
NOTHING_DECIDED = "--quick decides nothing: one seed, short trainings"


def evaluate(
    data: Annotated[Path, typer.Argument(help="Folder of photos and masks, with a test side.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder of the evaluation.")],
    pool: Pool = "train",
    groups: Groups = None,
    classes: Classes = "",
    conditions: Annotated[
        str,
        typer.Option(
            help="Conditions by comma, or `all`; if left out none, classic, copy-paste-1x, "
            "copy-paste-2x, perlin-1x, cutpaste-1x, cas-text-1x, nas-text-1x, nas-text-2x."
        ),
    ] = "",
    seeds: Annotated[int, typer.Option(help="Detectors per condition and fold.")] = 5,
    folds: Annotated[
        int, typer.Option(help="1 or 2; 0 takes 2 where there are under 40 test groups.")
    ] = 0,
    detector: Annotated[str, typer.Option(help="unet or ultralytics (if installed).")] = "unet",
    detector_steps: Annotated[int, typer.Option(help="Training steps of each detector.")] = 1600,
    generator_steps: Annotated[int, typer.Option(help="Training steps of our generator.")] = 300,
    base: Base = "tiny",
    bundle: Annotated[
        Path | None,
        typer.Option(help="Generate with this bundle instead of training one per fold."),
    ] = None,
    longest: Annotated[int, typer.Option(help="Longer side that detectors see, in pixels.")] = 640,
    workers: Annotated[int, typer.Option(help="Processes; 0: one per core, as memory allows.")] = 0,
    seed: Seed = 0,
    quick: Annotated[
        bool, typer.Option(help="Minutes: one fold and seed, short trainings; decides nothing.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Compare detectors trained with and without made defects, on held-out real ones. Hours.

    Continues an evaluation that was cut short.
    """
    require(NEEDS, "train,export,cpu")
    from aliaug_edge import files
    from aliaug_edge.evaluation.protocol import EvaluationSettings
    from aliaug_edge.evaluation.report.tables import table_text
    from aliaug_edge.evaluation.run import evaluate as run

    if folds not in (0, 1, 2):
        raise typer.BadParameter(f"--folds {folds}: expected 0, 1 or 2")
    if workers < 0:
        raise typer.BadParameter(f"--workers {workers}: expected 0 or more")
    settings = EvaluationSettings(
        data=data,
        groups=groups,
        pool=pool,
        classes=read_names(classes),
        conditions=read_names(conditions),
        seeds=QUICK_SEEDS if quick else seeds,
        exchange=False if quick else {0: None, 1: False, 2: True}[folds],
        detector=detector,
        detector_steps=QUICK_DETECTOR_STEPS if quick else detector_steps,
        generator_steps=QUICK_GENERATOR_STEPS if quick else generator_steps,
        base=read_base(base),
        bundle=bundle,
        longest=longest,
        seed=seed,
        quick=quick,
    )
    if quick:
        say(NOTHING_DECIDED)
    with ending_on_sigterm():
        document = run(settings, out, workers=workers or None, say=say)
    typer.echo(files.json_text(document).rstrip() if as_json else table_text(document))
    say(f"saved {out}; look at {out / 'report.html'}")
