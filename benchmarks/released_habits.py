"""Each habit of the released trainer put back into ours, one at a time: what does it cost?

    python benchmarks/released_habits.py DATA --out OUT [--groups FILE] [--pool train] [--classes …]

Every row is trained with the same budget, seeds and batches, and judged as the studies judge
(docs/studies.md): held-out photos, in windows of the training size. Beside that what the trainer
itself shows: the longest gradient of the generator, and the discriminator's hinge loss at the end
(0: it is never fooled, 2: it says nothing). A row that is finished in OUT is not trained again.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import time
from pathlib import Path

import numpy as np
from common import print_card, print_json
from released import Habits, step_with
from torch import Tensor

from aliaug_edge.evaluation.studies.marks import Yardstick, marks, new_yardstick, references
from aliaug_edge.evaluation.studies.study import FULL, Budget, Parts, StudySettings, Values, merged
from aliaug_edge.evaluation.studies.trained import loaded
from aliaug_edge.training.batch import Batch
from aliaug_edge.training.config import TrainConfig
from aliaug_edge.training.step import Learner, Metrics, TrainStep
from aliaug_edge.training.trainer import train

ROWS = {
    "ours": ("light", Habits()),
    "a second forward": ("light", Habits(second_forward=True)),
    "generator not clipped": ("light", Habits(unclipped=True)),
    "gradients leak": ("light", Habits(leaking=True)),
    "losses without the mask": ("light", Habits(maskless=True)),
    "another background": ("light", Habits(other_background=True)),
    "ours, paper": ("paper", Habits()),
    "another background, paper": ("paper", Habits(other_background=True)),
}
COLUMNS = {
    "l1": "L1 under mask",
    "features": "features",
    "fidelity": "fidelity",
    "outside": "outside",
    "longest": "longest grad",
    "hinge": "hinge",
    "seconds": "s/step",
}
LAST = 40  # steps over which the hinge loss at the end is averaged


def main() -> None:
    arguments = parsed()
    settings = StudySettings(
        arguments.data,
        arguments.pool,
        arguments.groups,
        tuple(filter(None, arguments.classes.split(","))),
        budget=Budget(
            arguments.steps, 4, arguments.size, arguments.seeds, FULL.scenes, FULL.judge_views
        ),
    )
    card = print_card()
    yardstick = new_yardstick(settings, say)
    parts = Parts(arguments.out)
    shown: dict[str, Values] = dict(references(yardstick))
    for name in ROWS:
        runs = [judged(settings, yardstick, parts, name, seed) for seed in settings.seeds()]
        shown[name] = merged(runs)
    print(f"\n{settings.budget.steps} steps of 4 crops of {settings.budget.size}², ", end="")
    print(f"{settings.budget.seeds} seeds, {len(yardstick.scenes)} scenes, raw output")
    print(f"{'':<27}" + "".join(f"{title:>18}" for title in COLUMNS.values()))
    for name, values in shown.items():
        print(f"{name:<27}" + "".join(f"{cell(values.get(key, [])):>18}" for key in COLUMNS))
    print_json("released_habits", card, rows=shown, steps=arguments.steps, seeds=arguments.seeds)


def judged(
    settings: StudySettings, yardstick: Yardstick, parts: Parts, name: str, seed: int
) -> Values:
    """One run of a row: what its answers are worth, and what its trainer saw."""
    conditioning, habits = ROWS[name]

    def made() -> Values:
        say(f"{name}, seed {seed}")
        config = settings.config(seed=seed, conditioning=conditioning)
        folder = parts.run_dir(f"{name}-{seed}")
        seen = trained(config, folder, step_with(habits))
        raw = loaded(folder).draw(yardstick.scenes, seed)
        return marks(yardstick, yardstick.scenes, raw, "none") | seen

    return parts.values(f"{name}-{seed}", made)


def trained(config: TrainConfig, folder: Path, step_once: TrainStep) -> Values:
    """Train into `folder`; what the trainer saw. One that was cut short begins anew."""
    seen: list[Metrics] = []

    def watched(
        learner: Learner, batch: Batch, embeds: Tensor, noise: Tensor, grain: Tensor, **when: bool
    ) -> tuple[Metrics, Tensor]:
        metrics, output = step_once(learner, batch, embeds, noise, grain, **when)
        seen.append(metrics)
        return metrics, output

    shutil.rmtree(folder, ignore_errors=True)
    started = time.perf_counter()
    train(config, folder, step_once=watched, progress=False)
    hinges = [m["discriminator"] for m in seen[-LAST:] if "discriminator" in m]  # it joins later
    return {
        "longest": [max(metrics["grad_norm"] for metrics in seen)],
        "hinge": [float(np.mean(hinges))],
        "seconds": [(time.perf_counter() - started) / config.steps],
    }


def cell(values: list[float]) -> str:
    """Mean and, where there are more than one, range."""
    if not values:
        return ""
    spread = f" ±{(max(values) - min(values)) / 2:.2g}" if len(values) > 1 else ""
    return f"{np.mean(values):.3g}{spread}"


def say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def parsed() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0] if __doc__ else "")
    parser.add_argument("data")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--pool", default="train")
    parser.add_argument("--groups")
    parser.add_argument("--classes", default="")
    parser.add_argument("--steps", type=int, default=FULL.steps)
    parser.add_argument("--size", type=int, default=FULL.size)
    parser.add_argument("--seeds", type=int, default=FULL.seeds)
    return parser.parse_args()


if __name__ == "__main__":
    main()
