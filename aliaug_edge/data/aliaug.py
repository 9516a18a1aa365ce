"""The layout of the released Ali-AUG code.

    train_A/*            masks, white or painted with a class colour
    train_B/*            targets: the photos with the defect
    train_C/*            inputs: the photos without it (inpainted, or of another good part)
    train_prompts.json   optional: {file: prompt}
    test_A … test_prompts.json    the same, for evaluation

A, B and C belong together by name. The layout has no field for the class, so it is read, in this
order, from

1. the prompt (see `prompts`): the words right before "defect", or what is added, less the words
   that all of several different prompts share: "Add a gray stroke defect to the tile." ->
   gray_stroke;
2. the file's name up to its first digit, when the prompt names nothing (the colour carrier's
   constant "Add a defect."): crack_017.png -> crack;
3. the colour that covers most of the mask, when 1 and 2 put everything into one class but the masks
   have several colours: (255, 0, 0) -> colour_ff0000;
4. "defect".

C need not show the same part as B: for textures the released data take any good photo. Good photos
are not a class of their own here; `Sample.good_path` is C.
"""

from __future__ import annotations

from pathlib import Path

from aliaug_edge.data.class_names import FALLBACK_CLASS, name_classes
from aliaug_edge.data.groups import assign_groups, relative_name
from aliaug_edge.data.pairing import images_in, nfc, pair_by_name
from aliaug_edge.data.prompts import read_prompts
from aliaug_edge.data.samples import Dataset, Sample, problems_of
from aliaug_edge.data.splits import TEST, TRAIN
from aliaug_edge.data.structure import finish, refuse_pool


def load_aliaug(
    root: Path, *, groups: Path | None = None, pool: str = TRAIN, seed: int = 0
) -> Dataset:
    """What `root` holds, with every structural problem in `Dataset.findings`.

    The splits are those of the folders; `seed` draws nothing here, and `pool` can only be "train".

    Raises:
        DataError: a prompts file or the groups file is unusable, or a folder cannot be read.
    """
    del seed
    refuse_pool(root, pool)
    samples: list[Sample] = []
    lines: list[str] = []
    for split in (TRAIN, TEST):
        found, faults = _triplets(root, split)
        samples, lines = samples + found, lines + faults
    samples, colour_problems, naming_notes = name_classes(samples)
    samples, group_problems, notes = assign_groups(root, samples, groups)
    problems = problems_of(None, lines) + colour_problems + group_problems
    return finish(root, "aliaug", samples, problems, naming_notes + notes)


def _triplets(root: Path, split: str) -> tuple[list[Sample], list[str]]:
    """The samples of `split`, their class not yet known, and what could not be put together."""
    prompts = read_prompts(root / f"{split}_prompts.json")
    masks, targets, inputs = (images_in(root / f"{split}_{letter}") for letter in "ABC")
    pairs, problems = pair_by_name(targets, masks)
    goods: dict[Path, Path] = {}
    if inputs or (root / f"{split}_C").is_dir():
        goods, unpaired = pair_by_name(targets, inputs, kind="input")
        problems += unpaired
    samples = []
    for target, mask in pairs.items():
        names = (nfc(target.name), nfc(mask.name))
        prompt = next((prompts[name] for name in names if name in prompts), None)
        if prompts and prompt is None:
            problems.append(f"{root / f'{split}_prompts.json'} has no prompt for {target.name}")
        samples.append(
            Sample(
                image_path=target,
                mask_path=mask,
                defect_class=FALLBACK_CLASS,
                group=relative_name(root, target),
                split=split,
                good_path=goods.get(target),
                prompt=prompt,
            )
        )
    return samples, problems
