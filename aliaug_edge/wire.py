"""Protocol Buffers as far as an ONNX file needs them: its numbered fields, read and written without
`onnx`.

The `onnx` package belongs to the torch half and is not on the machine that builds engines.
Encoding: https://protobuf.dev/programming-guides/encoding
"""

from __future__ import annotations

from collections.abc import Iterator

_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5


def fields(message: memoryview) -> Iterator[tuple[int, int | memoryview]]:
    """(number, value) of each field in order: an int, or the bytes of a text or inner message.

    Raises:
        ValueError: the bytes are no message.
    """
    at = 0
    while at < len(message):
        tag, at = _varint(message, at)
        number, kind = tag >> 3, tag & 7
        if kind == _VARINT:
            value, at = _varint(message, at)
            yield number, value
            continue
        if kind == _BYTES:
            length, at = _varint(message, at)
        elif kind in (_FIXED32, _FIXED64):
            length = 4 if kind == _FIXED32 else 8
        else:
            raise ValueError(f"wire type {kind} at byte {at}")
        if at + length > len(message):
            raise ValueError(f"ends within field {number}")
        yield number, message[at : at + length]
        at += length


def messages(message: memoryview, number: int) -> Iterator[memoryview]:
    """The texts and inner messages in the fields called `number`."""
    for found, value in fields(message):
        if found == number and isinstance(value, memoryview):
            yield value


def text(message: memoryview, number: int) -> str:
    """The last text in field `number`, "" where there is none."""
    found = ""
    for value in messages(message, number):
        found = bytes(value).decode("utf-8", errors="replace")
    return found


def number_in(message: memoryview, number: int) -> int:
    """The last int in field `number`, 0 where there is none."""
    found = 0
    for name, value in fields(message):
        if name == number and isinstance(value, int):
            found = value
    return found


def field(number: int, value: int | bytes | memoryview) -> bytes:
    """An int, not negative, or a text or inner message as it is written in field `number`."""
    if isinstance(value, int):
        return _number(number << 3 | _VARINT) + _number(value)
    return _number(number << 3 | _BYTES) + _number(len(value)) + bytes(value)


def _number(value: int) -> bytes:
    written = bytearray()
    while value > 0x7F:
        written.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*written, value])


def _varint(message: memoryview, at: int) -> tuple[int, int]:
    value = shift = 0
    while at < len(message) and shift < 70:
        byte = message[at]
        value |= (byte & 0x7F) << shift
        at += 1
        if not byte & 0x80:
            return value, at
        shift += 7
    raise ValueError(f"a number does not end at byte {at}")
