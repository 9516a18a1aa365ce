"""The one-step generator: shapes, the closed-form step, and what reaches the pixels."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from aliaug_edge.model import generator as generator_module
from aliaug_edge.model.base import generator_from
from aliaug_edge.model.conditioning import CONDITIONINGS, Conditioning
from aliaug_edge.model.generator import TIMESTEP, Generator, widen_conv_in
from tests.support.bases import micro_base, stable_diffusion_scheduler

Inputs = dict[str, Tensor]
New = Callable[[Conditioning], Generator]
Make = Callable[..., Inputs]
UNSEEN = ("image", "grain")  # by the U-Net
SAMPLED = ("full", "light")
GREY = 2 / 255  # one grey level on [-1, 1]


def change(generator: Generator, given: Inputs, **swapped: Tensor) -> Tensor:
    """|difference| of the output when some inputs are swapped."""
    with torch.no_grad():
        return (generator(**given) - generator(**{**given, **swapped})).abs()


def grey_levels(difference: Tensor) -> float:
    return float(difference.max()) / GREY


def silence(unet: nn.Module) -> None:
    """Zero the U-Net's last layer: it then says ε = 0 whatever it sees."""
    with torch.no_grad():
        unet.conv_out.weight.zero_()
        unet.conv_out.bias.zero_()


@pytest.mark.parametrize("conditioning", CONDITIONINGS)
@pytest.mark.parametrize("batch, height, width", [(1, 64, 64), (3, 48, 80)])
def test_the_output_has_the_image_s_shape_and_range(
    new_generator: New,
    inputs: Make,
    conditioning: Conditioning,
    batch: int,
    height: int,
    width: int,
) -> None:
    with torch.no_grad():
        output = new_generator(conditioning)(**inputs(batch, height, width))
    assert output.shape == (batch, 3, height, width)
    assert output.dtype == torch.float32
    assert output.abs().max() <= 1


@pytest.mark.parametrize("conditioning", CONDITIONINGS)
def test_a_batch_is_its_samples_one_by_one(
    new_generator: New, inputs: Make, conditioning: Conditioning
) -> None:
    generator, given = new_generator(conditioning), inputs(3)
    with torch.no_grad():
        whole = generator(**given)
        single = [generator(**{k: v[i : i + 1] for k, v in given.items()}) for i in range(3)]
    assert torch.allclose(whole, torch.cat(single), atol=2e-4)


def test_the_step_is_that_of_the_scheduler(new_generator: New, inputs: Make) -> None:
    generator, given = new_generator("paper"), inputs()
    with torch.no_grad():
        latent, _ = generator.encode(given["image"])
        epsilon = generator.unet(latent, TIMESTEP, given["prompt_embeds"]).sample
        ours = generator.denoise(latent, **{k: v for k, v in given.items() if k not in UNSEEN})
    scheduler = stable_diffusion_scheduler()
    scheduler.set_timesteps(1)
    theirs = scheduler.step(epsilon, TIMESTEP, latent).pred_original_sample
    assert torch.allclose(ours, theirs, rtol=1e-4, atol=1e-4)
    assert torch.allclose(ours, 14.65 * latent - 14.61 * epsilon, rtol=2e-3, atol=2e-2)


def test_stable_diffusion_s_schedule_amplifies_the_unet_by_fourteen() -> None:
    alpha_bar = micro_base().alpha_bar
    assert 1 / alpha_bar**0.5 == pytest.approx(14.65, abs=0.01)
    assert ((1 - alpha_bar) / alpha_bar) ** 0.5 == pytest.approx(14.61, abs=0.01)


@pytest.mark.parametrize("conditioning", CONDITIONINGS)
def test_the_prompt_and_the_unet_change_the_pixels(
    new_generator: New, inputs: Make, conditioning: Conditioning
) -> None:
    """The first public Ali-AUG code forgot `set_timesteps(1)`: swapping the prompt then changed
    the output by under 0.31 grey levels, as at t = 0 (next test)."""
    generator, given = new_generator(conditioning), inputs()
    other = inputs(seed=9)["prompt_embeds"]
    assert grey_levels(change(generator, given, prompt_embeds=other)) > 3
    with torch.no_grad():
        before = generator(**given)
        silence(generator.unet)
        after = generator(**given)
    assert grey_levels((before - after).abs()) > 10


