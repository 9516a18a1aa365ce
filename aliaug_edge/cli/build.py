"""`ali-aug build`: TensorRT engines for the machine it runs on."""

from __future__ import annotations

import functools
import sys
from pathlib import Path
from typing import Annotated

import typer

from aliaug_edge.cli.options import BundleName, Quiet
from aliaug_edge.cli.values import read_names, read_sizes


def _batches(text: str) -> tuple[int, ...]:
    parts = [part.strip() for part in text.split(",")]
    if not all(part.isdecimal() for part in parts):
        raise typer.BadParameter(
            f"expected numbers like 1,2,4, got {text!r}", param_hint="--batches"
        )
    return tuple(int(part) for part in parts)


def build(
    bundle: BundleName,
    graphs: Annotated[
        str,
        typer.Option(help="Graphs to build, by comma; generator is the three as one engine."),
    ] = "encoder,unet,decoder",
    sizes: Annotated[
        str | None,
        typer.Option(
            help="Sizes, e.g. 128,128x192 (height x width); all of the bundle's if left out."
        ),
    ] = None,
    batches: Annotated[str, typer.Option(help="Batch sizes, e.g. 1,2,4.")] = "1",
    dynamic: Annotated[
        bool, typer.Option("--dynamic", help="One engine for all sizes and batches, not one each.")
    ] = False,
    level: Annotated[
        int, typer.Option(min=0, max=5, help="Builder optimisation level: 5 searches longest.")
    ] = 3,
    workspace: Annotated[
        int | None,
        typer.Option(min=1, help="MiB that a layer may work in; capped on a Jetson if left out."),
    ] = None,
    version_compatible: Annotated[
        bool,
        typer.Option("--version-compatible", help="For newer runtimes and the lean runtime too."),
    ] = False,
    timing_cache: Annotated[
        bool, typer.Option(help="Begin from, and keep, what this device's kernels took.")
    ] = True,
    parity: Annotated[
        bool, typer.Option(help="Prove each engine against its ONNX graph before keeping it.")
    ] = True,
    images: Annotated[
        Path | None,
        typer.Option(help="Photos of good parts to prove engines on; drawn surfaces if left out."),
    ] = None,
    min_psnr: Annotated[
        float | None, typer.Option(help="dB an engine must reach; 60 for fp32, 40 for fp16.")
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Build what is there already.")] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what would be built and what it takes.")
    ] = False,
    quiet: Quiet = False,
) -> None:
    """Build TensorRT engines from a bundle, on the machine that will run them."""
    from aliaug_edge.assets import resolve_bundle
    from aliaug_edge.bundle import load_bundle
    from aliaug_edge.engines.building import BuildOptions, build_bundle, plan_builds
    from aliaug_edge.engines.building.machine import this_machine
    from aliaug_edge.engines.building.parity import DRAWN, PHOTOS
    from aliaug_edge.engines.building.text import Ticker, machine_line, outcome_line, plan_text
    from aliaug_edge.generation.trial import photo_feeds, trial_feeds

    options = BuildOptions(
        graphs=read_names(graphs),
        sizes=None if sizes is None else read_sizes(sizes, "--sizes"),
        batches=_batches(batches),
        dynamic=dynamic,
        optimization_level=level,
        workspace_mib=workspace,
        version_compatible=version_compatible,
        timing_cache=timing_cache,
        parity=parity,
        min_psnr_db=min_psnr,
        force=force,
    )
    loaded = load_bundle(resolve_bundle(bundle))
    machine = this_machine()
    typer.echo(machine_line(machine, options), err=True)
    drawn = functools.partial(trial_feeds, loaded)
    feeds = drawn if images is None else photo_feeds(loaded, images)
    if dry_run:
        typer.echo(plan_text(plan_builds(loaded, options, machine)), nl=False)
        return
    ticker = Ticker(sys.stderr, silent=quiet)
    kind = DRAWN if images is None else PHOTOS
    ticks = (ticker.note, ticker.progress)
    for outcome in build_bundle(loaded, options, machine, feeds, *ticks, kind):
        typer.echo(outcome_line(outcome))
