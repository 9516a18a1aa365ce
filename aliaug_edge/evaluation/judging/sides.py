"""The photos that a bundle is judged by."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

from aliaug_edge.evaluation.folds import first_fold, with_fewer_goods
from aliaug_edge.evaluation.photos import Photo, read_photos
from aliaug_edge.evaluation.run import MOST_GOODS


@dataclass(frozen=True, eq=False)
class Sides:
    """`learned` are the defects that the judge learns, `train` those that the bundle learned."""

    learned: Sequence[Photo]
    train: Sequence[Photo]
    train_good: Sequence[Photo]
    test: Sequence[Photo]
    test_good: Sequence[Photo]

    @property
    def classes(self) -> tuple[str, ...]:
        return tuple(sorted({photo.defect_class for photo in self.test}))


def read_sides(
    data: Path,
    *,
    pool: str,
    judge_pool: str,
    groups: Path | None = None,
    classes: Collection[str] = (),
    seed: int = 0,
) -> Sides:
    """The photos of `data`: the bundle learned from `pool`, the judge learns from `judge_pool`.

    Raises:
        DataError: as `folds.first_fold`.
    """
    folds = [
        with_fewer_goods(
            first_fold(data, groups=groups, pool=name, seed=seed, classes=classes),
            MOST_GOODS,
            MOST_GOODS,
        )
        for name in (judge_pool, pool)
    ]
    judged, bundled = folds
    return Sides(
        tuple(read_photos(judged.train, data)),
        tuple(read_photos(bundled.train, data)),
        tuple(read_photos(judged.train_good, data)),
        tuple(read_photos(judged.test, data)),
        tuple(read_photos(judged.test_good, data)),
    )
