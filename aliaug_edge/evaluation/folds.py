"""Which photos a detector and a generator learn from, and which they are tried on.

Fold 0 is the split of the data: its train pool against its test side. In a two-fold exchange fold 1
turns the sides round: it learns from what fold 0 was tried on and is tried on what fold 0 might
learn from, so that every group is tried once and no photo is ever on both sides of a fold. Where
split.json has a small pool such as `train_one_per_tile`, fold 1 learns from `test_one_per_tile` if
a class has that list, else from its whole test side, and is tried on the whole `train` list.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from aliaug_edge.data.fewer import fewer_defects
from aliaug_edge.data.groups import crossing_groups
from aliaug_edge.data.load import pair_faults
from aliaug_edge.data.reader import load_dataset
from aliaug_edge.data.samples import GOOD, Dataset, Sample
from aliaug_edge.data.split_file import listed_in
from aliaug_edge.data.splits import TEST, TRAIN
from aliaug_edge.errors import AliAugError, DataError
from aliaug_edge.imaging import load_mask

SMALL_GROUPS = 40
_SHOWN = 3


@dataclass(frozen=True)
class Fold:
    """Defects to learn from and to be tried on, and the good photos of both sides.

    Each `Sample.split` says on which side of this fold it stands.
    """

    number: int
    train: tuple[Sample, ...]
    test: tuple[Sample, ...]
    train_good: tuple[Sample, ...]
    test_good: tuple[Sample, ...]

    @property
    def classes(self) -> tuple[str, ...]:
        """Defect classes by name."""
        return tuple(sorted({sample.defect_class for sample in self.train}))

    @property
    def test_groups(self) -> int:
        """Number of physical parts with a defect that detectors are tried on."""
        return len({sample.group for sample in self.test})


def evaluation_folds(
    root: Path,
    *,
    groups: Path | None = None,
    pool: str = TRAIN,
    seed: int = 0,
    classes: Collection[str] = (),
    exchange: bool | None = None,
) -> tuple[Fold, ...]:
    """The folds of the data in `root`, checked so that nothing fails after hours.

    `exchange` asks for two folds, or for one; left out, there are two where the set is small
    (`is_small`). The other arguments are those of `load_dataset`.

    Raises:
        DataError: the data are unusable, a class has too few groups or nothing to be tried on, a
            group lies on both sides, good photos are missing on a side, or masks are empty or full.
    """
    first = first_fold(root, groups=groups, pool=pool, seed=seed, classes=classes)
    wants_two = is_small(first) if exchange is None else exchange
    folds = (
        two_folds(root, groups=groups, pool=pool, seed=seed, classes=classes)
        if wants_two
        else (first,)
    )
    _require_usable_masks(root, folds)
    return folds


def with_fewer(fold: Fold, count: int, root: Path, seed: int) -> Fold:
    """`fold` with at most `count` train photos that show a defect, classes taken in turn.

    Raises:
        AliAugError: a class would be left with none.
    """
    if count < len(fold.classes):
        raise AliAugError(
            f"max_defects {count}: expected at least {len(fold.classes)}, one per class "
            f"({', '.join(fold.classes)})"
        )
    few = fewer_defects(Dataset(root, "", fold.train), count, seed)
    return replace(fold, train=few.defects(TRAIN))


def with_fewer_goods(fold: Fold, most: int, most_test: int) -> Fold:
    """`fold` with at most `most` good photos to learn from and `most_test` to be tried on, chosen
    by their names."""

    def chosen(samples: tuple[Sample, ...], count: int) -> tuple[Sample, ...]:
        ranked = sorted(samples, key=lambda s: hashlib.sha256(s.image_path.name.encode()).digest())
        kept = {sample.image_path for sample in ranked[:count]}
        return tuple(sample for sample in samples if sample.image_path in kept)

    return replace(
        fold,
        train_good=chosen(fold.train_good, most),
        test_good=chosen(fold.test_good, most_test),
    )


def is_small(fold: Fold) -> bool:
    """Whether the test side has fewer than `SMALL_GROUPS` groups with a defect.

    The difference of two conditions spreads by about 0.09 over groups, so below 40 groups they
    alone leave ± 0.03 of it open at 95 %; a second fold then buys more than further seeds do.
    """
    return fold.test_groups < SMALL_GROUPS


def first_fold(
    root: Path,
    *,
    groups: Path | None = None,
    pool: str = TRAIN,
    seed: int = 0,
    classes: Collection[str] = (),
) -> Fold:
    """The split of the data as it is, learning from `pool`.

    Raises:
        DataError: as `evaluation_folds`, masks left aside.
    """
    dataset = load_dataset(root, groups=groups, pool=pool, seed=seed, classes=classes)
    fold = _fold(
        0,
        dataset.defects(TRAIN),
        dataset.defects(TEST),
        _goods(dataset, TRAIN),
        _goods(dataset, TEST),
    )
    _require_sound(root, fold)
    return fold


def two_folds(
    root: Path,
    *,
    groups: Path | None = None,
    pool: str = TRAIN,
    seed: int = 0,
    classes: Collection[str] = (),
) -> tuple[Fold, Fold]:
    """The split of the data, and the same with its sides exchanged.

    Raises:
        DataError: as `evaluation_folds`, masks left aside.
    """
    first = first_fold(root, groups=groups, pool=pool, seed=seed, classes=classes)
    whole = load_dataset(root, groups=groups, pool=TRAIN, seed=seed, classes=classes)
    second = _fold(
        1,
        _exchanged_pool(root, first.test, pool),
        whole.defects(TRAIN),
        first.test_good,
        _goods(whole, TRAIN),
    )
    _require_sound(root, second)
    return first, second


def _exchanged_pool(root: Path, test: Sequence[Sample], pool: str) -> Sequence[Sample]:
    """What fold 1 learns from: of each class the list that matches `pool`, or its whole side."""
    if not pool.startswith(f"{TRAIN}_"):
        return test
    listed = listed_in(root, test, TEST + pool.removeprefix(TRAIN))
    kept = {sample.image_path for samples in listed.values() for sample in samples}
    return [s for s in test if s.defect_class not in listed or s.image_path in kept]


def _goods(dataset: Dataset, split: str) -> list[Sample]:
    """The good photos of a side; in paired data without any, the defects' good counterparts."""
    if found := dataset.goods(split):
        return list(found)
    counterparts = {s.good_path: s for s in dataset.defects(split) if s.good_path is not None}
    return [
        Sample(path, None, GOOD, sample.group, split)
        for path, sample in sorted(counterparts.items())
    ]


