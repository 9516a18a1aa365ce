"""The Typer application: its commands, and the one place where an error becomes an exit code."""

from __future__ import annotations

import sys
from typing import Any

import typer
from typer.core import TyperGroup

from aliaug_edge import __version__
from aliaug_edge.cli.data import data_app
from aliaug_edge.cli.doctor import doctor
from aliaug_edge.cli.generate import generate
from aliaug_edge.cli.inspect import inspect
from aliaug_edge.cli.judge import judge
from aliaug_edge.cli.profile import profile
from aliaug_edge.cli.report import report
from aliaug_edge.cli.train import export, pretrain, train
from aliaug_edge.errors import AliAugError

INTERRUPTED = 130


class ErrorBoundary(TyperGroup):
    """Turns a user's error into one line on stderr and its exit code, without a traceback."""

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except AliAugError as error:
            typer.echo(f"error: {error}", err=True)
            raise typer.Exit(error.exit_code) from None
        except KeyboardInterrupt:
            typer.echo("interrupted", err=True)
            raise typer.Exit(INTERRUPTED) from None


app = typer.Typer(
    cls=ErrorBoundary,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Insert named, labelled defects into photos of good parts.",
)


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"ali-aug {__version__}")
        raise typer.Exit


@app.callback()
def options(
    version: bool = typer.Option(
        False,
        "--version",
        callback=_print_version,
        is_eager=True,
        help="Print the version and exit.",
    ),
) -> None:
    del version


app.add_typer(data_app, name="data")
for command in (train, export, generate, profile, report, judge, inspect, doctor, pretrain):
    app.command(command.__name__)(command)


def main() -> None:
    """Entry point of `ali-aug`."""
    sys.exit(app())
