"""Class names for the Ali-AUG layout, which has no field for them. See `aliaug`."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace

from aliaug_edge.data.colours import RGB, colour_names, paint_colours
from aliaug_edge.data.pairing import bare, nfc
from aliaug_edge.data.prompts import class_words, shared_words
from aliaug_edge.data.samples import Problem, Sample
from aliaug_edge.errors import DataError

FALLBACK_CLASS = "defect"
_MANY = 3  # classes; beyond it, one for nearly every photo looks like free text


def name_classes(
    samples: Sequence[Sample],
) -> tuple[list[Sample], list[Problem], list[str]]:
    """`samples` with their classes, and the problems and notes on the way.

    Masks are decoded only where prompts and names put everything into one class. A prompt that
    several classes share says nothing of any of them and is left out of the samples.
    """
    shared = shared_words(s.prompt for s in samples if s.prompt)
    names = [class_of(s.prompt, s.image_path.stem, shared) for s in samples]
    named = [replace(s, defect_class=name) for s, name in zip(samples, names, strict=True)]
    if len(set(names)) == 1:
        named, problems, notes = _by_colour(named)
    else:
        problems, notes = [], _free_text(named)
    return _without_shared_prompts(named), problems, notes


def class_of(prompt: str | None, stem: str, shared: frozenset[str] = frozenset()) -> str:
    """The class that a prompt, or else a file's stem up to its first digit, names.

    `shared` are the words that all prompts of the data have in common.
    """
    words = [word for word in class_words(prompt or "") if word not in shared]
    prefix = bare(re.split(r"\d", nfc(stem), maxsplit=1)[0]).strip(" _-.").lower()
    return "_".join(words) or prefix or FALLBACK_CLASS


def _by_colour(samples: list[Sample]) -> tuple[list[Sample], list[Problem], list[str]]:
    """`samples`, all of one class, told apart by their masks' colours if there are several."""
    colours, problems = _colours(samples)
    names = colour_names(found[0] for found in colours.values())
    classes = sorted(set(names.values()))
    if len(classes) > 1:
        notes = [
            "the classes are named after the colours of the masks, since neither prompts nor "
            f"file names tell them apart: {', '.join(classes)}"
        ]
        mixed = [s.mask_path for s, found in colours.items() if len(found) > 1]
        notes += [
            f"{len(mixed)} masks have several colours, e.g. {path}; each counts as the class of "
            "the colour with the largest area"
            for path in mixed[:1]
        ]
        coloured = [replace(s, defect_class=names[found[0]]) for s, found in colours.items()]
        return coloured, problems, notes
    if samples[0].defect_class == FALLBACK_CLASS:
        note = (
            f"every defect is of the class {FALLBACK_CLASS}, since neither prompts nor file names "
            "nor the colours of the masks tell classes apart"
        )
        return samples, [], [note]
    return samples, [], []


def _colours(samples: list[Sample]) -> tuple[dict[Sample, list[RGB]], list[Problem]]:
    """The colours of every mask that shows one, and a problem for each of the others."""
    colours: dict[Sample, list[RGB]] = {}
    problems = []
    for sample in samples:
        assert sample.mask_path is not None
        try:
            found = paint_colours(sample.mask_path)
        except DataError as error:
            problems.append(Problem(str(error)))
            continue
        if found:
            colours[sample] = found
        else:
            problems.append(Problem(f"mask {sample.mask_path} is empty: it shows no class colour"))
    return colours, problems


def _free_text(samples: list[Sample]) -> list[str]:
    classes = {s.defect_class for s in samples}
    example = next((s.prompt for s in samples if s.prompt and class_words(s.prompt)), None)
    if example is None or len(classes) <= max(_MANY, len(samples) / 2):
        return []
    return [
        f"{len(classes)} classes in {len(samples)} photos, read from prompts such as `{example}`; "
        "if these describe rather than name, put the class right before the word defect, as in "
        "`Add a crack defect.`"
    ]


def _without_shared_prompts(samples: list[Sample]) -> list[Sample]:
    classes: dict[str | None, set[str]] = defaultdict(set)
    for sample in samples:
        classes[sample.prompt].add(sample.defect_class)
    return [replace(s, prompt=s.prompt if len(classes[s.prompt]) == 1 else None) for s in samples]
