"""`ali-aug judge`: are a bundle's defects recognisable as what was asked for?"""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from aliaug_edge.cli.options import AsJson, BundleName
from aliaug_edge.cli.require import require
from aliaug_edge.cli.say import say
from aliaug_edge.cli.values import read_names

if TYPE_CHECKING:
    from aliaug_edge.bundle import Bundle
    from aliaug_edge.evaluation.judging.drawn_trial import Trial

JUDGE_NEEDS = ("torch", "onnxruntime")
DATA_NEEDS = (*JUDGE_NEEDS, "diffusers")
DRAWN_COUNT, DATA_COUNT, QUICK_COUNT = 60, 24, 6


def judge(
    bundle: BundleName,
    data: Annotated[
        Path | None,
        typer.Option(help="Judge on real data with a test side; on drawn defects if left out."),
    ] = None,
    pool: Annotated[
        str, typer.Option(help="With --data: list of split.json that the bundle learned from.")
    ] = "train",
    judge_pool: Annotated[
        str, typer.Option(help="With --data: list of split.json that the judge learns from.")
    ] = "train",
    groups: Annotated[
        Path | None,
        typer.Option(help="With --data: file that names the physical part of each photo."),
    ] = None,
    classes: Annotated[
        str, typer.Option(help="With --data: classes by comma; the bundle's if left out.")
    ] = "",
    quick: Annotated[
        bool, typer.Option(help="With --data: a glance; its intervals are wide.")
    ] = False,
    count: Annotated[
        int | None,
        typer.Option(
            help=f"Insertions per class; {DRAWN_COUNT}, {DATA_COUNT} with --data if left out."
        ),
    ] = None,
    seed: Annotated[int, typer.Option(help="Same seed, same report.")] = 0,
    engine: Annotated[
        str, typer.Option(help="As for `ali-aug generate`; auto takes the best that runs here.")
    ] = "auto",
    out: Annotated[
        Path | None,
        typer.Option("--out", "-o", help="Write the report as JSON to this file."),
    ] = None,
    sheet: Annotated[
        Path | None,
        typer.Option(help="Write good | mask | generated | difference as PNG to this file."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Let a classifier that knows real (or drawn) defects judge a bundle's first tries. Minutes."""
    require(JUDGE_NEEDS if data is None else DATA_NEEDS, "train,cpu")
    from aliaug_edge import files, imaging
    from aliaug_edge.assets import resolve_bundle
    from aliaug_edge.bundle import load_bundle
    from aliaug_edge.labels.sheet import draw_sheet

    loaded = load_bundle(resolve_bundle(bundle))
    if data is None:
        from aliaug_edge.evaluation.judging.drawn_report import report_text as text_of
        from aliaug_edge.evaluation.judging.drawn_trial import try_bundle

        wanted = DRAWN_COUNT if count is None else count
        trial = try_bundle(loaded, count=wanted, seed=seed, engine=engine, say=say)
    else:
        from aliaug_edge.evaluation.judging.real_report import real_report_text as text_of

        named = read_names(classes) or loaded.class_names
        pools = (pool, judge_pool)
        trial = _on_data(loaded, data, pools, groups, named, count, quick, seed, engine)
    if out is not None:
        files.write_json(out, trial.report)
    if sheet is not None:
        files.write_bytes(sheet, imaging.encode_png(draw_sheet(trial.rows), synthetic=True))
    document = files.json_text(trial.report).rstrip()
    typer.echo(document if as_json else text_of(trial.report))


def _on_data(
    bundle: Bundle,
    data: Path,
    pools: tuple[str, str],
    groups: Path | None,
    classes: Collection[str],
    count: int | None,
    quick: bool,
    seed: int,
    engine: str,
) -> Trial:
    from dataclasses import replace

    from aliaug_edge.data.notes import data_notes, say_notes
    from aliaug_edge.data.reader import load_dataset
    from aliaug_edge.evaluation.judging.real_trial import (
        QUICK,
        RealTrialSettings,
        judge_bundle_on_data,
    )
    from aliaug_edge.evaluation.judging.sides import read_sides

    pool, judge_pool = pools
    dataset = load_dataset(data, groups=groups, pool=pool, seed=seed, classes=classes)
    say_notes(data_notes(dataset), data, say)
    sides = read_sides(
        data, pool=pool, judge_pool=judge_pool, groups=groups, classes=classes, seed=seed
    )
    wanted = (QUICK_COUNT if quick else DATA_COUNT) if count is None else count
    chosen = QUICK if quick else RealTrialSettings()
    settings = replace(chosen, per_class=wanted, seed=seed, engine=engine)
    return judge_bundle_on_data(bundle, sides, settings, say)
