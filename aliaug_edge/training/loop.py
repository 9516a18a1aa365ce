"""The training loop of pretraining and fine-tuning: steps, EMA, logs, checkpoints, resume."""

from __future__ import annotations

import json
import math
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from aliaug_edge import files, imaging
from aliaug_edge.errors import AliAugError
from aliaug_edge.training import checkpoint, parallel
from aliaug_edge.training.batch import Batch, seeded
from aliaug_edge.training.step import Learner, Metrics, TrainStep, train_step

METRICS = "metrics.jsonl"
SAMPLES_DIR = "samples"
Embed = Callable[[tuple[str, ...]], Tensor]


@dataclass(frozen=True)
class LoopSettings:
    """How long, how fast, and how often something is written. Counts are in steps.

    The discriminator joins at `adversarial_from`; before that it learns alone for
    `discriminator_ahead` steps, so that its first word is no noise.
    """

    steps: int
    learning_rate: float
    seed: int = 0
    warmup_steps: int = 50
    adversarial_from: int = 0
    discriminator_ahead: int = 0
    ema_decay: float = 0.0
    log_every: int = 20
    sample_every: int = 200
    checkpoint_every: int = 100


def run_loop(
    learner: Learner,
    batches: Callable[[int], Batch],
    embed: Embed,
    settings: LoopSettings,
    folder: Path,
    *,
    step_once: TrainStep = train_step,
    progress: bool = True,
) -> None:
    """Train to `settings.steps`, continuing from the folder's checkpoint where there is one.

    `batches(step)` must depend on its argument alone; of several processes each takes its rows of
    it, and the main one writes. At the end the generator holds the averaged
    weights where EMA is on.

    Raises:
        OutputError: the folder cannot be written. AliAugError: training diverged, or the
            checkpoint is of another run.
    """
    ema = _Ema(learner.parameters, settings.ema_decay) if settings.ema_decay else None
    start = _resume(folder, learner, ema)
    _start_alike(learner, ema)
    whom = parallel.ranks()
    log = _Log(folder, start, progress) if whom.main else None
    used = settings.adversarial_from < settings.steps
    joins = settings.adversarial_from - settings.discriminator_ahead if used else settings.steps
    for step in range(start, settings.steps):
        _set_learning_rate(learner, settings, step)
        whole = batches(step)
        rows = parallel.rows_of(len(whole.prompts), whom)
        noise, grain = (drawn[rows] for drawn in _noise(whole, settings.seed, step))
        batch = parallel.share_of(whole, whom)
        device = learner.parameters[0].device
        metrics, output = step_once(
            learner,
            batch.to(device),
            embed(batch.prompts).to(device),
            noise.to(device),
            grain.to(device),
            adversarial=step >= settings.adversarial_from,
            discriminate=step >= joins,
        )
        _require_finite(metrics, step)
        done = step + 1
        if ema is not None:
            ema.update(done)
        if log is None:
            continue
        last = done == settings.steps
        to_save = last or done % settings.checkpoint_every == 0
        log.add(metrics)
        if to_save or done % settings.log_every == 0:  # no row may straddle a checkpoint
            log.write(done, settings.steps)
        if last or done % settings.sample_every == 0:
            save_strip(folder / SAMPLES_DIR / f"{done:06d}.png", batch, output)
        if to_save:
            log.flush()
            checkpoint.save_checkpoint(folder, _state(done, learner, ema))
    if ema is not None:
        ema.copy_to_parameters()
    if log is not None:
        log.flush()


