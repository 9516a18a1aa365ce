"""The layout of the released Ali-AUG code.

    train_A/*            masks, white or painted with a class colour
    train_B/*            targets: the photos with the defect
    train_C/*            inputs: the photos without it (inpainted, or of another good part)
    train_prompts.json   optional: {file: prompt}
    test_A … test_prompts.json    the same, for evaluation

A, B and C belong together by name. The layout has no field for the class, so it is read, in this
order, from

1. the prompt: its words in lower case, less the words that frame every request ("add a … defect")
   and, where there are several different prompts, less the words that all of them share:
   "Add a crack defect." -> crack, "Add a gray stroke defect." -> gray_stroke;
2. the file's name up to its first digit, when no word is left (the colour carrier's constant
   "Add a defect."): crack_017.png -> crack;
3. "defect".

C need not show the same part as B: for textures the released data take any good photo. Good photos
are not a class of their own here; `Sample.good_path` is C.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from pathlib import Path

from aliaug_edge.data.groups import assign_groups, relative_name
from aliaug_edge.data.pairing import MASK_SUFFIX, images_in, pair_by_name
from aliaug_edge.data.samples import Dataset, Sample
from aliaug_edge.data.splits import TEST, TRAIN
from aliaug_edge.data.structure import finish, refuse_pool
from aliaug_edge.errors import DataError

FALLBACK_CLASS = "defect"
_FRAME = frozenset(
    re.findall(
        r"\w+",
        "add insert draw make generate create put a an the this that with of on in to into at "
        "image photo picture surface defect defects anomaly",
    )
)


def load_aliaug(
    root: Path, *, groups: Path | None = None, pool: str = TRAIN, seed: int = 0
) -> Dataset:
    """What `root` holds, with every structural problem in `Dataset.problems`.

    The splits are those of the folders; `seed` draws nothing here, and `pool` can only be "train".

    Raises:
        DataError: a prompts file or the groups file is unusable.
    """
    del seed
    refuse_pool(root, pool)
    prompts = {split: _read_prompts(root / f"{split}_prompts.json") for split in (TRAIN, TEST)}
    shared = _shared_words(p for of_split in prompts.values() for p in of_split.values())
    samples: list[Sample] = []
    problems: list[str] = []
    for split in (TRAIN, TEST):
        found, faults = _triplets(root, split, prompts[split], shared)
        samples, problems = samples + found, problems + faults
    samples, notes = assign_groups(root, samples, groups)
    return finish(root, "aliaug", samples, problems, notes)


def class_of(prompt: str | None, stem: str, shared: frozenset[str]) -> str:
    """The class that a prompt, or else a file's stem, names; the rule is this module's docstring.

    `shared` are the words that all prompts of the data have in common.
    """
    words = [w for w in _words(prompt or "") if w not in _FRAME and w not in shared]
    prefix = re.split(r"\d", stem, maxsplit=1)[0].removesuffix(MASK_SUFFIX).strip(" _-.").lower()
    return "_".join(words) or prefix or FALLBACK_CLASS


def _triplets(
    root: Path, split: str, prompts: dict[str, str], shared: frozenset[str]
) -> tuple[list[Sample], list[str]]:
    masks, targets, inputs = (images_in(root / f"{split}_{letter}") for letter in "ABC")
    pairs, problems = pair_by_name(targets, masks)
    goods: dict[Path, Path] = {}
    if inputs or (root / f"{split}_C").is_dir():
        goods, unpaired = pair_by_name(targets, inputs, kind="input")
        problems += unpaired
    samples = []
    for target, mask in pairs.items():
        prompt = next((prompts[n] for n in (target.name, mask.name) if n in prompts), None)
        if prompts and prompt is None:
            problems.append(f"{root / f'{split}_prompts.json'} has no prompt for {target.name}")
        samples.append(
            Sample(
                image_path=target,
                mask_path=mask,
                defect_class=class_of(prompt, target.stem, shared),
                group=relative_name(root, target),
                split=split,
                good_path=goods.get(target),
                prompt=prompt,
            )
        )
    return samples, problems


def _read_prompts(path: Path) -> dict[str, str]:
    if not path.is_file():
        return {}
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror or error}") from error
    except ValueError as error:
        raise DataError(f"{path} is not JSON: {error}") from error
    if not isinstance(document, dict) or not all(isinstance(p, str) for p in document.values()):
        raise DataError(f'{path} is not a prompts file: expected {{"file": "prompt"}}')
    return document


def _shared_words(prompts: Iterable[str]) -> frozenset[str]:
    different = {frozenset(_words(prompt)) for prompt in prompts}
    return frozenset.intersection(*different) if len(different) > 1 else frozenset()


def _words(prompt: str) -> list[str]:
    return re.findall(r"[^\W_]+", prompt.lower())
