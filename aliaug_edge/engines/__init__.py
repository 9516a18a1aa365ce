"""Engines: what runs a graph of a bundle. No torch here, and every runtime is imported lazily."""

from aliaug_edge.engines.base import Engine
from aliaug_edge.engines.select import EngineChoice, engine_choices, open_engine

__all__ = ["Engine", "EngineChoice", "engine_choices", "open_engine"]
