"""Our training step beside the released trainer's, in the same model: steps per second.

    python benchmarks/released_loop.py [--base tiny] [--size 128] [--batch 8] [--precision auto]

The released step is that of `released.py`, which says what is left out of it; that makes it faster
than it was. Both train the same generator (adapters on BASE, conditioning light), the same
discriminator and perceptual network, on the same batches, drawn beforehand. Ours has all terms of
the default recipe. Blocks of steps alternate in one process.
"""

from __future__ import annotations

import argparse
import copy
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import torch
from common import median, paired_ratio, print_card, print_json
from released import Habits, released_step, step_with
from torch import Tensor

from aliaug_edge.data.make import make_dataset
from aliaug_edge.data.reader import load_dataset
from aliaug_edge.model.adapters import add_adapters, trainable_parameters
from aliaug_edge.model.base import generator_from, load_base
from aliaug_edge.model.text import class_embeddings
from aliaug_edge.training.batch import Batch, seeded
from aliaug_edge.training.config import TrainConfig
from aliaug_edge.training.defects import draw_defects, load_source
from aliaug_edge.training.losses import LossWeights
from aliaug_edge.training.precision import autocast_for
from aliaug_edge.training.step import Learner, new_learner, train_step
from aliaug_edge.training.trainer import class_prompts, frozen_features

AIM = 1.47  # times the released loop's steps per second: the first publication's −32 % time
LEARNING_RATE = 1e-4
Inputs = tuple[Batch, Tensor, Tensor, Tensor]


def main() -> None:
    arguments = parsed()
    card = print_card()
    inputs, (ours, twice, theirs) = prepared(arguments)
    second_forward = step_with(Habits(second_forward=True))
    steps: dict[str, Callable[[Inputs], object]] = {
        "ours": lambda given: train_step(ours, *given, adversarial=True),
        "ours, a second forward": lambda given: second_forward(twice, *given, adversarial=True),
        "released": lambda given: released_step(theirs, *given),
    }
    for step in steps.values():
        step(inputs[0])  # both have allocated before anything is timed
    seconds: dict[str, list[float]] = {name: [] for name in steps}
    for round_ in range(arguments.rounds):
        order = list(steps) if round_ % 2 == 0 else list(reversed(steps))
        for name in order:
            started = time.perf_counter()
            for index in range(arguments.block):
                steps[name](inputs[(round_ + index) % len(inputs)])
            seconds[name].append((time.perf_counter() - started) / arguments.block)
    ratio = paired_ratio(seconds["released"], seconds["ours"])
    print(f"\n{arguments.size}² x {arguments.batch}, {arguments.precision}, ", end="")
    print(
        f"{arguments.rounds} rounds of {arguments.block} steps, {torch.get_num_threads()} threads"
    )
    print(f"{'loop':<24}{'s/step':>9}{'steps/s':>9}{'ratio':>8}")
    for name, values in seconds.items():
        shown = paired_ratio(seconds["released"], values)
        print(f"{name:<24}{median(values):>9.3f}{1 / median(values):>9.3f}{shown:>8.2f}")
    print(
        f"aim: {AIM} times the released loop's steps per second: "
        f"{'reached' if ratio >= AIM else 'not reached'}"
    )
    print_json(
        "released_loop",
        card,
        **vars(arguments),
        seconds_per_step={name: round(median(values), 4) for name, values in seconds.items()},
        ratio=round(ratio, 3),
        aim=AIM,
    )


def prepared(arguments: argparse.Namespace) -> tuple[list[Inputs], list[Learner]]:
    """Batches drawn from a drawn product line, and a learner for each loop from the same base."""
    base = load_base(arguments.base)
    with tempfile.TemporaryDirectory() as scratch:
        root = make_dataset(Path(scratch) / "data", defects_per_class=4, goods=8)
        config = TrainConfig(data=str(root), size=arguments.size, batch_size=arguments.batch)
        dataset = load_dataset(root)
        prompts = class_prompts(dataset, config)
        source = load_source(dataset, tuple(prompts), prompts, 0, crop=arguments.size)
    embeds = class_embeddings(base.tokenizer, base.text_encoder, list(prompts.values()))
    by_prompt = dict(zip(prompts.values(), embeds, strict=True))
    inputs = []
    for step in range(4):
        batch = draw_defects(
            source, step, seed=0, size=arguments.batch, crop=arguments.size,
            colour_carrier=False, unpaired_share=config.unpaired_share,
        )  # fmt: skip
        side = arguments.size // 8
        chance = seeded(0, step)
        noise = torch.randn((arguments.batch, 4, side, side), generator=chance)
        grain = torch.randn((arguments.batch, 1, 8 * side, 8 * side), generator=chance)
        embeds = torch.stack([by_prompt[p] for p in batch.prompts])
        inputs.append((batch, embeds, noise, grain))
    learners = []
    for _ in range(3):
        torch.manual_seed(0)
        generator = generator_from(copy.deepcopy(base), "light")
        perceptual = frozen_features(generator)
        add_adapters(generator, config.adapters)
        learner = new_learner(
            generator,
            trainable_parameters(generator),
            LossWeights(),
            perceptual,
            autocast_for(arguments.precision, torch.device("cpu")),
            classes=len(prompts),
        )
        for optimizer in (learner.optimizer, learner.discriminator_optimizer):
            for group in optimizer.param_groups:
                group["lr"] = LEARNING_RATE
        learners.append(learner)
    return inputs, learners


def parsed() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0] if __doc__ else "")
    parser.add_argument("--base", default="tiny")
    parser.add_argument("--size", type=int, default=128)
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--rounds", type=int, default=8)
    parser.add_argument("--block", type=int, default=3)
    parser.add_argument("--precision", choices=("auto", "fp32", "bf16"), default="auto")
    return parser.parse_args()


if __name__ == "__main__":
    main()
