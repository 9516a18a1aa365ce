"""How stable is LoRA: over ranks, seeds, kinds of defect, and the number of defects?"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from aliaug_edge.errors import AliAugError
from aliaug_edge.evaluation.studies.marks import (
    MEASURES,
    Yardstick,
    fidelity_note,
    marks,
    new_yardstick,
    references,
)
from aliaug_edge.evaluation.studies.study import (
    Parts,
    Result,
    Row,
    Say,
    StudySettings,
    Values,
    merged,
)
from aliaug_edge.evaluation.studies.trained import trained

RANKS = (2, 4, 8, 16)
PLAIN_RANK = 8
SIZES = (5, 10, 20, 50)
ONE_KIND = (
    "There is one class, so no rows compare kinds of defect: alone, it is the row of all defects."
)


@dataclass(frozen=True)
class Case:
    """A row: `changes` to the plain `TrainConfig`, judged on scenes of `only` where given."""

    name: str
    factor: str
    label: str
    changes: dict[str, Any]
    only: str | None = None


def lora(settings: StudySettings, parts: Parts, say: Say) -> Result:
    """One factor at a time, every case with the same budget and seeds.

    Raises:
        AliAugError: training fails, or the data are unusable.
    """
    yardstick = new_yardstick(settings, say)
    available = _train_defects(settings)
    rows = [Row("reference", label, found) for label, found in references(yardstick).items()]
    for case in cases(yardstick.classes, available):
        runs = [_marks_of(case, seed, settings, parts, say, yardstick) for seed in settings.seeds()]
        rows.append(Row(case.factor, case.label, merged(runs)))
    return Result(
        "lora",
        "Stability of LoRA",
        "seeds",
        MEASURES,
        tuple(rows),
        (
            "The spread of a row is over training seeds, which also choose the noise and, in a "
            "smaller set, its photos. The rank is the U-Net's; the VAE's is half of it, as in the "
            "released model, and alpha equals the rank, so that the update's scale stays one.",
            "A smaller set contains photos of all classes in turn, and of each part before a "
            "second photo of it.",
            fidelity_note(yardstick.classes),
            *((ONE_KIND,) if len(yardstick.classes) == 1 else ()),
        ),
    )


def cases(classes: tuple[str, ...], available: int) -> Iterator[Case]:
    """Ranks, then kinds of defect alone, then numbers of defects below all that are there."""
    for rank in RANKS:
        half = max(1, rank // 2)
        changes = {"rank_unet": rank, "alpha_unet": float(rank)}
        changes |= {"rank_vae": half, "alpha_vae": float(half)}
        yield Case(f"rank-{rank}", "rank", f"rank {rank}", changes)
    for name in classes if len(classes) > 1 else ():
        yield Case(f"class-{name}", "defect type", f"{name} alone", {"classes": (name,)}, name)
    for size in SIZES:
        if len(classes) <= size < available:
            yield Case(f"defects-{size}", "defects", f"{size} defects", {"max_defects": size})
    yield Case(f"rank-{PLAIN_RANK}", "defects", f"all {available} defects", {})


def _marks_of(
    case: Case,
    seed: int,
    settings: StudySettings,
    parts: Parts,
    say: Say,
    yardstick: Yardstick,
) -> Values:
    name = f"{case.name}-seed-{seed}"
    scenes = [s for s in yardstick.scenes if case.only in (None, s.defect_class)]

    def made() -> Values:
        run = trained(settings.config(**{"seed": seed, **case.changes}), name, parts, say)
        return marks(yardstick, scenes, run.draw(scenes, seed))

    return parts.values(name, made)


def _train_defects(settings: StudySettings) -> int:
    """How many photos with defects there are to learn from.

    Raises:
        AliAugError: there are none.
    """
    dataset = settings.dataset()
    count = len(dataset.defects("train"))
    if not count:
        raise AliAugError(f"{settings.data}: no train defects in the pool {settings.pool}")
    return count
