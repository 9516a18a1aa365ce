"""What is compared: conditions differ in where their extra defects come from, in nothing else."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from aliaug_edge.errors import AliAugError

Pool = Literal["none", "copy-paste", "perlin", "cutpaste", "generated"]
RATIOS = (0.5, 1.0, 2.0, 5.0)
BLENDS = ("feather", "hard", "none")
CARRIERS = ("text", "colour")
BASELINE = "classic"


@dataclass(frozen=True)
class Condition:
    """One way to train a detector.

    `real`: it sees the real defects. `augment`: classic augmentation. `pool`: where synthetic
    defects come from, `ratio` of them per real one in every step. `carrier` and `blend` say how
    generated ones are made, and are None for others; `bent`: under bent outlines, which pasted
    defects cannot have.
    """

    name: str
    title: str
    real: bool = True
    augment: bool = True
    pool: Pool = "none"
    ratio: float = 0.0
    carrier: str | None = None
    blend: str | None = None
    bent: bool = True


def all_conditions() -> tuple[Condition, ...]:
    """Every condition, in the order in which reports list them."""
    return (
        Condition("none", "real defects, no augmentation (D_S)", augment=False),
        Condition(BASELINE, "classic augmentation (D_S_AUG)"),
        *_others("copy-paste", "copy-paste of real defects, same places", RATIOS),
        *_others("perlin", "Perlin texture defects (as DRAEM)", (1.0, 2.0)),
        *_others("cutpaste", "CutPaste", (1.0, 2.0)),
        *(_generated(carrier, 1.0, "feather", real=False) for carrier in CARRIERS),
        *(_generated(carrier, ratio, "feather") for carrier in CARRIERS for ratio in RATIOS),
        *(_generated("text", 1.0, blend) for blend in ("hard", "none")),
        _generated("text", 2.0, "feather", bent=False),
    )


DEFAULT = (
    "none",
    BASELINE,
    "copy-paste-1x",
    "copy-paste-2x",
    "perlin-1x",
    "cutpaste-1x",
    "cas-text-1x",
    "nas-text-1x",
    "nas-text-2x",
)
QUICK = (BASELINE, "copy-paste-1x", "nas-text-1x")


def chosen_conditions(names: Sequence[str]) -> tuple[Condition, ...]:
    """The conditions of these names, in report order; `all` is every one.

    Raises:
        AliAugError: an unknown name, a name twice, or the baseline is missing.
    """
    known = {condition.name: condition for condition in all_conditions()}
    wanted = tuple(known) if tuple(names) == ("all",) else tuple(names)
    if unknown := [name for name in wanted if name not in known]:
        raise AliAugError(
            f"--conditions: unknown {', '.join(unknown)}; known are {', '.join(known)}"
        )
    if len(set(wanted)) != len(wanted):
        raise AliAugError(f"--conditions names one twice: {', '.join(wanted)}")
    if BASELINE not in wanted:
        raise AliAugError(
            f"--conditions: {BASELINE} is what all others are compared with; add it to the list"
        )
    return tuple(condition for name, condition in known.items() if name in wanted)


def _others(pool: Pool, title: str, ratios: Sequence[float]) -> list[Condition]:
    return [
        Condition(f"{pool}-{ratio:g}x", f"{title}, {ratio:g} per real one", pool=pool, ratio=ratio)
        for ratio in ratios
    ]


def _generated(
    carrier: str, ratio: float, blend: str, *, real: bool = True, bent: bool = True
) -> Condition:
    kind = "nas" if real else "cas"
    ending = ("" if blend == "feather" else f"-{blend}") + ("" if bent else "-unbent")
    what = f"{ratio:g} generated per real one" if real else "generated defects only"
    return Condition(
        f"{kind}-{carrier}-{ratio:g}x{ending}",
        f"{kind.upper()}: {what}, class by {carrier}, blend {blend}"
        + ("" if bent else ", outlines not bent"),
        real=real,
        pool="generated",
        ratio=ratio,
        carrier=carrier,
        blend=blend,
        bent=bent,
    )
