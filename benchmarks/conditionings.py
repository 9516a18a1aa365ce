"""Which conditioning and which label carrier should be the default? An ablation on drawn parts.

    python benchmarks/conditionings.py [--steps 150] [--size 64] [--count 30]

One drawn product line is learned by every pair of conditioning and carrier, with the same photos,
steps and seed, from `tiny`. A judge, trained once on drawn defects of the same classes, then says
what it sees in insertions on parts and under masks that nobody learned from; beside it what it says
of the real (drawn) defects at those places, and what `tiny` reaches by itself. `tiny` was
pretrained with `light`, so this answers the question for `tiny` alone.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path

import numpy as np
import torch
from common import median, print_card, print_json

from aliaug_edge.appearances import NUMBERS
from aliaug_edge.data.make import make_dataset
from aliaug_edge.data.procedural import DEFECT_CLASSES
from aliaug_edge.evaluation.judging import drawn_trial as trial
from aliaug_edge.evaluation.judging.drawn_report import Task
from aliaug_edge.evaluation.judging.judge import (
    Example,
    Judge,
    JudgeSettings,
    classify,
    train_judge,
)
from aliaug_edge.export.sources import run_source
from aliaug_edge.export.stages import stage_of
from aliaug_edge.export.torch_engine import TorchEngine
from aliaug_edge.generation.blend import blend
from aliaug_edge.generation.feeds import model_feeds
from aliaug_edge.model.base import generator_from, load_base
from aliaug_edge.model.generator import Generator
from aliaug_edge.model.text import COLOUR_PROMPT, class_embeddings, class_prompt
from aliaug_edge.training.batch import WHITE, class_colour
from aliaug_edge.training.config import TrainConfig
from aliaug_edge.training.trainer import train

CLASSES = ("scratch", "crack", "blowhole", "stain", "chip")
VARIANTS = (("light", "text"), ("light", "colour"), ("full", "colour"), ("paper", "colour"))
SIDE = 128  # px, of the crops that are judged and timed


class Asked:
    """A generator in torch with the embedding and colour of each of `CLASSES`."""

    def __init__(self, generator: Generator, embeds: np.ndarray, colours: np.ndarray) -> None:
        self.engine = TorchEngine(stage_of(generator, "generator"))
        self.channels = generator.vae.config.latent_channels
        self.embeds, self.colours = embeds, colours

    def insert(self, task: Task) -> tuple[np.ndarray, float]:
        """The raw output (h, w, 3) in [-1, 1] for a task, and the milliseconds it took."""
        index = CLASSES.index(task.asked)
        feeds = model_feeds(
            task.pair.good[None],
            task.pair.mask[None],
            colours=self.colours[index][None],
            prompt_embeds=self.embeds[index][None],
            looks=[np.zeros(NUMBERS, np.float32)],
            seeds=[task.seed],
            severities=[task.pair.severity],
            latent_channels=self.channels,
        )
        given = {spec.name: feeds[spec.name] for spec in self.engine.inputs}
        started = time.perf_counter()
        with self.engine as engine:
            raw = engine.infer(given)["generated"][0].transpose(1, 2, 0)
        return raw, (time.perf_counter() - started) * 1000


def of_tiny(carrier: str) -> Asked:
    """`tiny` as it is, asked by prompt or by colour."""
    base = load_base("tiny")
    prompts = [class_prompt(name) if carrier == "text" else COLOUR_PROMPT for name in CLASSES]
    colours = [
        WHITE if carrier == "text" else class_colour(DEFECT_CLASSES.index(name)) for name in CLASSES
    ]
    embeds = class_embeddings(base.tokenizer, base.text_encoder, prompts).numpy()
    generator = generator_from(base, "light").eval()
    return Asked(generator, embeds, np.array(colours, dtype=np.float32))


def of_run(run: Path) -> Asked:
    source = run_source(run)
    places = [[c.name for c in source.classes].index(name) for name in CLASSES]
    colours = np.array([source.classes[place].colour for place in places], dtype=np.float32)
    return Asked(source.adapted, source.embeds[places], colours)


def measure(asked: Asked, judge: Judge, own: list[Task], swapped: list[Task]) -> dict[str, float]:
    """Accuracy under masks of the class's own and of another outline, preservation, time."""
    made: list[Example] = []
    psnr, ms = [], []
    for task in (*own, *swapped):
        raw, took = asked.insert(task)
        good, mask = task.pair.good, task.pair.mask
        made.append(Example(blend(good, mask, good, raw, mode="feather"), mask, task.asked))
        error = ((raw + 1) * 127.5 - good)[mask == 0]
        psnr.append(min(99.0, 10 * float(np.log10(255**2 / max(1e-9, np.mean(error**2))))))
        ms.append(took)
    hits = [a == b.defect_class for a, b in zip(classify(judge, made), made, strict=True)]
    return {
        "own": float(np.mean(hits[: len(own)])),
        "swapped": float(np.mean(hits[len(own) :])),
        "psnr_db": median(psnr),
        "ms": median(ms),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=150)
    parser.add_argument("--size", type=int, default=64)
    parser.add_argument("--count", type=int, default=30, help="insertions per class and outline")
    parser.add_argument("--pairs", type=int, default=400, help="the judge's examples per class")
    arguments = parser.parse_args()
    card = print_card()
    torch.set_num_threads(card["physical_cores"] or 1)
    examples = trial.training_examples(CLASSES, arguments.pairs, 0)
    judge = train_judge(examples, CLASSES, JudgeSettings())
    frame = (SIDE, SIDE)
    own = trial._tasks(CLASSES, arguments.count, 0, frame, swapped=False)
    swapped = trial._tasks(CLASSES, arguments.count, 0, frame, swapped=True)
    real = {
        name: float(np.mean([a == t.asked for a, t in zip(seen, tasks, strict=True)]))
        for name, tasks in (("own", own), ("swapped", swapped))
        for seen in [classify(judge, [trial._real(task) for task in tasks])]
    }
    rows = {
        f"tiny {carrier}": measure(of_tiny(carrier), judge, own, swapped)
        for carrier in ("text", "colour")
    }
    with tempfile.TemporaryDirectory() as scratch:
        data = Path(scratch) / "data"
        make_dataset(data, classes=CLASSES)
        for conditioning, carrier in VARIANTS:
            config = TrainConfig(
                data=str(data),
                conditioning=conditioning,  # type: ignore[arg-type]
                label_carrier=carrier,  # type: ignore[arg-type]
                steps=arguments.steps,
                size=arguments.size,
            )
            name = f"{conditioning} {carrier}"
            run = train(config, Path(scratch) / name.replace(" ", "_"))
            rows[name] = measure(of_run(run), judge, own, swapped)
    print(f"{arguments.steps} steps at {arguments.size} px; judged and timed at {SIDE} px (torch)")
    print(f"{'':14}  own outline  other outline  PSNR dB outside  ms")
    print(f"{'real defects':14}  {real['own']:11.2f}  {real['swapped']:13.2f}")
    for name, row in rows.items():
        print(
            f"{name:14}  {row['own']:11.2f}  {row['swapped']:13.2f}  {row['psnr_db']:15.1f}"
            f"  {row['ms']:.0f}"
        )
    print(f"chance {1 / len(CLASSES):.2f}")
    print_json("conditionings", card, real=real, rows=rows, **vars(arguments))


if __name__ == "__main__":
    main()
