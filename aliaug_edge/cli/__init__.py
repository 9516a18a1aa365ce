"""The command line `ali-aug`: parse, one library call, print. Heavy imports are in the commands."""

from aliaug_edge.cli.app import main

__all__ = ["main"]
