"""What every value of an engine's header, and of the index that vouches for it, has to be.

Both are readable files, so they get changed by hand, with the hash renewed; what is read of them
later, by whomever, may count on these rules. None of them opens a file.
"""

from __future__ import annotations

import json
import math
import re
import reprlib
from collections.abc import Callable, Mapping
from typing import Any

Rule = tuple[str, Callable[[Any], bool]]  # in words, and as a test

_FILE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]{0,199}")
_HASH = re.compile(r"[0-9a-f]{64}")
_VERSION = re.compile(r"[0-9]{1,6}(\.[0-9]{1,6}){0,5}([^0-9.]\S{0,30})?")
_NUMBER_LIMIT = 2**62


def _text(value: Any) -> bool:
    """Short, and no line break, NUL or half a surrogate in it: it may stand in a message."""
    return isinstance(value, str) and len(value) <= 200 and value.isprintable()


def _whole(value: Any, low: int = 0) -> bool:
    return type(value) is int and low <= value < _NUMBER_LIMIT


def _real(value: Any) -> bool:
    return type(value) in (int, float) and math.isfinite(value)


def _is(pattern: re.Pattern[str]) -> Callable[[Any], bool]:
    return lambda value: isinstance(value, str) and pattern.fullmatch(value) is not None


def _list_of(test: Callable[[Any], bool]) -> Callable[[Any], bool]:
    return lambda value: isinstance(value, list) and all(map(test, value))


def _shapes(value: Any) -> bool:
    """By input the smallest, the preferred and the largest shape: {"min", "opt", "max"}."""
    return isinstance(value, dict) and all(map(_text, value)) and all(map(_range, value.values()))


def _range(value: Any) -> bool:
    if not isinstance(value, dict) or set(value) != {"min", "opt", "max"}:
        return False
    sides = [value[side] for side in ("min", "opt", "max")]
    if not all(_list_of(lambda n: _whole(n, 1))(side) for side in sides):
        return False
    if len({len(side) for side in sides}) != 1:
        return False
    return all(low <= best <= high for low, best, high in zip(*sides, strict=True))


def _proof(value: Any) -> bool:
    if value is None:
        return True
    known = isinstance(value, dict) and {"psnr_db", "max_abs", "cases"} <= set(value)
    return known and all(_real(value[n]) for n in ("psnr_db", "max_abs")) and _cases(value["cases"])


def _cases(value: Any) -> bool:
    def case(row: Any) -> bool:
        return isinstance(row, dict) and _size(row.get("size")) and _whole(row.get("batch"), 1)

    return _list_of(case)(value)


def _size(value: Any) -> bool:
    return _list_of(lambda length: _whole(length, 1))(value) and len(value) == 2


def _machine(value: Any) -> bool:
    known = isinstance(value, dict) and set(value) == {"sm", "device", "tensorrt", "platform"}
    return known and all(map(_text, value.values())) and _is(_VERSION)(value["tensorrt"])


FILE: Rule = ("the name of a file beside it", _is(_FILE))
HASH: Rule = ("a SHA-256 in hexadecimal", _is(_HASH))
TEXT: Rule = ("text", _text)
COUNT: Rule = ("a whole number", _whole)
HEADER: Mapping[str, Rule] = {
    "graph": TEXT,
    "key": TEXT,
    "plan": FILE,
    "plan_sha256": HASH,
    "plan_bytes": COUNT,
    "onnx_sha256": HASH,
    "built_for": ("sm, device, tensorrt (a version) and platform", _machine),
    "precision": ("fp32 or fp16", lambda value: value in ("fp32", "fp16")),
    "profile": ("min, opt and max shape, of one rank, for each input", _shapes),
    "flags": ("a list of names", _list_of(_text)),
    "optimization_level": COUNT,
    "workspace_mib": ("null or MiB", lambda value: value is None or _whole(value)),
    "version_compatible": ("true or false", lambda value: isinstance(value, bool)),
    "parity": ("null or psnr_db, max_abs and cases", _proof),
    "build_s": ("seconds", lambda value: _real(value) and value >= 0),
}
ENTRY: Mapping[str, Rule] = {"header": FILE, "sha256": HASH}


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
        raise ValueError(f"expected a JSON object, got {_shown(document)}")
    return document


def require(document: Any, rules: Mapping[str, Rule]) -> None:
    """Whether `document` has all of these values and no others.

    Raises:
        ValueError: which one, what was expected, what came.
    """
    if not isinstance(document, dict):
        raise ValueError(f"expected {', '.join(rules)}, got {_shown(document)}")
    for name in sorted(set(document) - set(rules)):
        raise ValueError(f"{_shown(name)} is unknown")
    for name, (wanted, test) in rules.items():
        if name not in document:
            raise ValueError(f"{name} is missing, expected {wanted}")
        if not test(document[name]):
            raise ValueError(f"{name}: expected {wanted}, got {_shown(document[name])}")


def _shown(value: Any) -> str:
    """A value in a line, however large or odd."""
    return reprlib.repr(value)
