"""The Typer application: its commands, and the one place where an error becomes an exit code."""

from __future__ import annotations

import contextlib
import errno
from collections.abc import Iterator
from typing import Any

import typer
from typer.core import TyperGroup

from aliaug_edge import __version__
from aliaug_edge.cli import INTERRUPTED
from aliaug_edge.cli.build import build
from aliaug_edge.cli.data import data_app
from aliaug_edge.cli.doctor import doctor
from aliaug_edge.cli.evaluate import evaluate
from aliaug_edge.cli.generate import generate
from aliaug_edge.cli.inspect import inspect
from aliaug_edge.cli.judge import judge
from aliaug_edge.cli.profile import profile
from aliaug_edge.cli.report import report
from aliaug_edge.cli.study import study
from aliaug_edge.cli.train import export, pretrain, train
from aliaug_edge.errors import AliAugError

# What no check of ours foresees and no bug of ours causes, told in one line wherever it comes up.
CIRCUMSTANCES = frozenset(
    {
        errno.EACCES,
        errno.EPERM,
        errno.EROFS,
        errno.ENOSPC,
        errno.EDQUOT,
        errno.EIO,
        errno.EMFILE,
        errno.ENFILE,
        errno.ENAMETOOLONG,
        errno.ELOOP,
    }
)


class ErrorBoundary(TyperGroup):
    """Turns a user's error into one line on stderr and its exit code, without a traceback."""

    def make_context(self, *args: Any, **keywords: Any) -> Any:
        with _one_line():
            return super().make_context(*args, **keywords)

    def invoke(self, ctx: Any) -> Any:
        with _one_line():
            return super().invoke(ctx)


@contextlib.contextmanager
def _one_line() -> Iterator[None]:
    try:
        yield
    except (Exception, KeyboardInterrupt) as error:
        if _is_from_ctrl_c(error):
            typer.echo("interrupted", err=True)
            raise typer.Exit(INTERRUPTED) from None
        if isinstance(error, AliAugError):
            typer.echo(f"error: {' '.join(str(error).splitlines())}", err=True)
            raise typer.Exit(error.exit_code) from None
        if isinstance(error, OSError) and error.errno in CIRCUMSTANCES:
            place = error.filename or "a file"
            said = f"error: {place} cannot be used: {error.strerror}; mend it or choose another"
            typer.echo(said, err=True)
            raise typer.Exit(AliAugError.exit_code) from None
        raise


def _is_from_ctrl_c(error: BaseException | None) -> bool:
    """Compiled modules that are interrupted in their import make an ImportError of it."""
    while error is not None and not isinstance(error, KeyboardInterrupt):
        error = error.__cause__ or error.__context__
    return error is not None


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
for command in (
    train,
    export,
    build,
    generate,
    profile,
    report,
    evaluate,
    judge,
    study,
    inspect,
    doctor,
    pretrain,
):
    app.command(command.__name__)(command)
