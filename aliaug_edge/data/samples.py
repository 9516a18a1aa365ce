"""A data set as plain data: which image, which mask, which class, which part, which split."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

GOOD = "good"


@dataclass(frozen=True)
class Sample:
    """One photo. `defect_class` is "good" for a photo without a defect, whose `mask_path` is None.

    `good_path` is the same part without the defect, where the layout has it (paired data).
    `group` names the physical part: photos of one group never cross a split.
    `split` is "train" or "test"; only "train" may be learned from.
    """

    image_path: Path
    mask_path: Path | None
    defect_class: str
    group: str
    split: str
    good_path: Path | None = None
    prompt: str | None = None


@dataclass(frozen=True)
class Problem:
    """One line about what must be mended before the data are used, or, where it concerns a single
    `defect_class`, before that class is."""

    text: str
    defect_class: str | None = None


def problems_of(defect_class: str | None, texts: Iterable[str]) -> list[Problem]:
    """A problem of `defect_class` for each line."""
    return [Problem(text, defect_class) for text in texts]


@dataclass(frozen=True)
class Dataset:
    """What a reader found. `findings` must be mended before the data are used; `notes` are lines
    that the user should know of."""

    root: Path
    layout: str
    samples: tuple[Sample, ...]
    findings: tuple[Problem, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def problems(self) -> tuple[str, ...]:
        """The lines of `findings`."""
        return tuple(finding.text for finding in self.findings)

    @property
    def classes(self) -> tuple[str, ...]:
        """Defect classes by name, "good" left out."""
        return tuple(sorted({s.defect_class for s in self.samples} - {GOOD}))

    def defects(self, split: str) -> tuple[Sample, ...]:
        """Samples of `split` that show a defect."""
        return tuple(s for s in self.samples if s.split == split and s.defect_class != GOOD)

    def goods(self, split: str) -> tuple[Sample, ...]:
        """Samples of `split` that show none."""
        return tuple(s for s in self.samples if s.split == split and s.defect_class == GOOD)
