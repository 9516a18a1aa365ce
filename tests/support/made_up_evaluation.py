"""A run folder with made-up scores, written by the code that real runs are written by."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path

from aliaug_edge import files
from aliaug_edge.evaluation.conditions import chosen_conditions
from aliaug_edge.evaluation.results import ImageScore, Run, save_run

CONTRAST = ("nas-text-1x", "classic")
CONDITIONS = ("none", "classic", "copy-paste-1x", "cas-text-1x", "nas-text-1x", "nas-text-2x")
GROUPS = {"pit": ("a", "b", "c", "d"), "tear": ("e", "f", "g", "h")}
PIXELS = {"pit": 10, "tear": 90}
LEVELS = dict(zip(CONDITIONS, (0.3, 0.5, 0.52, 0.35, 0.6, 0.58), strict=True))

Score = Callable[[str, str, int], float]
"""(condition, group, seed) to the AP of all photos of that group."""


def steady(condition: str, group: str, seed: int) -> float:
    """Groups differ by condition alike: a gain of 0.1 for ours, in every group and seed."""
    del seed
    return LEVELS[condition] + 0.01 * "abcdefgh".index(group)


def write_protocol(
    out: Path, names: Sequence[str] = CONDITIONS, *, seeds: int = 2, folds: int = 1, **more: object
) -> None:
    document = {
        "schema": 1,
        "data": {"root": "line 4", "classes": sorted(GROUPS)},
        "folds": [{"train": ["x.png"], "test": ["y.png"]}] * folds,
        "seeds": list(range(seeds)),
        "conditions": [asdict(condition) for condition in chosen_conditions(names)],
        "detector": {"name": "unet", "steps": 20},
        "primary": {"metric": "ap", "contrast": list(CONTRAST)},
        "secondary": [["nas-text-1x", "copy-paste-1x"]],
        **more,
    }
    files.write_json(out / "protocol.json", document)


def run(condition: str, seed: int, score: Score = steady, fold: int = 0) -> Run:
    """Two photos of every group (in fold 1 of other groups), and two good ones."""
    images = [
        ImageScore(
            f"{name}-{number}.png", name, defect_class, PIXELS[defect_class], ap, ap / 2, ap, ap
        )
        for defect_class, groups in GROUPS.items()
        for group in groups
        for name, ap in [(group if fold == 0 else f"{group}{fold}", score(condition, group, seed))]
        for number in range(2)
    ]
    images += [
        ImageScore(f"good-{fold}-{score}.png", f"z{fold}", "good", 0, None, None, None, score)
        for score in (0.0, 0.4)
    ]
    pooled = {"ap": 0.2, "auroc": 0.75, "map50_95": None, "map50": None}
    return Run(fold, condition, seed, 0.5, tuple(images), pooled)


def failed_run(condition: str, seed: int, why: str = "loss is not a number at step 7") -> Run:
    return Run(0, condition, seed, 0.0, (), {}, failed=why)


def write_run_folder(
    out: Path,
    score: Score = steady,
    names: Sequence[str] = CONDITIONS,
    *,
    seeds: int = 2,
    folds: int = 1,
    **more: object,
) -> Path:
    """A whole evaluation: the protocol, and every run that it plans."""
    write_protocol(out, names, seeds=seeds, folds=folds, **more)
    for condition in names:
        for seed in range(seeds):
            for fold in range(folds):
                save_run(run(condition, seed, score, fold), out)
    return out
