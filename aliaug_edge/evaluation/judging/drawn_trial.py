"""Is an inserted defect recognisable as what was asked for? A bundle before the judge.

Three kinds of pictures, all at sizes and on surfaces that nobody trained on:

real        a drawn defect under a mask of its class's outline: what the judge can reach
generated   the bundle asked for the same class, on the same part, under the same mask
swapped     the same two, under a mask with another class's outline: does the picture follow the
            word, or the shape?
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from aliaug_edge.bundle import Bundle
from aliaug_edge.data.procedural import DEFECT_CLASSES, render_pair
from aliaug_edge.errors import AliAugError
from aliaug_edge.evaluation.judging.drawn_report import Task, accuracies, confusion, swap_counts
from aliaug_edge.evaluation.judging.judge import (
    Example,
    JudgeSettings,
    classify,
    train_judge,
)
from aliaug_edge.generation.blend import blend
from aliaug_edge.generation.pipeline import Pipeline
from aliaug_edge.imaging import is_grey
from aliaug_edge.labels.sheet import SheetRow

SEVERITY = (0.5, 1.0)  # as `ali-aug generate` draws it
LEARNED_SEVERITY = (0.35, 1.0)
TRAIN_PAIRS_PER_CLASS = 600
FRAME_HW = (128, 128)  # of the judge's training pairs
DEFAULTS = JudgeSettings()
Say = Callable[[str], None]


@dataclass(frozen=True)
class Trial:
    """`report` is plain JSON data; `rows` show generated defects beside their good parts."""

    report: dict[str, Any]
    rows: list[SheetRow]


def try_bundle(
    bundle: Bundle,
    *,
    count: int,
    seed: int = 0,
    engine: str = "auto",
    pairs_per_class: int | None = None,
    settings: JudgeSettings | None = None,
    say: Say | None = None,
) -> Trial:
    """Train a judge on the bundle's drawn classes, and let it judge `count` insertions of each.

    Half of the `count` are under masks of the class's own outline, half under another's. The same
    arguments give the same report.

    Raises:
        AliAugError: `count` below 2, or fewer than two of the bundle's classes can be drawn.
    """
    classes = tuple(name for name in bundle.class_names if name in DEFECT_CLASSES)
    if len(classes) < 2:
        raise AliAugError(
            f"bundle {bundle.name} offers {', '.join(bundle.class_names)}; the judge knows "
            f"{', '.join(DEFECT_CLASSES)}, and at least two of these must be offered; with --data "
            "it judges on real defects, of one class too"
        )
    if count < 2:
        raise AliAugError(f"--count {count}: expected at least 2, one under each kind of mask")
    say = say or _silent
    pairs_per_class = pairs_per_class or TRAIN_PAIRS_PER_CLASS
    settings = settings or replace(DEFAULTS, seed=seed)
    say(f"drawing {pairs_per_class * len(classes)} defects for the judge to learn from")
    examples = training_examples(classes, pairs_per_class, seed)
    trained = train_judge(
        examples, classes, settings, lambda done, of, note: say(f"judge: epoch {done}/{of} {note}")
    )
    size_hw = min(bundle.sizes)
    own = _tasks(classes, count - count // 2, seed, size_hw, swapped=False)
    swapped = _tasks(classes, count // 2, seed, size_hw, swapped=True)
    say(f"generating {len(own) + len(swapped)} insertions at {size_hw[0]}x{size_hw[1]}")
    with Pipeline(bundle, engine, batch=1) as pipeline:
        made = [_inserted(task, pipeline) for task in (*own, *swapped)]
        engine_name = pipeline.engine_name()
    seen_real = classify(trained, [_real(task) for task in (*own, *swapped)])
    seen = classify(trained, made)
    report = {
        "bundle": {"name": bundle.name, "sha256": bundle.sha256},
        "engine": engine_name,
        "seed": seed,
        "size": list(size_hw),
        "classes": list(classes),
        "chance": round(1 / len(classes), 4),
        "examples_learned": len(examples),
        "own_outline": accuracies(own, seen_real[: len(own)], seen[: len(own)], classes),
        "swapped_outline": accuracies(swapped, seen_real[len(own) :], seen[len(own) :], classes),
        "swap_test": swap_counts(swapped, seen[len(own) :]),
        "confusion": confusion((*own, *swapped), seen, classes),
    }
    return Trial(report, _rows((*own, *swapped), made, seen))


def training_examples(classes: tuple[str, ...], per_class: int, seed: int) -> list[Example]:
    """Drawn defects, `per_class` of each class, half under the outline of any class in turn."""
    examples = []
    for name in classes:
        for number in range(per_class):
            outline = name if number % 2 else classes[(number // 2) % len(classes)]
            own = _seed(seed, "learn", name, number)
            severity = _severity(own, LEARNED_SEVERITY)
            pair = render_pair(
                own, *FRAME_HW, defect_class=name, severity=severity, outline=outline
            )
            examples.append(Example(pair.defect, pair.mask, name))
    return examples


def _tasks(
    classes: tuple[str, ...], count: int, seed: int, size_hw: tuple[int, int], *, swapped: bool
) -> list[Task]:
    """`count` tasks per class; other outlines come in turn, so that each lends itself equally."""
    kind = "swapped" if swapped else "own"
    tasks = []
    for index, name in enumerate(classes):
        others = classes[index + 1 :] + classes[:index]
        for number in range(count):
            own = _seed(seed, kind, name, number)
            outline = others[number % len(others)] if swapped else name
            severity = _severity(own, SEVERITY)
            pair = render_pair(own, *size_hw, defect_class=name, severity=severity, outline=outline)
            tasks.append(Task(name, outline, pair, own))
    return tasks


def _inserted(task: Task, pipeline: Pipeline) -> Example:
    """What the bundle makes of the good part, blended as `ali-aug generate` does."""
    good, mask = task.pair.good, task.pair.mask
    raw = pipeline.generate(
        good[None], mask[None], [task.asked], [task.seed], [task.pair.severity]
    )[0]
    image = blend(good, mask, good, raw, mode="feather", grey=is_grey(good))
    return Example(image, mask, task.asked)


def _real(task: Task) -> Example:
    return Example(task.pair.defect, task.pair.mask, task.asked)


def _rows(tasks: tuple[Task, ...], made: list[Example], seen: list[str]) -> list[SheetRow]:
    return [
        SheetRow(
            task.pair.good,
            task.pair.mask,
            example.image,
            f"asked {task.asked}, outline {task.outline}, seen {name}",
        )
        for task, example, name in zip(tasks, made, seen, strict=True)
    ]


def _severity(seed: int, between: tuple[float, float]) -> float:
    return between[0] + (between[1] - between[0]) * (seed % 1000) / 999


def _seed(seed: int, kind: str, name: str, number: int) -> int:
    """62 bits that no other picture shares; pretraining counts its seeds up from small numbers."""
    digest = hashlib.sha256(f"judge/{seed}/{kind}/{name}/{number}".encode()).digest()
    return int(np.frombuffer(digest[:8], dtype="<u8")[0] >> 2)


def _silent(line: str) -> None:
    del line
