"""`ali-aug report`: one HTML file that shows a run."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def report(
    out: Annotated[Path, typer.Option("--out", "-o", help="HTML file to write.")] = Path(
        "report.html"
    ),
    run: Annotated[Path | None, typer.Option(help="Run folder of `ali-aug train`.")] = None,
    bundle: Annotated[str | None, typer.Option(help="Bundle folder, or the word tiny.")] = None,
    dataset: Annotated[Path | None, typer.Option(help="Folder of `ali-aug generate`.")] = None,
    profile: Annotated[
        Path | None, typer.Option(help="JSON that `ali-aug profile -o` wrote.")
    ] = None,
    data: Annotated[
        Path | None, typer.Option(help="Training data: shows real defects beside.")
    ] = None,
    images: Annotated[
        Path | None, typer.Option(help="Folder of the good images, where it is not in --data.")
    ] = None,
    commands: Annotated[
        Path | None, typer.Option(help="Text file with the commands that were run, one per line.")
    ] = None,
) -> None:
    """Show a run in one self-contained HTML file: pictures, curves, parity, latency, commands."""
    from aliaug_edge.assets import resolve_bundle
    from aliaug_edge.files import write_text
    from aliaug_edge.report import collect_report, render_report
    from aliaug_edge.report.read import read_commands

    if not any((run, bundle, dataset, profile)):
        raise typer.BadParameter("give at least one of --run, --bundle, --dataset, --profile")
    bundle_dir = resolve_bundle(bundle) if bundle else None
    lines = read_commands(commands) if commands else ()
    found = collect_report(run, bundle_dir, dataset, profile, lines, data, images)
    write_text(out, render_report(found))
    typer.echo(f"saved {out} ({out.stat().st_size / 1e6:.1f} MB)")
