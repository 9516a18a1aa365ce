"""What every value of an engine's header, and of the index that vouches for it, has to be.

Both are readable files, so they get changed by hand, with the hash renewed; what is read of them
later, by whomever, may count on these rules.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from aliaug_edge.rules import (
    COUNT,
    HASH,
    TEXT,
    Rule,
    is_real,
    is_text,
    is_whole,
    list_of,
    matches,
    one_of,
)

_FILE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]{0,199}")
_VERSION = re.compile(r"[0-9]{1,6}(\.[0-9]{1,6}){0,5}([^0-9.]\S{0,30})?")


def _shapes(value: Any) -> bool:
    """By input the smallest, the preferred and the largest shape: {"min", "opt", "max"}."""
    return isinstance(value, dict) and all(map(is_text, value)) and all(map(_range, value.values()))


def _range(value: Any) -> bool:
    if not isinstance(value, dict) or set(value) != {"min", "opt", "max"}:
        return False
    sides = [value[side] for side in ("min", "opt", "max")]
    if not all(list_of(lambda n: is_whole(n, 1))(side) for side in sides):
        return False
    if len({len(side) for side in sides}) != 1:
        return False
    return all(low <= best <= high for low, best, high in zip(*sides, strict=True))


def _proof(value: Any) -> bool:
    if value is None:
        return True
    known = isinstance(value, dict) and {"psnr_db", "max_abs", "cases"} <= set(value)
    return (
        known and all(is_real(value[n]) for n in ("psnr_db", "max_abs")) and _cases(value["cases"])
    )


def _cases(value: Any) -> bool:
    def case(row: Any) -> bool:
        return isinstance(row, dict) and _size(row.get("size")) and is_whole(row.get("batch"), 1)

    return list_of(case)(value)


def _size(value: Any) -> bool:
    return list_of(lambda length: is_whole(length, 1))(value) and len(value) == 2


def _machine(value: Any) -> bool:
    known = isinstance(value, dict) and set(value) == {"sm", "device", "tensorrt", "platform"}
    return known and all(map(is_text, value.values())) and matches(_VERSION)(value["tensorrt"])


FILE: Rule = ("the name of a file beside it", matches(_FILE))
HEADER: Mapping[str, Rule] = {
    "graph": TEXT,
    "key": TEXT,
    "plan": FILE,
    "plan_sha256": HASH,
    "plan_bytes": COUNT,
    "onnx_sha256": HASH,
    "built_for": ("sm, device, tensorrt (a version) and platform", _machine),
    "precision": one_of("fp32", "fp16"),
    "profile": ("min, opt and max shape, of one rank, for each input", _shapes),
    "flags": ("a list of names", list_of(is_text)),
    "optimization_level": COUNT,
    "workspace_mib": ("null or MiB", lambda value: value is None or is_whole(value)),
    "version_compatible": ("true or false", lambda value: isinstance(value, bool)),
    "parity": ("null or psnr_db, max_abs and cases", _proof),
    "build_s": ("seconds", lambda value: is_real(value) and value >= 0),
}
ENTRY: Mapping[str, Rule] = {"header": FILE, "sha256": HASH}
