"""The layout of MVTec AD.

    train/good/*            good photos
    test/good/*             good photos, for evaluation
    test/CLASS/*            defects
    ground_truth/CLASS/*    their masks, named STEM_mask or STEM
    split.json              optional: which of them may be learned from (see `split_file`)

MVTec keeps every defect in test/. Without a split.json they are therefore split here, by group.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from aliaug_edge.data import split_file
from aliaug_edge.data.groups import assign_groups, relative_name
from aliaug_edge.data.pairing import folders_in, images_in, pair_by_name
from aliaug_edge.data.samples import GOOD, Dataset, Problem, Sample, problems_of
from aliaug_edge.data.splits import TEST, TRAIN, TRAIN_SHARE, split_groups
from aliaug_edge.data.structure import finish, refuse_pool


def load_mvtec(
    root: Path, *, groups: Path | None = None, pool: str = TRAIN, seed: int = 0
) -> Dataset:
    """What `root` holds, with every structural problem in `Dataset.problems`.

    With split.json, `pool` names the list to learn from; without, `seed` draws the split of the
    defects (70 % of each class's groups to train), while a group that has good photos stays where
    train/good or test/good puts it.

    Raises:
        DataError: split.json or the groups file is unusable, or `pool` does not exist.
    """
    samples, problems = _defects(root)
    samples += _goods(root)
    samples, group_problems, notes = assign_groups(root, samples, groups)
    problems += group_problems
    if (root / split_file.NAME).is_file():
        samples, more_problems, more_notes = split_file.apply_split_file(root, samples, pool)
        problems, notes = problems + more_problems, notes + more_notes
    else:
        refuse_pool(root, pool)
        fixed = {s.group: s.split for s in samples if s.defect_class == GOOD}
        defects = [s for s in samples if s.defect_class != GOOD]
        placed = split_groups(defects, seed=seed, fixed=fixed)
        samples = [
            s if s.defect_class == GOOD else replace(s, split=placed[s.group]) for s in samples
        ]
        notes.append(
            f"no {split_file.NAME}: {TRAIN_SHARE:.0%} of the groups of each defect class are "
            f"learned from (seed {seed})"
        )
    return finish(root, "mvtec", samples, problems, notes)


def _defects(root: Path) -> tuple[list[Sample], list[Problem]]:
    """Defects whose split is not yet known, and what could not be paired."""
    tests, masks = root / "test", root / "ground_truth"
    names = {folder.name for parent in (tests, masks) for folder in folders_in(parent)} - {GOOD}
    samples: list[Sample] = []
    problems: list[Problem] = []
    for name in sorted(names):
        images = images_in(tests / name)
        if not images:
            problems.append(Problem(f"{tests / name} holds no images of the class {name}", name))
        pairs, unpaired = pair_by_name(images, images_in(masks / name))
        problems += problems_of(name, unpaired)
        samples += [
            Sample(image, mask, name, group=relative_name(root, image), split="")
            for image, mask in pairs.items()
        ]
    return samples, problems


def _goods(root: Path) -> list[Sample]:
    return [
        Sample(image, None, GOOD, group=relative_name(root, image), split=split)
        for split in (TRAIN, TEST)
        for image in images_in(root / split / GOOD)
    ]
