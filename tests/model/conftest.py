"""Micro generators and random inputs for them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor

from aliaug_edge.model.base import Base, generator_from
from aliaug_edge.model.conditioning import APPEARANCE, Conditioning
from aliaug_edge.model.generator import Generator
from tests.support.bases import TEXT_WIDTH, micro_base, write_base

Inputs = dict[str, Tensor]


@pytest.fixture(scope="session", autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture
def base() -> Base:
    return micro_base()


@pytest.fixture(scope="session")
def base_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_base(tmp_path_factory.mktemp("bases") / "micro")


@pytest.fixture
def new_generator() -> Callable[[Conditioning], Generator]:
    """A fresh generator as after some training: skips that act, a U-Net that heeds the prompt."""

    def build(conditioning: Conditioning) -> Generator:
        generator = generator_from(micro_base(), conditioning).eval()
        noise = torch.Generator().manual_seed(3)
        with torch.no_grad():
            for skip in generator.skips:
                skip.weight.copy_(0.1 * torch.randn(skip.weight.shape, generator=noise))
            for name, parameter in generator.unet.named_parameters():
                if "attn2.to_v" in name:
                    parameter.mul_(5)
            conv = generator.unet.conv_in.weight
            conv[:, 4:] = 0.1 * torch.randn(conv[:, 4:].shape, generator=noise)
        return generator

    return build


@pytest.fixture
def inputs() -> Callable[..., Inputs]:
    """Seeded inputs of `forward`: a mask of one quarter of the image in its upper left corner."""

    def build(batch: int = 1, height: int = 64, width: int = 64, seed: int = 0) -> Inputs:
        random = torch.Generator().manual_seed(seed)
        mask = torch.zeros(batch, 1, height, width)
        mask[:, :, : height // 2, : width // 2] = 1
        latent = (batch, 4, height // 8, width // 8)
        return {
            "image": torch.rand(batch, 3, height, width, generator=random) * 1.6 - 0.8,
            "mask": mask,
            "colour": torch.rand(batch, 3, generator=random),
            "noise": torch.randn(latent, generator=random),
            "grain": torch.randn(batch, 1, height, width, generator=random),
            "severity": torch.rand(batch, 1, generator=random),
            "appearance": torch.randn(batch, APPEARANCE, generator=random),
            "prompt_embeds": torch.randn(batch, 77, TEXT_WIDTH, generator=random),
        }

    return build