def _noise(batch: Batch, seed: int, step: int) -> tuple[Tensor, Tensor]:
    """The step's latent noise (B, 4, H/8, W/8) and grain (B, 1, H, W)."""
    count, _, height, width = batch.image.shape
    chance = seeded(seed, step)
    noise = torch.randn((count, 4, height // 8, width // 8), generator=chance)
    return noise, torch.randn((count, 1, height, width), generator=chance)


def _start_alike(learner: Learner, ema: _Ema | None) -> None:
    state = learner.discriminator.state_dict().values()
    parallel.same_start([*learner.parameters, *state, *(ema.shadow if ema is not None else [])])


def save_strip(path: Path, batch: Batch, output: Tensor) -> None:
    """Up to six rows of input | mask | generated | target."""
    columns = [batch.image, batch.mask.expand(-1, 3, -1, -1) * 2 - 1, output, batch.target]
    strip = torch.cat([c[:6].float().cpu() for c in columns], dim=3)
    pixels = imaging.tensor_to_images(strip.clamp(-1, 1).numpy())
    files.write_bytes(path, imaging.encode_png(np.concatenate(list(pixels), axis=0)))


def _require_finite(metrics: Metrics, step: int) -> None:
    """A run that has diverged stops before its weights reach a checkpoint."""
    if bad := sorted(name for name, value in metrics.items() if not math.isfinite(value)):
        raise AliAugError(
            f"training diverged at step {step + 1}: {', '.join(bad)} not finite; "
            "lower the learning rate, or train with precision fp32"
        )


def _set_learning_rate(learner: Learner, settings: LoopSettings, step: int) -> None:
    """Linear warm-up, then a cosine to 5 % of the rate."""
    warm = min(1.0, (step + 1) / max(1, settings.warmup_steps))
    fraction = step / max(1, settings.steps)
    scale = warm * (0.05 + 0.95 * 0.5 * (1 + float(np.cos(np.pi * fraction))))
    for optimizer in (learner.optimizer, learner.discriminator_optimizer):
        for group in optimizer.param_groups:
            group["lr"] = settings.learning_rate * scale * group.get("scale", 1.0)


def _state(step: int, learner: Learner, ema: _Ema | None) -> dict[str, Any]:
    return {
        "step": step,
        "parameters": [p.detach() for p in learner.parameters],
        "optimizer": learner.optimizer.state_dict(),
        "discriminator": learner.discriminator.state_dict(),
        "discriminator_optimizer": learner.discriminator_optimizer.state_dict(),
        "ema": ema.shadow if ema is not None else None,
    }


def _resume(folder: Path, learner: Learner, ema: _Ema | None) -> int:
    state = checkpoint.load_checkpoint(folder)
    if state is None:
        return 0
    try:
        _take_up(state, learner, ema)
        return int(state["step"])
    except (RuntimeError, LookupError, TypeError, ValueError, AttributeError) as error:
        raise AliAugError(
            f"{folder / checkpoint.CHECKPOINT} is of another run or version: expected the weights "
            f"and optimizers of this configuration, found {_first_line(error)}; remove it to start "
            "this run again"
        ) from error


def _take_up(state: dict[str, Any], learner: Learner, ema: _Ema | None) -> None:
    """Raises half a dozen kinds where `state` is not what `_state` made of such a learner."""
    averages = state["ema"] if ema is not None else None
    for saved in (state["parameters"], averages or state["parameters"]):
        for value, parameter in zip(saved, learner.parameters, strict=True):
            if value.shape != parameter.shape:  # copy_ would broadcast
                raise ValueError(f"shape {tuple(value.shape)} for {tuple(parameter.shape)}")
    with torch.no_grad():
        for parameter, saved in zip(learner.parameters, state["parameters"], strict=True):
            parameter.copy_(saved)
    learner.optimizer.load_state_dict(state["optimizer"])
    learner.discriminator.load_state_dict(state["discriminator"])
    learner.discriminator_optimizer.load_state_dict(state["discriminator_optimizer"])
    if ema is not None and averages is not None:
        ema.shadow = [s.to(p.device) for s, p in zip(averages, ema.parameters, strict=True)]


def _first_line(error: Exception) -> str:
    return f"{type(error).__name__}: {error}".splitlines()[0]


class _Ema:
    """Exponential moving average of the trained parameters.

    It warms up: after n updates the decay is at most (1 + n) / (10 + n), so that a short run's
    average does not remember its untrained beginning.
    """

    def __init__(self, parameters: list[nn.Parameter], decay: float) -> None:
        self.parameters = parameters
        self.decay = decay
        self.shadow = [p.detach().clone() for p in parameters]

    @torch.no_grad()
    def update(self, done: int) -> None:
        """Take up the weights after `done` steps."""
        decay = min(self.decay, (1 + done) / (10 + done))
        torch._foreach_lerp_(self.shadow, [p.detach() for p in self.parameters], 1 - decay)

    @torch.no_grad()
    def copy_to_parameters(self) -> None:
        for parameter, shadow in zip(self.parameters, self.shadow, strict=True):
            parameter.copy_(shadow)


class _Log:
    """metrics.jsonl, TensorBoard, the progress line. A resumed run drops lines past its start."""

    def __init__(self, folder: Path, start: int, progress: bool) -> None:
        from aliaug_edge.training.board import Board  # its imports take a second

        self.path = folder / METRICS
        self.lines = [line for line in _lines(self.path) if json.loads(line)["step"] <= start]
        self.board = Board(folder / "tensorboard", start)
        self.progress = progress
        self._begin()

    def _begin(self) -> None:
        self.steps = 0
        self.seen: dict[str, list[float]] = {}  # a term that joins late has fewer values
        self.since = time.perf_counter()

    def add(self, metrics: Metrics) -> None:
        self.steps += 1
        for name, value in metrics.items():
            self.seen.setdefault(name, []).append(value)

    def write(self, step: int, steps: int) -> None:
        seconds = (time.perf_counter() - self.since) / max(1, self.steps)
        means = {name: sum(values) / len(values) for name, values in self.seen.items()}
        row = {"step": step, **{k: round(v, 6) for k, v in means.items()}}
        self.lines.append(json.dumps({**row, "seconds_per_step": round(seconds, 4)}))
        self.board.write(step, means)
        if self.progress:
            left = seconds * (steps - step)
            print(
                f"\rstep {step}/{steps}  loss {means['loss']:.4f}  {seconds:.2f} s/step  "
                f"{left / 60:.1f} min left   ",
                end="\n" if step == steps or not sys.stderr.isatty() else "",
                file=sys.stderr,
                flush=True,
            )
        self._begin()

    def flush(self) -> None:
        files.write_text(self.path, "".join(line + "\n" for line in self.lines))


def _lines(path: Path) -> list[str]:
    return path.read_text(encoding="utf-8").splitlines() if path.is_file() else []
