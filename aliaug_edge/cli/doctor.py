"""`ali-aug doctor`: what is installed, and what can run here."""

from __future__ import annotations

import typer

from aliaug_edge.cli.options import AsJson


def doctor(
    as_json: AsJson = False,
) -> None:
    """Say what is installed, which engines can run here, and what adds the others.

    Exit code 1 when nothing can be generated.
    """
    from aliaug_edge.doctor import doctor_report, doctor_text
    from aliaug_edge.files import json_text

    report = doctor_report()
    typer.echo(json_text(report) if as_json else doctor_text(report), nl=not as_json)
    if not report["can_generate"]:
        raise typer.Exit(1)
