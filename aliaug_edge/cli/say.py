"""What a command says beside its result goes to stderr, so that stdout can be piped."""

from __future__ import annotations

import typer


def say(line: str) -> None:
    """One line for the person at the terminal."""
    typer.echo(line, err=True)


def say_count(verb: str, done: int, total: int) -> None:
    """How far a command is, in one line that is written over until it is complete."""
    typer.echo(f"\r{verb} {done} of {total}", err=True, nl=done == total)
