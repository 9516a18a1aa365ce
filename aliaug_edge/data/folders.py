"""Plain folders of images with masks.

    images/*  masks/*                  one class, named "defect"
    images/CLASS/*  masks/CLASS/*      or a class per sub-folder
    good/*                             good photos (images/good/* serves too)
    split.json                         optional: which of them may be learned from

Without a split.json the photos are split here, by group, defects and good ones alike.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from aliaug_edge.data import split_file
from aliaug_edge.data.groups import assign_groups, relative_name
from aliaug_edge.data.pairing import folders_in, images_in, pair_by_name
from aliaug_edge.data.samples import GOOD, Dataset, Problem, Sample, problems_of
from aliaug_edge.data.splits import TRAIN, TRAIN_SHARE, split_groups
from aliaug_edge.data.structure import finish, refuse_pool

ONLY_CLASS = "defect"


def load_folders(
    root: Path, *, groups: Path | None = None, pool: str = TRAIN, seed: int = 0
) -> Dataset:
    """What `root` holds, with every structural problem in `Dataset.problems`.

    With split.json, `pool` names the list to learn from; without, `seed` draws the split (70 % of
    each class's groups to train).

    Raises:
        DataError: split.json or the groups file is unusable, or `pool` does not exist.
    """
    samples, problems = _defects(root)
    goods = images_in(root / GOOD) + images_in(root / "images" / GOOD)
    samples += [Sample(image, None, GOOD, relative_name(root, image), split="") for image in goods]
    samples, group_problems, notes = assign_groups(root, samples, groups)
    problems += group_problems
    if (root / split_file.NAME).is_file():
        samples, more_problems, more_notes = split_file.apply_split_file(root, samples, pool)
        problems, notes = problems + more_problems, notes + more_notes
    else:
        refuse_pool(root, pool)
        placed = split_groups(samples, seed=seed)
        samples = [replace(s, split=placed[s.group]) for s in samples]
        notes.append(
            f"no {split_file.NAME}: {TRAIN_SHARE:.0%} of the groups of each class are learned "
            f"from (seed {seed})"
        )
    return finish(root, "folders", samples, problems, notes)


def _defects(root: Path) -> tuple[list[Sample], list[Problem]]:
    """Defects whose split is not yet known, and what could not be paired."""
    images, masks = root / "images", root / "masks"
    classes = {
        folder.name: folder.name for parent in (images, masks) for folder in folders_in(parent)
    }
    classes.pop(GOOD, None)
    if images_in(images) or not classes:
        classes[""] = ONLY_CLASS
    samples: list[Sample] = []
    problems: list[Problem] = []
    for sub_folder, defect_class in sorted(classes.items()):
        found = images_in(images / sub_folder)
        if not found:
            line = f"{images / sub_folder} holds no images of the class {defect_class}"
            problems.append(Problem(line, defect_class))
        pairs, unpaired = pair_by_name(found, images_in(masks / sub_folder))
        problems += problems_of(defect_class, unpaired)
        samples += [
            Sample(image, mask, defect_class, group=relative_name(root, image), split="")
            for image, mask in pairs.items()
        ]
    return samples, problems
