"""Profiling: where each millisecond goes, with the conditions under which it was measured."""

from aliaug_edge.profiling.latency import Latency, Rules, summarise
from aliaug_edge.profiling.run import profile_bundle
from aliaug_edge.profiling.table import profile_text

__all__ = ["Latency", "Rules", "profile_bundle", "profile_text", "summarise"]
