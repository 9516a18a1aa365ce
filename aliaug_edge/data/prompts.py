"""What the prompts of the Ali-AUG layout say about the class: its words, less the frame of the
request.

    "Add a crack defect to the tile."     -> crack
    "Add a gray stroke defect."           -> gray_stroke
    "Add a crack to the tile."            -> crack
    "photo of a tile with a crack"        -> crack
    "Add a defect."                       -> no class
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from pathlib import Path

from aliaug_edge.data.pairing import nfc
from aliaug_edge.errors import DataError

_DEFECT = frozenset({"defect", "defects", "anomaly", "anomalies", "flaw", "flaws"})
_STARTS = frozenset(
    {"add", "insert", "draw", "make", "generate", "create", "put", "paint", "place"}
    | {"with", "having", "showing"}
)
_PLACES = frozenset({"to", "into", "on", "onto", "in", "at", "inside", "over"})
_FILLERS = frozenset(
    {"a", "an", "the", "this", "that", "some", "one", "of", "and", "please"}
    | {"type", "kind", "called", "named", "image", "photo", "picture", "surface"}
)
_FRAME = _DEFECT | _STARTS | _PLACES | _FILLERS


def read_prompts(path: Path) -> dict[str, str]:
    """{file name: prompt}, nothing where there is no such file.

    Raises:
        DataError: the file cannot be read, or is not JSON of that shape.
    """
    try:
        document = json.loads(path.read_text(encoding="utf-8-sig"))
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror or error}") from error
    except ValueError as error:
        raise DataError(f"{path} is not JSON: {error}") from error
    if not isinstance(document, dict) or not all(isinstance(p, str) for p in document.values()):
        raise DataError(f'{path} is not a prompts file: expected {{"file": "prompt"}}')
    return {nfc(name): prompt for name, prompt in document.items()}


def class_words(prompt: str) -> tuple[str, ...]:
    """The words of `prompt` that name a class, in lower case and in order; maybe none.

    They are those right before "defect"; else those that follow the verb or "with", up to the word
    that begins a place ("to the tile").
    """
    words = re.findall(r"[^\W_]+", nfc(prompt).lower())
    for end in (i for i, word in enumerate(words) if word in _DEFECT):
        start = end
        while start and words[start - 1] not in _FRAME:
            start -= 1
        if start < end:
            return tuple(words[start:end])
    start = max((i + 1 for i, word in enumerate(words) if word in _STARTS), default=0)
    named: list[str] = []
    for i, word in enumerate(words[start:], start):
        if word in _PLACES and (named or _DEFECT & set(words[start:i])):
            break
        if word not in _FRAME:
            named.append(word)
    return tuple(named)


def shared_words(prompts: Iterable[str]) -> frozenset[str]:
    """Words that all prompts name and that therefore name no class, such as the product's.

    None where a prompt would have no other word left, or where all say the same.
    """
    different = {frozenset(class_words(prompt)) for prompt in prompts}
    common = frozenset[str]().union(*different).intersection(*different)
    tells_apart = len(different) > 1 and all(words - common for words in different)
    return common if tells_apart else frozenset()
