"""`ali-aug inspect`: what is in a bundle."""

from __future__ import annotations

from typing import Annotated

import typer


def inspect(
    bundle: Annotated[
        str, typer.Argument(help="Folder of a bundle, or `tiny` for the shipped one.")
    ],
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
) -> None:
    """Verify a bundle, then say what it holds: classes, sizes, graphs, parity, provenance."""
    from aliaug_edge.assets import resolve_bundle
    from aliaug_edge.bundle import load_bundle
    from aliaug_edge.doctor.contents import bundle_contents, contents_text
    from aliaug_edge.files import json_text

    contents = bundle_contents(load_bundle(resolve_bundle(bundle)))
    typer.echo(json_text(contents) if as_json else contents_text(contents), nl=not as_json)
