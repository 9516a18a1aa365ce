"""The command line `ali-aug`: parse, one library call, print. Heavy imports are in the commands."""

import contextlib
import sys

INTERRUPTED = 130


def main() -> None:
    """Entry point of `ali-aug`. The application is imported here, because Ctrl-C may come then."""
    with contextlib.suppress(AttributeError):  # a name that the terminal cannot write is escaped
        sys.stdout.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]
    try:
        from aliaug_edge.cli.app import app

        sys.exit(app())
    except KeyboardInterrupt:
        sys.stderr.write("interrupted\n")
        sys.exit(INTERRUPTED)


__all__ = ["main"]