def _fold(
    number: int,
    train: Iterable[Sample],
    test: Iterable[Sample],
    train_good: Iterable[Sample],
    test_good: Iterable[Sample],
) -> Fold:
    def side(samples: Iterable[Sample], split: str) -> tuple[Sample, ...]:
        return tuple(replace(sample, split=split) for sample in samples)

    return Fold(
        number, side(train, TRAIN), side(test, TEST), side(train_good, TRAIN), side(test_good, TEST)
    )


def _require_sound(root: Path, fold: Fold) -> None:
    _require_classes(root, fold)
    _require_goods(root, fold)
    samples = (*fold.train, *fold.test, *fold.train_good, *fold.test_good)
    if crossing := crossing_groups(samples):
        raise DataError(
            f"{_some(crossing)}; photos of one part must lie on one side: correct split.json or "
            "the groups file"
        )


def _require_classes(root: Path, fold: Fold) -> None:
    """Every class needs a group on either side."""
    groups: dict[str, set[str]] = defaultdict(set)
    for sample in (*fold.train, *fold.test):
        groups[sample.defect_class].add(sample.group)
    learned, tried = ({s.defect_class for s in side} for side in (fold.train, fold.test))
    lacking = sorted(groups.keys() - (learned & tried))
    if not lacking and groups:
        return
    few = [name for name in lacking if len(groups[name]) < 2]
    one_sided = [name for name in lacking if name not in few]
    lines = [
        f"{root}: too few defects to split: {name} shows {len(groups[name])} group, and a class "
        "needs at least 2, one to learn from and one to be tried on"
        for name in few
    ]
    lines += [
        f"{root}: the class {name} has {len(groups[name])} groups and all are on the "
        f"{'train' if name in learned else 'test'} side; move some to the other"
        for name in one_sided
    ]
    rest = ",".join(sorted(groups.keys() - set(lacking)))
    way = f"`--classes {rest}` runs without" if rest else "no class can be evaluated yet"
    raise DataError(f"{_some(lines)}; add photos of other parts, or {way}")


def _require_goods(root: Path, fold: Fold) -> None:
    for side, goods, why in (
        ("train", fold.train_good, "detectors and generators learn from them"),
        ("test", fold.test_good, "false alarms are counted on them"),
    ):
        if not goods:
            raise DataError(
                f"{root}: fold {fold.number} has no good photos on the {side} side, and {why}; put "
                "some into the data's good folder, or list them in split.json under `good`"
            )


def _require_usable_masks(root: Path, folds: Sequence[Fold]) -> None:
    """Empty masks, and those that cover everything, by name and before anything is trained."""
    samples = {s.image_path: s for fold in folds for s in (*fold.train, *fold.test)}
    faults = [line for _, sample in sorted(samples.items()) for line in _mask_faults(sample)]
    if faults:
        raise DataError(
            f"{_some(faults)}; mend or remove them: `ali-aug data check {root}` shows everything"
        )


def _mask_faults(sample: Sample) -> list[str]:
    assert sample.mask_path is not None  # a defect always has one
    return pair_faults(sample, None, load_mask(sample.mask_path))


def _some(lines: Sequence[str]) -> str:
    more = len(lines) - _SHOWN
    return "; ".join(lines[:_SHOWN]) + (f"; and {more} more" if more > 0 else "")
