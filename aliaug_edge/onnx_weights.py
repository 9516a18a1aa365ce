"""Which files beside an ONNX graph hold its weights, read without the `onnx` package."""

from __future__ import annotations

from pathlib import Path

from aliaug_edge import wire

# Field numbers of onnx.proto (https://github.com/onnx/onnx/blob/main/onnx/onnx.proto).
GRAPH, INITIALIZERS, EXTERNAL, KEY, VALUE = 7, 5, 13, 1, 2


def external_entries(tensor: memoryview) -> dict[str, str]:
    """Where a weight lies outside its graph: location, offset, length; empty of one inside."""
    return {
        wire.text(entry, KEY): wire.text(entry, VALUE) for entry in wire.messages(tensor, EXTERNAL)
    }


def weight_locations(path: Path) -> set[str]:
    """The weight files that the graph at `path` names, as it names them: relative to its folder.

    Empty for a file that is no ONNX graph; the engine that loads it says what is wrong.

    Raises:
        OSError: it cannot be read.
    """
    data = memoryview(path.read_bytes())
    try:
        return {
            found["location"]
            for graph in wire.messages(data, GRAPH)
            for tensor in wire.messages(graph, INITIALIZERS)
            if (found := external_entries(tensor)) and "location" in found
        }
    except ValueError:
        return set()
