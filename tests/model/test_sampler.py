"""Several steps: one is the generator's own, the schedule is DDIM's, the rest stays as it was."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from diffusers import DDIMScheduler
from torch import Tensor

from aliaug_edge.errors import AliAugError
from aliaug_edge.model.conditioning import CONDITIONINGS, Conditioning
from aliaug_edge.model.generator import Generator
from aliaug_edge.model.sampler import denoise_in_steps, sample, schedule
from tests.support.bases import stable_diffusion_scheduler

New = Callable[[Conditioning], Generator]
Make = Callable[..., dict[str, Tensor]]
ALPHAS = stable_diffusion_scheduler().alphas_cumprod


@pytest.mark.parametrize(
    "steps, expected",
    [(1, (999,)), (2, (999, 499)), (4, (999, 749, 499, 249)), (3, (999, 666, 332))],
)
def test_timesteps_trail(steps: int, expected: tuple[int, ...]) -> None:
    assert schedule(steps) == expected


@pytest.mark.parametrize("steps", [0, -1, 1001])
def test_no_such_number_of_steps(steps: int) -> None:
    with pytest.raises(AliAugError, match="expected 1 … 1000"):
        schedule(steps)


@pytest.mark.parametrize("conditioning", CONDITIONINGS)
def test_one_step_is_the_generator_s_own(
    new_generator: New, inputs: Make, conditioning: Conditioning
) -> None:
    generator, given = new_generator(conditioning), inputs()
    with torch.no_grad():
        own = generator(**given)
    assert torch.allclose(sample(generator, **given, alphas=ALPHAS), own, atol=1e-5)


@pytest.mark.parametrize("conditioning", CONDITIONINGS)
def test_more_steps_give_another_picture_and_always_the_same(
    new_generator: New, inputs: Make, conditioning: Conditioning
) -> None:
    generator, given = new_generator(conditioning), inputs()
    one, four, again = (sample(generator, **given, alphas=ALPHAS, steps=n) for n in (1, 4, 4))
    assert torch.equal(four, again)
    assert (one - four).abs().max() > 1e-3


def test_the_steps_are_diffusers_ddim_where_everything_is_noise(
    new_generator: New, inputs: Make
) -> None:
    """`paper` has no planes beside z_t, so the library's own loop can stand beside ours."""
    generator, given = new_generator("paper"), inputs()
    z = torch.randn(1, 4, 8, 8, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        ones = torch.ones(1, 1, 8, 8)
        ours = denoise_in_steps(generator, z, [], ones, given["prompt_embeds"], ALPHAS, schedule(4))
        theirs = DDIMScheduler.from_config(
            stable_diffusion_scheduler().config, set_alpha_to_one=True, clip_sample=False
        )
        theirs.set_timesteps(4)
        assert tuple(theirs.timesteps.tolist()) == schedule(4)
        for t in theirs.timesteps:
            epsilon = generator.unet(z, t, given["prompt_embeds"]).sample
            z = theirs.step(epsilon, int(t), z, eta=0.0).prev_sample
    assert torch.allclose(ours, z, rtol=1e-3, atol=1e-3 * float(z.abs().max()))


@pytest.mark.parametrize("steps", [2, 8])
def test_outside_the_mask_the_pixels_stay(new_generator: New, inputs: Make, steps: int) -> None:
    given = inputs()
    output = sample(new_generator("light"), **given, alphas=ALPHAS, steps=steps)
    assert torch.equal(output[..., 36:, :], given["image"][..., 36:, :])


def test_noise_that_is_off_is_off_in_every_step(new_generator: New, inputs: Make) -> None:
    generator, given = new_generator("light"), inputs()
    other = {**given, "noise": given["noise"].flip(-1)}
    before = [sample(generator, **g, alphas=ALPHAS, steps=2) for g in (given, other)]
    generator.noise = False
    after = [sample(generator, **g, alphas=ALPHAS, steps=2) for g in (given, other)]
    assert not torch.equal(*before)
    assert torch.equal(*after)