def test_at_the_first_timestep_the_unet_would_be_inert(
    new_generator: New, inputs: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the test above would see of the forgotten `set_timesteps`: it can tell the two apart."""
    generator, given = new_generator("paper"), inputs()
    other = inputs(seed=9)["prompt_embeds"]
    sound = change(generator, given, prompt_embeds=other).mean()
    generator.alpha_bar = float(stable_diffusion_scheduler().alphas_cumprod[0])
    monkeypatch.setattr(generator_module, "TIMESTEP", 0)
    inert = change(generator, given, prompt_embeds=other)
    assert inert.mean() < sound / 5


@pytest.mark.parametrize("name", ["noise", "grain", "severity", "appearance", "colour", "mask"])
@pytest.mark.parametrize("conditioning", SAMPLED)
def test_every_condition_acts(
    new_generator: New, inputs: Make, conditioning: Conditioning, name: str
) -> None:
    given = inputs()
    other = given["mask"].flip(-1) if name == "mask" else inputs(seed=5)[name]
    assert grey_levels(change(new_generator(conditioning), given, **{name: other})) > 0.5


def test_paper_ignores_what_was_thought_of_later_and_sees_mask_and_colour(
    new_generator: New, inputs: Make
) -> None:
    generator, given, other = new_generator("paper"), inputs(), inputs(seed=5)
    for name in ("noise", "grain", "severity", "appearance"):
        assert change(generator, given, **{name: other[name]}).max() == 0
    assert grey_levels(change(generator, given, colour=other["colour"])) > 0.5
    assert grey_levels(change(generator, given, mask=given["mask"].flip(-1))) > 0.5


@pytest.mark.parametrize("conditioning", SAMPLED)
def test_an_inert_unet_leaves_the_latent_alone_outside_the_mask(
    new_generator: New, inputs: Make, conditioning: Conditioning
) -> None:
    generator, given = new_generator(conditioning), inputs()
    silence(generator.unet)
    arguments = {k: v for k, v in given.items() if k not in UNSEEN}
    with torch.no_grad():
        latent, _ = generator.encode(given["image"])
        x0 = generator.denoise(latent, **arguments, mask_latent=latent)
    assert torch.allclose(x0[..., 4:, :], latent[..., 4:, :], atol=1e-5)
    assert torch.allclose(x0[..., :, 4:], latent[..., :, 4:], atol=1e-5)
    assert (x0[..., :4, :4] - latent[..., :4, :4]).abs().mean() > 1


@pytest.mark.parametrize("conditioning", SAMPLED)
def test_without_a_mask_the_output_is_the_image(
    new_generator: New, inputs: Make, conditioning: Conditioning
) -> None:
    given = inputs()
    given["mask"] = torch.zeros_like(given["mask"])
    with torch.no_grad():
        assert torch.equal(new_generator(conditioning)(**given), given["image"])


@pytest.mark.parametrize("conditioning", SAMPLED)
def test_a_change_ends_three_pixels_beyond_the_mask(
    new_generator: New, inputs: Make, conditioning: Conditioning
) -> None:
    given = inputs()
    given["mask"] = torch.zeros_like(given["mask"])
    given["mask"][..., 24:32, 24:32] = 1
    with torch.no_grad():
        changed = new_generator(conditioning)(**given) != given["image"]
    rows, columns = changed.any(dim=(0, 1, 3)).nonzero(), changed.any(dim=(0, 1, 2)).nonzero()
    assert (int(rows.min()), int(rows.max())) == (21, 34)
    assert (int(columns.min()), int(columns.max())) == (21, 34)


@pytest.mark.parametrize("conditioning", SAMPLED)
def test_under_the_mask_an_inert_new_generator_is_the_plain_autoencoder(
    inputs: Make, conditioning: Conditioning
) -> None:
    base, given = micro_base(), inputs()
    given["mask"] = torch.ones_like(given["mask"])
    given["noise"] = torch.zeros_like(given["noise"])
    generator = generator_from(base, conditioning).eval()
    silence(generator.unet)
    with torch.no_grad():
        output = generator(**given)
        plain = base.vae(given["image"], sample_posterior=False).sample.clamp(-1, 1)
    assert torch.allclose(output, plain, atol=1e-4)


@pytest.mark.parametrize("conditioning", CONDITIONINGS)
def test_new_skips_and_a_widened_conv_in_change_nothing(
    inputs: Make, conditioning: Conditioning
) -> None:
    given = inputs()
    plain = micro_base()
    generator = generator_from(micro_base(), conditioning).eval()
    assert all(not skip.weight.any() for skip in generator.skips)
    with torch.no_grad():
        latent, taps = generator.encode(given["image"])
        everywhere = torch.ones_like(given["mask"])
        placed = (given["image"], everywhere, given["colour"], given["appearance"], given["grain"])
        decoded = generator.decode(latent, *placed, taps, taps)
        alone = plain.vae.decode(latent / plain.vae.config.scaling_factor).sample
        assert torch.allclose(decoded, alone.clamp(-1, 1), atol=1e-5)
        wide = torch.cat([latent, torch.randn(1, generator.unet.conv_in.in_channels - 4, 8, 8)], 1)
        ours = generator.unet(wide, TIMESTEP, given["prompt_embeds"]).sample
        theirs = plain.unet(latent, TIMESTEP, given["prompt_embeds"]).sample
    assert torch.equal(ours, theirs)
    assert [tap.shape[-1] for tap in taps] == [64, 32, 16, 8]


def test_widening_twice_is_widening_once() -> None:
    unet = micro_base().unet
    widen_conv_in(unet, 12)
    first = unet.conv_in
    widen_conv_in(unet, 12)
    assert unet.conv_in is first
    assert unet.config.in_channels == 12


@pytest.mark.parametrize("conditioning", CONDITIONINGS)
def test_a_forward_leaves_nothing_on_the_modules(
    new_generator: New, inputs: Make, conditioning: Conditioning
) -> None:
    generator = new_generator(conditioning)

    def held() -> set[str]:
        return {
            f"{name}.{key}"
            for name, module in generator.named_modules()
            for key, value in vars(module).items()
            if isinstance(value, Tensor | list | tuple)
            and (isinstance(value, Tensor) or any(isinstance(item, Tensor) for item in value))
        }

    before = held()
    with torch.no_grad():
        generator(**inputs())
    assert held() == before


def test_the_latent_is_the_posterior_s_mode(inputs: Make) -> None:
    base, image = micro_base(), inputs()["image"]
    generator = generator_from(base, "light").eval()
    with torch.no_grad():
        latent, _ = generator.encode(image)
        mode = base.vae.encode(image).latent_dist.mode() * base.vae.config.scaling_factor
    assert torch.allclose(latent, mode, atol=1e-6)
