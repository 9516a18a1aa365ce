"""The switches of ablations: each one acts in training, in the saved run, and after merging."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor

from aliaug_edge.export.sources import load_run, merged_generator, run_source
from aliaug_edge.model.base import EXTRAS, Base, extras_of, generator_from
from aliaug_edge.model.conditioning import APPEARANCE
from aliaug_edge.model.generator import Generator
from aliaug_edge.training.config import TrainConfig
from aliaug_edge.training.trainer import train
from tests.support.bases import micro_base

NewConfig = Callable[..., TrainConfig]


def inputs() -> dict[str, Tensor]:
    random = torch.Generator().manual_seed(0)
    mask = torch.zeros(1, 1, 32, 32)
    mask[..., 8:24, 8:24] = 1
    return {
        "image": torch.rand(1, 3, 32, 32, generator=random) - 0.5,
        "mask": mask,
        "colour": torch.ones(1, 3),
        "noise": torch.randn(1, 4, 4, 4, generator=random),
        "grain": torch.randn(1, 1, 32, 32, generator=random),
        "severity": torch.full((1, 1), 0.5),
        "appearance": torch.randn(1, APPEARANCE, generator=random),
        "prompt_embeds": torch.randn(1, 77, 16, generator=random),
    }


def moved(generator: Generator, **swapped: Tensor) -> float:
    """How far the output moves when an input is swapped."""
    with torch.no_grad():
        difference = generator(**inputs()) - generator(**{**inputs(), **swapped})
    return float(difference.abs().max())


def other_noise() -> dict[str, Tensor]:
    random = torch.Generator().manual_seed(9)
    noise = torch.randn(1, 4, 4, 4, generator=random)
    return {"noise": noise, "grain": torch.randn(1, 1, 32, 32, generator=random)}


def both(run: Path) -> tuple[Generator, Generator]:
    """The run as trained, and as it is exported."""
    config, _, adapted, _ = load_run(run)
    return adapted, merged_generator(adapted, config)


def test_without_noise_a_request_has_one_answer(new_config: NewConfig, tmp_path: Path) -> None:
    for generator in both(train(new_config(noise=False), tmp_path / "off", progress=False)):
        assert moved(generator, **other_noise()) == 0
    for generator in both(train(new_config(), tmp_path / "on", progress=False)):
        assert moved(generator, **other_noise()) > 1e-3


@pytest.mark.parametrize("conditioning", ["paper", "full", "light"])
def test_without_skips_nothing_reaches_the_decoder_but_the_latent(
    new_config: NewConfig, tmp_path: Path, conditioning: str
) -> None:
    config = new_config(skips=False, conditioning=conditioning, learning_rate=1e-2)
    for generator in both(train(config, tmp_path / "run", progress=False)):
        given = inputs()
        with torch.no_grad():
            parts = generator.forward_parts(**given)
            names = ("image", "mask", "colour", "appearance", "grain")
            rest = [given[name] for name in names]
            blind = [torch.rand_like(tap) for tap in parts.image_taps]
            taps = blind if conditioning != "paper" else []
            mask_taps = [torch.rand_like(tap) for tap in parts.mask_taps]
            redrawn = generator.decode(parts.denoised, *rest, taps, mask_taps)
        assert torch.equal(redrawn, parts.generated)


def test_with_skips_the_decoder_sees_what_they_carry(new_config: NewConfig, tmp_path: Path) -> None:
    generator, _ = both(train(new_config(learning_rate=1e-2), tmp_path / "run", progress=False))
    with torch.no_grad():
        assert any(bool(skip.weight.any()) for skip in generator.skips)


def test_skips_that_a_base_brings_are_left_out_too() -> None:
    base = micro_base()
    donor = generator_from(base, "light")
    for weight in donor.skips.parameters():
        torch.nn.init.ones_(weight)
    brought = Base(
        **{**vars(micro_base()), "extras": extras_of(donor), "extras_conditioning": "light"}
    )
    generator = generator_from(brought, "light", skips=False)
    assert not any(bool(skip.weight.any()) for skip in generator.skips)


def test_without_skips_their_weights_are_not_in_the_run(
    new_config: NewConfig, tmp_path: Path
) -> None:
    run = train(new_config(skips=False, learning_rate=1e-2), tmp_path / "run", progress=False)
    extras = load_file(run / EXTRAS)
    assert not any(bool(v.any()) for k, v in extras.items() if k.startswith("skips."))
    assert any(bool(v.any()) for k, v in extras.items() if k.startswith("conv_in."))


@pytest.mark.parametrize(
    "carrier, prompts, colours", [("text", 2, 1), ("colour", 1, 2), ("both", 2, 2), ("none", 1, 1)]
)
def test_the_carrier_reaches_the_bundle_s_classes(
    new_config: NewConfig, tmp_path: Path, carrier: str, prompts: int, colours: int
) -> None:
    config = new_config(label_carrier=carrier, steps=1)
    source = run_source(train(config, tmp_path / "run", progress=False))
    assert source.label_carrier == carrier
    assert len({c.prompt for c in source.classes}) == prompts
    assert len({c.colour for c in source.classes}) == colours
    asked = {(e.tobytes(), c.colour) for e, c in zip(source.embeds, source.classes, strict=True)}
    assert len(asked) == max(prompts, colours)


def test_a_run_learns_from_no_more_defects_than_it_may(
    new_config: NewConfig, tmp_path: Path
) -> None:
    run = train(new_config(max_defects=3, steps=1), tmp_path / "run", progress=False)
    classes = json.loads((run / "classes.json").read_text())
    assert [c["train_defects"] for c in classes] == [2, 1]
