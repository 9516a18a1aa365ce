"""`ali-aug inspect`: what is in a bundle."""

from __future__ import annotations

import typer

from aliaug_edge.cli.options import AsJson, BundleName


def inspect(
    bundle: BundleName,
    as_json: AsJson = False,
) -> None:
    """Verify a bundle, then say what it holds: classes, sizes, graphs, parity, provenance."""
    from aliaug_edge.assets import resolve_bundle
    from aliaug_edge.bundle import load_bundle
    from aliaug_edge.doctor.contents import bundle_contents, contents_text
    from aliaug_edge.files import json_text

    contents = bundle_contents(load_bundle(resolve_bundle(bundle)))
    typer.echo(json_text(contents) if as_json else contents_text(contents), nl=not as_json)
