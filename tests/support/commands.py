"""Run one command function as `ali-aug` would, through the same error boundary."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import typer
from click.testing import Result
from typer.testing import CliRunner

from aliaug_edge.cli.app import ErrorBoundary


def run_command(function: Callable[..., Any], *arguments: object) -> Result:
    """Exit code, stdout and stderr of `ali-aug <function> <arguments>`."""
    app = typer.Typer(cls=ErrorBoundary, pretty_exceptions_enable=False)
    app.callback()(lambda: None)
    app.command("it")(function)
    return CliRunner().invoke(app, ["it", *map(str, arguments)])
