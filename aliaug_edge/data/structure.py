"""What every reader does last: the findings that follow from the samples alone."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from aliaug_edge.data.groups import crossing_groups
from aliaug_edge.data.samples import GOOD, Dataset, Problem, Sample, problems_of
from aliaug_edge.data.splits import TRAIN
from aliaug_edge.errors import DataError
from aliaug_edge.files import is_text


def finish(
    root: Path,
    layout: str,
    samples: Sequence[Sample],
    problems: Sequence[Problem],
    notes: Sequence[str],
) -> Dataset:
    """The data set in a fixed order, with what its samples say about themselves.

    Adds as problems: names that are no text, groups that cross the splits, classes that have
    nothing to learn from, no defects at all. Adds as a note that there are no good photos.
    """
    more_problems = [*_odd_names(root, samples), *problems_of(None, crossing_groups(samples))]
    more_notes = []
    classes = sorted({s.defect_class for s in samples} - {GOOD})
    if not classes:
        more_problems.append(Problem(f"{root} holds no defect with a mask"))
    for name in classes:
        if not any(s.defect_class == name and s.split == TRAIN for s in samples):
            more_problems.append(Problem(f"the class {name} has no training masks", name))
    if all(s.defect_class != GOOD and s.good_path is None for s in samples):
        more_notes.append("there are no good photos")
    ordered = sorted(samples, key=lambda s: (s.split, s.defect_class, s.image_path))
    return Dataset(root, layout, tuple(ordered), (*problems, *more_problems), (*notes, *more_notes))


def _odd_names(root: Path, samples: Sequence[Sample]) -> list[Problem]:
    """Photos whose name below `root` is no text: no split, label or report can hold it."""
    return [
        Problem(
            f"{sample.image_path} has a name that is not valid UTF-8; rename it",
            None if sample.defect_class == GOOD else sample.defect_class,
        )
        for sample in samples
        if not is_text(str(sample.image_path.relative_to(root)))
    ]


def refuse_pool(root: Path, pool: str) -> None:
    """Raises:
    DataError: a pool other than "train" is asked of data without a split.json.
    """
    if pool != TRAIN:
        raise DataError(
            f"pools such as `{pool}` are named in split.json, which {root} does not use"
        )
