"""`ali-aug profile`: where each millisecond goes."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from aliaug_edge.cli.options import AsJson, BundleName, Threads
from aliaug_edge.cli.values import read_names, read_size


def profile(
    bundle: BundleName,
    size: Annotated[
        str | None, typer.Option(help="128 or 128x192 (height x width); the smallest if left out.")
    ] = None,
    engine: Annotated[
        str | None,
        typer.Option(help="As for `ali-aug generate`, auto if left out; :N for N threads."),
    ] = None,
    compare: Annotated[
        str | None, typer.Option(help="Several engines, comma-separated, in alternation.")
    ] = None,
    iterations: Annotated[
        int | None, typer.Option(min=1, help="Exactly N passes; else 3 s and at least 10.")
    ] = None,
    warmup_ms: Annotated[float, typer.Option(min=0, help="Warm up this long first.")] = 200.0,
    threads: Threads = None,
    as_json: AsJson = False,
    layers: Annotated[
        Path | None,
        typer.Option(help="Profile TensorRT's layers too; layers_*.json, profile_*.json go here."),
    ] = None,
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="Write the JSON here too.")
    ] = None,
) -> None:
    """Time every stage from image file to finished files, and say under which conditions."""
    from aliaug_edge.assets import resolve_bundle
    from aliaug_edge.bundle import load_bundle
    from aliaug_edge.files import json_text, write_text
    from aliaug_edge.profiling import Rules, profile_bundle, profile_text

    def notify(what: str) -> None:
        if sys.stderr.isatty() and not as_json:
            typer.echo(what, err=True)

    if engine is not None and compare is not None:
        raise typer.BadParameter(
            "give --engine for one engine or --compare for several, not both",
            param_hint="--compare",
        )
    engines = read_names(compare if compare is not None else engine or "auto")
    size_hw = None if size is None else read_size(size, "--size")
    rules = Rules(warmup_ms=warmup_ms, iterations=iterations)
    loaded = load_bundle(resolve_bundle(bundle))
    measured = profile_bundle(loaded, engines, size_hw, rules, threads, notify, layers)
    typer.echo(json_text(measured) if as_json else profile_text(measured), nl=False)
    for warning in measured["warnings"]:
        typer.echo(f"warning: {warning}", err=True)
    if out is not None:  # last: a full disk must not cost the measurement
        write_text(out, json_text(measured))
