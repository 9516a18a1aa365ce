"""What the values of a JSON document have to be, told as data: in words, and as a test.

Our documents are readable files, so they get changed by hand. One that was held against its rules
may be read without further care. None of the rules opens a file.
"""

from __future__ import annotations

import json
import math
import re
import reprlib
import unicodedata
from collections.abc import Callable, Mapping
from typing import Any

Test = Callable[[Any], bool]
Rule = tuple[str, Test]  # in words, and as a test

_HASH = re.compile(r"[0-9a-f]{64}")
_NUMBER_LIMIT = 2**62
_NO_LINE = frozenset({"Cc", "Cs", "Zl", "Zp"})  # control characters, half surrogates, line breaks


def is_text(value: Any) -> bool:
    """Short, and no line break, NUL or half a surrogate in it: it may stand in a message."""
    return isinstance(value, str) and len(value) <= 200 and value.isprintable()


def is_line(value: Any) -> bool:
    """As people name things, in any script and at any length, but on one line."""
    return (
        isinstance(value, str)
        and value != ""
        and not any(unicodedata.category(letter) in _NO_LINE for letter in value)
    )


def is_whole(value: Any, low: int = 0) -> bool:
    return type(value) is int and low <= value < _NUMBER_LIMIT


def is_real(value: Any) -> bool:
    return type(value) in (int, float) and math.isfinite(value)


def is_object(value: Any) -> bool:
    return isinstance(value, dict)


def matches(pattern: re.Pattern[str]) -> Test:
    return lambda value: isinstance(value, str) and pattern.fullmatch(value) is not None


def list_of(test: Test) -> Test:
    return lambda value: isinstance(value, list) and all(map(test, value))


def one_of(*words: str) -> Rule:
    return " or ".join(words), lambda value: isinstance(value, str) and value in words


HASH: Rule = ("a SHA-256 in hexadecimal", matches(_HASH))
TEXT: Rule = ("text", is_text)
LINE: Rule = ("a line of text", is_line)
COUNT: Rule = ("a whole number", is_whole)
OBJECT: Rule = ("an object", is_object)
LIST: Rule = ("a list", lambda value: isinstance(value, list))


def read_document(data: bytes) -> dict[str, Any]:
    """The JSON object in `data`.

    Raises:
        ValueError: it is something else.
    """
    try:
        document = json.loads(data.decode("utf-8"))
    except RecursionError:
        raise ValueError("nested too deeply") from None
    except ValueError as error:
        raise ValueError(f"no JSON: {' '.join(str(error).split())}") from None
    if not isinstance(document, dict):
        raise ValueError(f"expected a JSON object, got {shown(document)}")
    return document


def require(document: Any, rules: Mapping[str, Rule], place: str = "") -> None:
    """Whether `document` has all of these values. `place` is where it stands in a larger one.

    Raises:
        ValueError: which one, what was expected, what came.
    """
    if not isinstance(document, dict):
        before = f"{place}: " if place else ""
        raise ValueError(f"{before}expected {', '.join(rules)}, got {shown(document)}")
    for name, (wanted, test) in rules.items():
        where = f"{place}.{name}" if place else name
        if name not in document:
            raise ValueError(f"{where} is missing, expected {wanted}")
        if not test(document[name]):
            raise ValueError(f"{where}: expected {wanted}, got {shown(document[name])}")


def allow(document: Mapping[str, Any], rules: Mapping[str, Rule], place: str = "") -> None:
    """`require`, for those values that are there.

    Raises:
        ValueError: as `require`.
    """
    require(document, {name: rule for name, rule in rules.items() if name in document}, place)


def require_only(document: Any, rules: Mapping[str, Rule]) -> None:
    """`require`, and no value beside them.

    Raises:
        ValueError: as `require`, or which one is unknown.
    """
    for name in sorted(_names(document) - set(rules)):
        raise ValueError(f"{shown(name)} is unknown")
    require(document, rules)


def shown(value: Any) -> str:
    """A value in a line, however large or odd."""
    return reprlib.repr(value)


def _names(document: Any) -> set[str]:
    return set(document) if isinstance(document, dict) else set()
