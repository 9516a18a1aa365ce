"""What every study has: its settings, what it spends, its folder, and the rows it ends with."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np

from aliaug_edge import files
from aliaug_edge.data.reader import load_dataset
from aliaug_edge.data.samples import Dataset
from aliaug_edge.errors import AliAugError, DataError, OutputError
from aliaug_edge.training.config import TrainConfig

PROTOCOL = "study.json"
PARTS_DIR, RUNS_DIR = "parts", "runs"
Say = Callable[[str], None]
Values = dict[str, list[float]]


@dataclass(frozen=True)
class Budget:
    """What each training run and each judgement of it may cost.

    steps, batch_size, size: as in `TrainConfig`. seeds: runs per row. scenes: held-out defects per
    class. judge_views: augmented views that the judge sees of each train defect.
    """

    steps: int
    batch_size: int
    size: int
    seeds: int
    scenes: int
    judge_views: int


FULL = Budget(steps=200, batch_size=4, size=96, seeds=3, scenes=30, judge_views=4)
QUICK = Budget(steps=6, batch_size=2, size=64, seeds=2, scenes=3, judge_views=2)


@dataclass(frozen=True)
class StudySettings:
    """A study's question in full: equal settings give equal results.

    data, pool, groups, classes, base: as in `TrainConfig`. run: a finished run to look at instead
    of one trained here, where the study needs just one. quick: tries the machinery and decides
    nothing.
    """

    data: str
    pool: str = "train"
    groups: str | None = None
    classes: tuple[str, ...] = ()
    base: str = "tiny"
    run: str | None = None
    seed: int = 0
    quick: bool = False
    budget: Budget = field(default=FULL)

    def __post_init__(self) -> None:
        for name, value in asdict(self.budget).items():
            if value < 1:
                raise AliAugError(f"--{name.replace('_', '-')} {value}: expected at least 1")
        self.config()  # refuses what no run could be trained with

    def config(self, **changes: Any) -> TrainConfig:
        """The training run that a study begins with, `changes` made to it."""
        plain = TrainConfig(
            data=self.data,
            pool=self.pool,
            groups=self.groups,
            classes=self.classes,
            base=self.base,
            steps=self.budget.steps,
            batch_size=self.budget.batch_size,
            size=self.budget.size,
            seed=self.seed,
        )
        return replace(plain, **changes)

    def dataset(self) -> Dataset:
        """The data, asked for as every run asks.

        Raises:
            DataError: they are unusable.
        """
        return load_dataset(
            Path(self.data),
            groups=Path(self.groups) if self.groups else None,
            pool=self.pool,
            seed=self.seed,
            classes=self.classes,
        )

    def seeds(self) -> range:
        """Seeds of the runs of a row."""
        return range(self.seed, self.seed + self.budget.seeds)


@dataclass(frozen=True)
class Measure:
    """A column: `better` says where to, `digits` how many behind the point."""

    key: str
    title: str
    better: Literal["lower", "higher", "neither"]
    digits: int = 3


@dataclass(frozen=True)
class Row:
    """A case that was tried: `factor` groups rows that differ in one thing; `values` per measure,
    one number per run (or per scene), none where it cannot be told."""

    factor: str
    label: str
    values: Values


@dataclass(frozen=True)
class Result:
    """What a study says. `spread` tells what the numbers of a cell differ by."""

    name: str
    title: str
    spread: Literal["seeds", "scenes"]
    measures: tuple[Measure, ...]
    rows: tuple[Row, ...]
    notes: tuple[str, ...]


@dataclass(frozen=True)
class Parts:
    """A study's folder, where finished parts are kept and not made again."""

    out: Path

    def run_dir(self, name: str) -> Path:
        """Where the training run `name` lies."""
        return self.out / RUNS_DIR / name

    def values(self, name: str, make: Callable[[], Mapping[str, Iterable[float]]]) -> Values:
        """The part called `name`: read where it is finished, else made and kept.

        Raises:
            DataError: the file holds something else.
        """
        path = self.out / PARTS_DIR / f"{name}.json"
        if not path.is_file():
            made = {key: [_rounded(v) for v in values] for key, values in make().items()}
            files.write_json(path, made)
        try:
            read = json.loads(path.read_text(encoding="utf-8"))
            return {str(key): [float(v) for v in values] for key, values in read.items()}
        except (OSError, ValueError, TypeError, AttributeError) as error:
            raise DataError(
                f"{path} is not a part of this study ({error}); remove it, and it is made again"
            ) from error


def claim(out: Path, name: str, settings: StudySettings) -> Parts:
    """Make `out` the folder of this study: new, empty, or begun with the same settings.

    Raises:
        OutputError: it holds something else, or cannot be written.
    """
    path = out / PROTOCOL
    wanted = json.loads(files.json_text({"study": name, **asdict(settings)}))
    if path.is_file():
        try:
            begun = json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise OutputError(f"{path} cannot be read ({error}); choose another folder") from error
        if begun != wanted:
            differing = sorted(k for k in wanted if begun.get(k) != wanted[k])
            raise OutputError(
                f"{out} holds a study with another {', '.join(differing) or 'question'}; repeat "
                "its options to continue it, or choose another output folder"
            )
    elif out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise OutputError(f"{out} exists and is not a study; choose another output folder")
    else:
        files.write_json(path, wanted)
    return Parts(out)


def merged(runs: Iterable[Values]) -> Values:
    """The values of several runs as those of one row."""
    together: Values = {}
    for values in runs:
        for key, entries in values.items():
            together.setdefault(key, []).extend(entries)
    return together


def summary(values: list[float], spread: str) -> dict[str, float] | None:
    """`middle`, `low`, `high` and `count`: mean and range over seeds, median and quartiles over
    scenes; None where there is nothing."""
    if not values:
        return None
    if spread == "seeds":
        low, middle, high = min(values), float(np.mean(values)), max(values)
    else:
        low, middle, high = (float(v) for v in np.quantile(values, (0.25, 0.5, 0.75)))
    found = {"low": low, "middle": middle, "high": high}
    return {**{key: _rounded(value) for key, value in found.items()}, "count": len(values)}


def _rounded(value: float) -> float:
    """Six digits: what lies beyond differs between machines."""
    if not math.isfinite(value):
        raise AliAugError(f"a score of a study is {value}; the run that it judges has diverged")
    return round(float(value), 6)
