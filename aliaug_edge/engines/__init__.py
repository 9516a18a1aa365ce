"""Engines: what runs a graph of a bundle. No torch here, and every runtime is imported lazily."""

from aliaug_edge.engines.base import Engine

__all__ = ["Engine"]
