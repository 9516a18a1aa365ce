"""What every value of bundle.json has to be. Later releases may add values, so others are let be.

No hash vouches for bundle.json itself; a value that is possible but another one is not found here.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from aliaug_edge import files
from aliaug_edge.imaging import MAX_PIXELS
from aliaug_edge.rules import (
    COUNT,
    HASH,
    LINE,
    LIST,
    OBJECT,
    Rule,
    allow,
    is_line,
    is_object,
    is_real,
    is_whole,
    list_of,
    one_of,
    require,
)
from aliaug_edge.tensors import LATENT_FACTOR

BACKDROPS = ("none", "plain", "uneven")  # how boldly a part's background is told, least first
PLAIN_BACKDROP = "plain"  # where no real defects say more


def _sizes(value: Any) -> bool:
    return list_of(_size)(value) and value != []


def _size(value: Any) -> bool:
    return (
        list_of(lambda side: is_whole(side, 1) and side % LATENT_FACTOR == 0)(value)
        and len(value) == 2
        and value[0] * value[1] <= MAX_PIXELS
    )


def _colour(value: Any) -> bool:
    return list_of(lambda level: is_real(level) and 0 <= level <= 1)(value) and len(value) == 3


def _parity_row(value: Any) -> bool:
    if not isinstance(value, dict) or not list_of(is_whole)(value.get("size") or []):
        return False
    return all(value.get(name) is None or is_real(value[name]) for name in _MEASURES)


def _tolerance(value: Any) -> bool:
    return is_object(value) and all(is_real(value[name]) for name in _MEASURES if name in value)


_MEASURES = ("max_abs", "psnr_db", "max_grey")
_PARITY: Mapping[str, Rule] = {
    "rows": ("a list of measured tensors", list_of(_parity_row)),
    "tolerance": ("an object of numbers", _tolerance),
}
_MANIFEST: Mapping[str, Rule] = {
    "name": LINE,
    "conditioning": one_of("paper", "full", "light"),
    "label_carrier": one_of("text", "colour", "both", "none"),
    "precision": one_of("fp32", "fp16"),
    "classes": ("a list of at least one class", lambda value: LIST[1](value) and value != []),
    "sizes": (
        f"a list of [height, width], multiples of {LATENT_FACTOR} pixels, at most "
        f"{MAX_PIXELS // 10**6} megapixels",
        _sizes,
    ),
    "latent": OBJECT,
    "preprocessing": OBJECT,
    "graphs": OBJECT,
    "files": OBJECT,
    "parity": OBJECT,
    "provenance": OBJECT,
}
_BACKDROP: Mapping[str, Rule] = {"backdrop": one_of(*BACKDROPS)}
_CLASS: Mapping[str, Rule] = {
    "name": LINE,
    "prompt": ("text", lambda value: isinstance(value, str)),
    "colour": ("red, green and blue in 0 … 1", _colour),
}
_LATENT: Mapping[str, Rule] = {
    "channels": ("1 to 64", lambda value: is_whole(value, 1) and value <= 64),
    "factor": (str(LATENT_FACTOR), lambda value: is_whole(value) and value == LATENT_FACTOR),
}
_GRAPH: Mapping[str, Rule] = {"path": LINE, "inputs": LIST, "outputs": LIST}
_TENSOR: Mapping[str, Rule] = {
    "name": LINE,
    "dtype": one_of("float32", "float16", "float64", "int64", "int32", "uint8", "bool"),
    "shape": (
        "a list of lengths and names",
        list_of(lambda length: is_whole(length, 1) or is_line(length)),
    ),
}
_NAME: Mapping[str, Rule] = {"name": LINE}
_FILE: Mapping[str, Rule] = {"sha256": HASH, "bytes": COUNT}


def check_manifest(document: Mapping[str, Any]) -> None:
    """Whether everything that this release reads of a bundle.json is what it has to be.

    Raises:
        ValueError: which value, what was expected, what came.
    """
    require(document, _MANIFEST)
    allow(document, _BACKDROP)  # bundles older than backdrops have none
    allow(document["parity"], _PARITY, "parity")
    require(document["latent"], _LATENT, "latent")
    for number, entry in enumerate(document["classes"]):
        require(entry, _CLASS, f"classes[{number}]")
    names = [entry["name"] for entry in document["classes"]]
    if len(set(names)) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"classes: expected each once, got {twice!r} twice")
    for name, graph in document["graphs"].items():
        require({"name": name}, _NAME, "graphs")
        _check_graph(graph, f"graphs.{name}")
    for name, facts in document["files"].items():
        require({"name": name}, _NAME, "files")
        require(facts, _FILE, f"files.{name}")
    _require_json(document)


def _check_graph(graph: Any, place: str) -> None:
    require(graph, _GRAPH, place)
    for side in ("inputs", "outputs"):
        for number, tensor in enumerate(graph[side]):
            require(tensor, _TENSOR, f"{place}.{side}[{number}]")


def _require_json(document: Mapping[str, Any]) -> None:
    """What is only handed on, as provenance, must be such as can be written again."""
    try:
        files.json_text(document).encode()
    except RecursionError:
        raise ValueError("nested too deeply") from None
    except UnicodeEncodeError:
        raise ValueError("a text in it holds half a character") from None
    except ValueError:
        raise ValueError("a number in it is NaN or infinite") from None
