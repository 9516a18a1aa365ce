"""How long must our trainer learn, and how long the released one, until a detector gains as much?

    python benchmarks/time_to_nas.py DATA --out OUT [--groups FILE] [--pool train] [--classes …]

Generators of the same model on the same photos: our step for the numbers of steps in --ours, the
released step (`released.py`) for those in --released; each with its own schedule, theirs without
averaged weights and with pairs alone, since what it learns from other parts' masks would need
another target. Then what `ali-aug evaluate` does with each on the data's own split: pool,
detectors, AP per image, with two of ours per real defect. Training time is that of the processor,
which a busy machine stretches less than the clock. What is finished in OUT is not made again.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from common import print_card, print_json
from released import released_step

from aliaug_edge import files
from aliaug_edge.data.samples import Dataset
from aliaug_edge.evaluation.conditions import all_conditions
from aliaug_edge.evaluation.detecting import all_pieces, run_pieces
from aliaug_edge.evaluation.folds import Fold, evaluation_folds, with_fewer_goods
from aliaug_edge.evaluation.generators import generator_config
from aliaug_edge.evaluation.group_table import group_table
from aliaug_edge.evaluation.pooling import make_pools
from aliaug_edge.evaluation.protocol import EvaluationSettings
from aliaug_edge.evaluation.results import load_run
from aliaug_edge.evaluation.run import MOST_GOODS, MOST_TEST_GOODS
from aliaug_edge.export.pipeline import ExportSettings, export
from aliaug_edge.training.step import train_step
from aliaug_edge.training.trainer import train

CONDITION = "nas-text-2x"


def main() -> None:
    arguments = parsed()
    settings = EvaluationSettings(
        data=arguments.data,
        groups=arguments.groups,
        pool=arguments.pool,
        classes=tuple(filter(None, arguments.classes.split(","))),
        seeds=arguments.seeds,
        detector_steps=arguments.detector_steps,
        exchange=False,
    )
    card = print_card()
    fold = with_fewer_goods(the_fold(settings), MOST_GOODS, MOST_TEST_GOODS)
    rows = []
    for who in ("ours", "released"):
        for steps in map(int, filter(None, getattr(arguments, who).split(","))):
            row = tried(settings, fold, who, steps, arguments.out / f"{who}-{steps}", arguments)
            say(f"{who}, {steps} steps: {row}")
            rows.append(row)
    print(f"\n{CONDITION}, {settings.seeds} detectors of {settings.detector_steps} steps each")
    print(f"{'loop':<12}{'steps':>7}{'CPU min':>10}{'AP per image':>14}  of the seeds")
    for row in rows:
        seeds = " ".join(f"{value:.3f}" for value in row["ap"])
        print(f"{row['loop']:<12}{row['steps']:>7}{row['cpu_minutes']:>10.1f}", end="")
        print(f"{np.mean(row['ap']):>14.3f}  {seeds}")
    print_json("time_to_nas", card, condition=CONDITION, rows=rows, threads=torch.get_num_threads())


def the_fold(settings: EvaluationSettings) -> Fold:
    """The data's own split."""
    return evaluation_folds(
        settings.data,
        groups=settings.groups,
        pool=settings.pool,
        seed=settings.seed,
        classes=settings.classes,
        exchange=False,
    )[0]


def tried(
    settings: EvaluationSettings,
    fold: Fold,
    who: str,
    steps: int,
    out: Path,
    arguments: argparse.Namespace,
) -> dict[str, Any]:
    """One generator, trained, exported, and what detectors gain from it."""
    bundle, took = out / "bundle", out / "training.json"
    if not bundle.is_dir():
        shutil.rmtree(out, ignore_errors=True)  # a time that was cut short is none
        files.write_json(took, {"cpu_minutes": trained(settings, fold, who, steps, out / "run")})
        export(str(out / "run"), bundle, ExportSettings(), say=say)
    settings = replace(settings, bundle=bundle)
    conditions = [c for c in all_conditions() if c.name == CONDITION]
    if failed := make_pools(settings, fold, conditions, out, say):
        raise SystemExit(f"{out}: {failed}")
    pieces = all_pieces(settings, [fold], conditions, out)
    run_pieces(pieces, arguments.workers, lambda done, of, _: say(f"{out.name}: {done} of {of}"))
    table = group_table([load_run(piece.path) for piece in pieces])
    return {
        "loop": who,
        "steps": steps,
        **json.loads(took.read_text(encoding="utf-8")),
        "ap": [round(float(value), 4) for value in table.values.mean(axis=0)],
    }


def trained(settings: EvaluationSettings, fold: Fold, who: str, steps: int, run: Path) -> float:
    """Train into `run`; the minutes that the processor took."""
    config = replace(generator_config(settings, fold, "text"), steps=steps)
    if who == "released":
        config = replace(config, ema_decay=0.0, unpaired_share=0.0)
    dataset = Dataset(settings.data, "train", (*fold.train, *fold.train_good))
    started = time.process_time()
    step = released_step if who == "released" else train_step
    train(config, run, dataset=dataset, step_once=step)
    return round((time.process_time() - started) / 60, 2)


def say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def parsed() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0] if __doc__ else "")
    parser.add_argument("data", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--pool", default="train")
    parser.add_argument("--groups", type=Path)
    parser.add_argument("--classes", default="")
    parser.add_argument("--ours", default="75,150,300", help="training steps, by comma")
    parser.add_argument("--released", default="150,300,600", help="training steps, by comma")
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--detector-steps", type=int, default=1600)
    parser.add_argument("--workers", type=int, default=1)
    return parser.parse_args()


if __name__ == "__main__":
    main()
