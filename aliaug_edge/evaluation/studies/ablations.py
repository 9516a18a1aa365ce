"""What each part of the method is worth: one thing left out or exchanged at a time."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from aliaug_edge.evaluation.studies.marks import (
    MEASURES,
    Yardstick,
    fidelity_note,
    marks,
    new_yardstick,
    references,
)
from aliaug_edge.evaluation.studies.study import (
    Measure,
    Parts,
    Result,
    Row,
    Say,
    StudySettings,
    Values,
    merged,
)
from aliaug_edge.evaluation.studies.trained import trained
from aliaug_edge.training.losses import LossWeights

Score = Callable[[Path], Mapping[str, float]]
"""Further numbers for a finished run folder, e.g. what a detector gains from its images."""


@dataclass(frozen=True)
class Variant:
    """A recipe: `changes` to the plain `TrainConfig`, and how its output is blended in."""

    name: str
    factor: str
    label: str
    changes: Mapping[str, Any] = field(default_factory=dict)
    blend: str = "feather"


VARIANTS = (
    Variant("plain", "default", "light, text, every loss, noise, feather"),
    Variant("no-skips", "left out", "no skips", {"skips": False}),
    Variant("no-adversarial", "left out", "no adversarial loss", {"adversarial_from": 1.0}),
    Variant(
        "no-perceptual", "left out", "no perceptual loss", {"weights": LossWeights(perceptual=0.0)}
    ),
    Variant(
        "no-histogram", "left out", "no histogram loss", {"weights": LossWeights(histogram=0.0)}
    ),
    Variant(
        "no-appearance", "left out", "no appearance loss", {"weights": LossWeights(appearance=0.0)}
    ),
    Variant("no-noise", "left out", "no noise", {"noise": False}),
    Variant("no-label", "label", "no label", {"label_carrier": "none"}),
    Variant("colour", "label", "by colour", {"label_carrier": "colour"}),
    Variant("both", "label", "by text and colour", {"label_carrier": "both"}),
    Variant("paper", "conditioning", "paper", {"conditioning": "paper"}),
    Variant("full", "conditioning", "full", {"conditioning": "full"}),
    Variant("blend-hard", "blending", "hard", blend="hard"),
    Variant("blend-none", "blending", "none", blend="none"),
)


ONE_LABEL = (
    "There is one class, so the rows under `label` say what a carrier costs or adds to the input; "
    "there is no other class that it could keep apart."
)


def ablations(
    settings: StudySettings,
    parts: Parts,
    say: Say,
    score: Score | None = None,
    score_measures: tuple[Measure, ...] = (),
) -> Result:
    """Every variant trained with the same budget and seeds, and judged on the same scenes.

    `score` adds the numbers of `score_measures` to each run.

    Raises:
        AliAugError: training fails, or the data are unusable.
    """
    yardstick = new_yardstick(settings, say)
    rows = [Row("reference", label, found) for label, found in references(yardstick).items()]
    for variant in VARIANTS:
        runs = [
            _marks_of(variant, seed, settings, parts, say, yardstick, score)
            for seed in settings.seeds()
        ]
        rows.append(Row(variant.factor, variant.label, merged(runs)))
    return Result(
        "ablations",
        "Ablations",
        "seeds",
        (*MEASURES, *score_measures),
        tuple(rows),
        (
            "Each variant differs from the default in one thing. Without skips their convolutions "
            "are zero and stay so, although the base was pretrained with them.",
            "Without a label every class is asked for alike, so nothing but the mask's shape can "
            "tell the generator what to draw.",
            "The scores compare with one held-out photo each; a generator that draws another, "
            "equally real defect scores worse in L1 and features.",
            fidelity_note(yardstick.classes),
            *((ONE_LABEL,) if len(yardstick.classes) == 1 else ()),
        ),
    )


def _marks_of(
    variant: Variant,
    seed: int,
    settings: StudySettings,
    parts: Parts,
    say: Say,
    yardstick: Yardstick,
    score: Score | None,
) -> Values:
    """One run of a variant; variants of blending share the plain run."""
    run_name = f"{variant.name if variant.changes else 'plain'}-seed-{seed}"

    def made() -> Values:
        config = settings.config(**{"seed": seed, **variant.changes})
        run = trained(config, run_name, parts, say)
        raw = run.draw(yardstick.scenes, seed)
        found = marks(yardstick, yardstick.scenes, raw, variant.blend)
        if score is not None:
            extra = score(parts.run_dir(run_name))
            found |= {key: [value] for key, value in extra.items()}
        return found

    return parts.values(f"{variant.name}-seed-{seed}", made)
