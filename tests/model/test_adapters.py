"""LoRA: silent at first, merged exactly, saved in PEFT's format, as many parameters as released."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from diffusers import AutoencoderKL, UNet2DConditionModel
from torch import Tensor, nn

from aliaug_edge.errors import AliAugError
from aliaug_edge.model.adapters import (
    ADAPTER,
    UNET_TARGETS,
    VAE_TARGETS,
    AdapterSpec,
    add_adapters,
    load_adapters,
    merge_adapter,
    save_adapters,
    trainable_parameters,
)
from aliaug_edge.model.base import generator_from
from aliaug_edge.model.conditioning import CONDITIONINGS, Conditioning
from aliaug_edge.model.generator import Generator, new_generator
from tests.support.bases import micro_base

Inputs = dict[str, Tensor]
Make = Callable[..., Inputs]
PARTS = ("unet", "vae")
SPECS = {"unet": AdapterSpec(8, 8.0, UNET_TARGETS), "vae": AdapterSpec(4, 8.0, VAE_TARGETS)}


def adapted(conditioning: Conditioning = "light", *, stir: bool = True) -> Generator:
    """A micro generator with adapters; `stir` gives their B matrices random values."""
    torch.manual_seed(11)
    generator = generator_from(micro_base(), conditioning).eval()
    add_adapters(generator, SPECS)
    if stir:
        with torch.no_grad():
            for name, parameter in generator.named_parameters():
                if "lora_B" in name or name.startswith("skips."):
                    parameter.copy_(0.05 * torch.randn_like(parameter))
    return generator


def merged(generator: Generator, specs: dict[str, AdapterSpec] = SPECS) -> Generator:
    plain = generator_from(micro_base(), generator.conditioning).eval()
    for part, spec in (*specs.items(), ("skips", specs["vae"])):
        state = merge_adapter(getattr(generator, part).state_dict(), spec.scale)
        getattr(plain, part).load_state_dict(state)
    return plain


def run(generator: Generator, given: Inputs) -> Tensor:
    with torch.no_grad():
        return generator(**given)


@pytest.mark.parametrize("conditioning", CONDITIONINGS)
def test_new_adapters_change_nothing(inputs: Make, conditioning: Conditioning) -> None:
    plain = generator_from(micro_base(), conditioning).eval()
    assert torch.equal(run(adapted(conditioning, stir=False), inputs()), run(plain, inputs()))


@pytest.mark.parametrize("conditioning", CONDITIONINGS)
def test_the_merge_equals_the_adapted_generator(inputs: Make, conditioning: Conditioning) -> None:
    generator, given = adapted(conditioning), inputs(2)
    theirs = run(merged(generator), given)
    ours = run(generator, given)
    assert (ours - run(generator_from(micro_base(), conditioning).eval(), given)).abs().max() > 0.05
    assert (ours - theirs).abs().max() < 2e-5


@pytest.mark.parametrize(
    "layer, example",
    [
        (nn.Linear(12, 20), torch.randn(3, 12)),
        (nn.Linear(12, 20, bias=False), torch.randn(3, 12)),
        (nn.Conv2d(6, 10, 3, padding=1), torch.randn(2, 6, 9, 7)),
        (nn.Conv2d(6, 10, 3, stride=2), torch.randn(2, 6, 9, 7)),
        (nn.Conv2d(6, 10, 1), torch.randn(2, 6, 9, 7)),
    ],
    ids=["linear", "linear without bias", "3x3", "strided", "1x1"],
)
@pytest.mark.parametrize("alpha", [1.0, 4.0, 8.0])
def test_one_layer_merges_exactly_and_alpha_scales_it(
    layer: nn.Module, example: Tensor, alpha: float
) -> None:
    from peft import LoraConfig
    from peft.mapping import inject_adapter_in_model

    spec = AdapterSpec(4, alpha, ("0",))
    plain, wrapped = nn.Sequential(copy.deepcopy(layer)), nn.Sequential(copy.deepcopy(layer))
    config = LoraConfig(r=4, lora_alpha=alpha, target_modules=["0"])
    inject_adapter_in_model(config, wrapped, ADAPTER)
    with torch.no_grad():
        nn.init.normal_(wrapped[0].lora_B[ADAPTER].weight, std=0.3)
    before = {k: v.clone() for k, v in wrapped.state_dict().items()}
    state = merge_adapter(wrapped.state_dict(), spec.scale)
    plain.load_state_dict(state)
    assert torch.allclose(plain(example), wrapped(example), atol=1e-5)
    for key, value in wrapped.state_dict().items():
        assert torch.equal(value, before[key]), f"the merge changed its input: {key}"
    assert not {v.data_ptr() for v in state.values()} & {
        v.data_ptr() for v in wrapped.state_dict().values()
    }


def test_rank_four_with_alpha_eight_doubles_the_update() -> None:
    generator = adapted()
    name = "decoder.conv_in"
    once = merge_adapter(generator.vae.state_dict(), 1.0)[f"{name}.weight"]
    twice = merge_adapter(generator.vae.state_dict(), SPECS["vae"].scale)[f"{name}.weight"]
    base = generator.vae.state_dict()[f"{name}.base_layer.weight"]
    assert SPECS["vae"].scale == 2
    assert torch.allclose(twice - base, 2 * (once - base), atol=1e-6)


def test_a_half_precision_state_keeps_its_dtype() -> None:
    state = {k: v.half() for k, v in adapted().unet.state_dict().items()}
    assert {v.dtype for v in merge_adapter(state, 1.0).values()} == {torch.float16}


def test_only_adapters_skips_and_the_input_convolution_learn() -> None:
    generator = adapted()
    trained = {id(p) for p in trainable_parameters(generator)}
    for name, parameter in generator.named_parameters():
        wanted = "lora_" in name or name.startswith(("skips.", "unet.conv_in."))
        assert parameter.requires_grad == wanted == (id(parameter) in trained), name
    assert len(trained) == len(trainable_parameters(generator))


@pytest.mark.parametrize("conditioning", CONDITIONINGS)
def test_saved_adapters_come_back_to_the_bit(
    inputs: Make, tmp_path: Path, conditioning: Conditioning
) -> None:
    from aliaug_edge.model.base import extras_of, load_extras

    generator, other = adapted(conditioning), adapted(conditioning, stir=False)
    save_adapters(generator, SPECS, tmp_path)
    load_adapters(other, PARTS, tmp_path)
    load_extras(other, extras_of(generator))
    assert torch.equal(run(generator, inputs()), run(other, inputs()))


def test_equal_adapters_are_equal_files(tmp_path: Path) -> None:
    for name in "ab":
        save_adapters(adapted(), SPECS, tmp_path / name)
    for path in sorted(p for p in (tmp_path / "a").rglob("*") if p.is_file()):
        assert path.read_bytes() == (tmp_path / "b" / path.relative_to(tmp_path / "a")).read_bytes()


@pytest.mark.parametrize("part", PARTS)
def test_peft_loads_the_files_by_itself(tmp_path: Path, part: str) -> None:
    from peft import PeftModel

    generator = adapted()
    save_adapters(generator, SPECS, tmp_path)
    plain = getattr(generator_from(micro_base(), "light"), part).eval()
    plain.load_state_dict(
        {
            k.replace(".base_layer.", "."): v
            for k, v in getattr(generator, part).state_dict().items()
            if "lora_" not in k
        }
    )
    theirs = PeftModel.from_pretrained(plain, str(tmp_path / part)).base_model.model
    ours = getattr(generator, part).state_dict()
    loaded = {k: v for k, v in theirs.state_dict().items() if "lora_" in k}
    assert loaded.keys() == {k for k in ours if "lora_" in k}
    for key, value in loaded.items():
        assert torch.equal(value, ours[key]), key
    config = json.loads((tmp_path / part / "adapter_config.json").read_text())
    assert (config["r"], config["lora_alpha"]) == (SPECS[part].rank, SPECS[part].alpha)


def test_another_rank_is_refused(tmp_path: Path) -> None:
    save_adapters(adapted(), SPECS, tmp_path)
    other = generator_from(micro_base(), "light")
    add_adapters(other, {p: AdapterSpec(2, 2.0, spec.targets) for p, spec in SPECS.items()})
    with pytest.raises(AliAugError, match="does not fit this base") as error:
        load_adapters(other, PARTS, tmp_path)
    assert "\n" not in str(error.value)


def test_other_targets_are_refused(tmp_path: Path) -> None:
    save_adapters(adapted(), SPECS, tmp_path)
    fewer = generator_from(micro_base(), "light")
    add_adapters(fewer, {p: AdapterSpec(s.rank, s.alpha, ("to_q",)) for p, s in SPECS.items()})
    with pytest.raises(AliAugError, match="does not fit this base"):
        load_adapters(fewer, PARTS, tmp_path)


@pytest.mark.parametrize("damage", ["absent", "truncated"])
def test_a_damaged_file_is_refused(tmp_path: Path, damage: str) -> None:
    save_adapters(adapted(), SPECS, tmp_path)
    path = tmp_path / "vae" / "adapter_model.safetensors"
    data = path.read_bytes()
    path.unlink()
    if damage == "truncated":
        path.write_bytes(data[:-100])
    with pytest.raises(AliAugError, match=r"adapter_model.safetensors cannot be read.*train again"):
        load_adapters(adapted(), PARTS, tmp_path)


def test_targets_that_the_base_lacks_are_one_line() -> None:
    specs = {"unet": AdapterSpec(2, 2.0, ("no_such_layer",))}
    with pytest.raises(AliAugError, match="no_such_layer"):
        add_adapters(generator_from(micro_base(), "light"), specs)


def test_sd_turbo_s_geometry_trains_nine_and_a_half_million() -> None:
    with torch.device("meta"):
        unet = UNet2DConditionModel(
            block_out_channels=(320, 640, 1280, 1280),
            layers_per_block=2,
            cross_attention_dim=1024,
            attention_head_dim=(5, 10, 20, 20),
            use_linear_projection=True,
        )
        vae = AutoencoderKL(
            block_out_channels=(128, 256, 512, 512),
            layers_per_block=2,
            latent_channels=4,
            down_block_types=("DownEncoderBlock2D",) * 4,
            up_block_types=("UpDecoderBlock2D",) * 4,
        )
        generator = new_generator(vae, unet, "paper", alpha_bar=0.0047)
        released = {
            "unet": AdapterSpec(8, 8.0, UNET_TARGETS),
            "vae": AdapterSpec(4, 4.0, VAE_TARGETS),
        }
        add_adapters(generator, released)
    count = sum(parameter.numel() for parameter in trainable_parameters(generator))
    assert count / 1e6 == pytest.approx(9.51, abs=0.01)
