"""Values of options that are written as text. What cannot be read is wrong usage: exit code 2."""

from __future__ import annotations

import re
from pathlib import Path

import typer

_SIZE = re.compile("([0-9]+)(?:x([0-9]+))?", re.IGNORECASE)


def read_names(text: str) -> tuple[str, ...]:
    """`crack, stain`: the names between the commas; what is empty is left out."""
    return tuple(name.strip() for name in text.split(",") if name.strip())


def read_base(text: str) -> str:
    """A base of one's own by its whole path, which means the same wherever it is read again; `tiny`
    and the names of a hub as they are."""
    return str(Path(text).resolve()) if text != "tiny" and Path(text).is_dir() else text


def read_size(text: str, flag: str) -> tuple[int, int]:
    """`128` or `128x192`: (height, width) in pixels.

    Raises:
        BadParameter: anything else; it names `flag`.
    """
    found = _SIZE.fullmatch(text.strip())
    if found is None:
        raise typer.BadParameter(f"expected 128 or 128x192, got {text!r}", param_hint=flag)
    height, width = found.groups()
    return int(height), int(width or height)


def read_sizes(text: str, flag: str) -> tuple[tuple[int, int], ...]:
    """`128,128x192`: at least one size, as `read_size` reads it.

    Raises:
        BadParameter: one that is no size, or none; it names `flag`.
    """
    return tuple(read_size(part, flag) for part in read_names(text) or (text,))
