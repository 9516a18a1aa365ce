"""A trained generator to ask: made in the study's folder, or a finished run of the user's."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from aliaug_edge.appearances import Appearances, drawn
from aliaug_edge.bundle import ClassSpec
from aliaug_edge.errors import AliAugError
from aliaug_edge.evaluation.studies.scenes import Scene
from aliaug_edge.evaluation.studies.study import Parts, Say, StudySettings
from aliaug_edge.export.sources import (
    load_run,
    merged_generator,
    read_appearances,
    read_classes,
)
from aliaug_edge.generation.feeds import model_feeds
from aliaug_edge.generation.request import stable_seed
from aliaug_edge.model.generator import Generator
from aliaug_edge.model.sampler import sample
from aliaug_edge.model.text import class_embeddings
from aliaug_edge.training.config import TrainConfig
from aliaug_edge.training.run_folder import CLASSES
from aliaug_edge.training.trainer import train

BATCH = 8


@dataclass(frozen=True, eq=False)
class Trained:
    """A run's generator, merged, with its classes, their prompts and appearances, and the base's
    ᾱ_t (1000,)."""

    generator: Generator
    classes: tuple[ClassSpec, ...]
    embeds: NDArray[np.float32]
    alphas: Tensor
    appearances: Appearances

    def draw(self, scenes: Sequence[Scene], seed: int, *, steps: int = 1) -> NDArray[np.float32]:
        """The raw output (N, S, S, 3) in [-1, 1], before blending, in `steps` denoising steps.

        The noise of a scene depends on `seed` and its name alone.

        Raises:
            AliAugError: a scene's class is not among the run's.
        """
        drawn = [
            self._batch(scenes[start : start + BATCH], seed, steps)
            for start in range(0, len(scenes), BATCH)
        ]
        return np.concatenate(drawn)

    def _batch(self, scenes: Sequence[Scene], seed: int, steps: int) -> NDArray[np.float32]:
        index = [self._index(scene.defect_class) for scene in scenes]
        seeds = [stable_seed(seed, scene.name) for scene in scenes]
        feeds = model_feeds(
            np.stack([scene.good for scene in scenes]),
            np.stack([scene.mask for scene in scenes]),
            colours=np.array([self.classes[i].colour for i in index], dtype=np.float32),
            prompt_embeds=self.embeds[index],
            looks=[
                drawn(self.appearances[scene.defect_class], scene.severity, own)
                for scene, own in zip(scenes, seeds, strict=True)
            ],
            seeds=seeds,
            severities=[scene.severity for scene in scenes],
            latent_channels=self.generator.vae.config.latent_channels,
        )
        device = next(self.generator.parameters()).device
        given = {name: torch.from_numpy(array).to(device) for name, array in feeds.items()}
        output = sample(self.generator, **given, alphas=self.alphas, steps=steps)
        result: NDArray[np.float32] = output.float().cpu().numpy().transpose(0, 2, 3, 1)
        return result

    def _index(self, name: str) -> int:
        names = [spec.name for spec in self.classes]
        if name not in names:
            raise AliAugError(f"unknown class {name}: the run has {', '.join(names)}")
        return names.index(name)


def trained(config: TrainConfig, name: str, parts: Parts, say: Say) -> Trained:
    """The run of `config` in the study's folder: as it is where it is finished, else trained.

    Raises:
        AliAugError: as `train`.
    """
    folder = parts.run_dir(name)
    if not (folder / CLASSES).is_file():  # the last file of a run
        say(f"training {name}: {config.steps} steps")
        train(config, folder, progress=False)
    return loaded(folder)


def only_run(settings: StudySettings, parts: Parts, say: Say) -> Trained:
    """The one run that a study looks at: the user's, or one trained with plain settings.

    Raises:
        AliAugError: the user's run is not finished, or damaged.
    """
    if settings.run is not None:
        return loaded(Path(settings.run))
    return trained(settings.config(), "plain", parts, say)


def loaded(folder: Path) -> Trained:
    """A finished run, merged, on the GPU where there is one.

    Raises:
        AliAugError: the run is not finished, or damaged.
    """
    config, base, adapted, _ = load_run(folder)
    classes = read_classes(folder / CLASSES)
    prompts = [spec.prompt for spec in classes]
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    return Trained(
        generator=merged_generator(adapted, config).to(device),
        classes=classes,
        embeds=class_embeddings(base.tokenizer, base.text_encoder, prompts).numpy(),
        alphas=base.scheduler.alphas_cumprod,
        appearances=read_appearances(folder, classes),
    )
