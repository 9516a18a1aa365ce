"""A micro base, a small data set, and runs on them that take a second or two."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from aliaug_edge.data.reader import load_dataset
from aliaug_edge.model.adapters import add_adapters, trainable_parameters
from aliaug_edge.model.base import generator_from
from aliaug_edge.model.text import class_prompt
from aliaug_edge.training.batch import Batch
from aliaug_edge.training.config import TrainConfig
from aliaug_edge.training.defects import DefectSource, draw_defects, load_source
from aliaug_edge.training.discriminator import PatchDiscriminator
from aliaug_edge.training.losses import LossWeights
from aliaug_edge.training.step import Learner
from aliaug_edge.training.trainer import frozen_features
from tests.support.bases import CLASSES, micro_base, write_base, write_dataset

NewConfig = Callable[..., TrainConfig]


@pytest.fixture(scope="session", autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def base_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_base(tmp_path_factory.mktemp("bases") / "micro")


@pytest.fixture(scope="session")
def data_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_dataset(tmp_path_factory.mktemp("data") / "parts")


@pytest.fixture(scope="session")
def new_config(base_dir: Path, data_dir: Path) -> NewConfig:
    """A run of four steps on crops of 32 pixels, in FP32, with the discriminator from the start."""

    def build(**changes: object) -> TrainConfig:
        few = {
            "data": str(data_dir),
            "base": str(base_dir),
            "steps": 4,
            "batch_size": 2,
            "size": 32,
            "precision": "fp32",
            "adversarial_from": 0.5,
        }
        return TrainConfig(**{**few, **changes})

    return build


@pytest.fixture(scope="session")
def source(data_dir: Path) -> DefectSource:
    prompts = {name: class_prompt(name) for name in CLASSES}
    return load_source(load_dataset(data_dir), CLASSES, prompts, seed=0, crop=48)


@pytest.fixture
def batch(source: DefectSource) -> Batch:
    return draw_defects(
        source, 0, seed=0, size=4, crop=32, colour_carrier=False, unpaired_share=0.5
    )


@pytest.fixture
def learner() -> Learner:
    torch.manual_seed(0)
    generator = generator_from(micro_base(), "light")
    features = frozen_features(generator)
    add_adapters(generator, TrainConfig(data="").adapters)
    parameters = trainable_parameters(generator)
    discriminator = PatchDiscriminator(len(CLASSES), width=8)
    return Learner(
        generator=generator,
        parameters=parameters,
        optimizer=torch.optim.AdamW(parameters, lr=1e-3),
        discriminator=discriminator,
        discriminator_optimizer=torch.optim.AdamW(discriminator.parameters(), lr=1e-3),
        weights=LossWeights(),
        perceptual=features,
        autocast=lambda: torch.autocast("cpu", torch.bfloat16, enabled=False),
    )
