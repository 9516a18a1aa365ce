"""The command line `ali-aug`: parse, one library call, print. Heavy imports are in the commands."""

import sys

INTERRUPTED = 130


def main() -> None:
    """Entry point of `ali-aug`. The application is imported here, because Ctrl-C may come then."""
    try:
        from aliaug_edge.cli.app import app

        sys.exit(app())
    except KeyboardInterrupt:
        sys.stderr.write("interrupted\n")
        sys.exit(INTERRUPTED)


__all__ = ["main"]
