"""Protobuf fields as they are written are read again, whatever their size."""

from __future__ import annotations

import onnx
import pytest

from aliaug_edge import wire


@pytest.mark.parametrize("value", [0, 1, 127, 128, 300, 2**32, b"", b"text", bytes(300)])
@pytest.mark.parametrize("number", [1, 15, 16, 25])
def test_a_field_is_read_as_it_was_written(number: int, value: int | bytes) -> None:
    written = wire.field(number, value)
    ((found, read),) = wire.fields(memoryview(written))
    assert (found, bytes(read) if isinstance(read, memoryview) else read) == (number, value)


def test_what_is_written_is_what_onnx_reads() -> None:
    graph = wire.field(2, b"g" * 200)
    model = onnx.ModelProto.FromString(wire.field(1, 300) + wire.field(7, graph))
    assert (model.ir_version, model.graph.name) == (300, "g" * 200)
