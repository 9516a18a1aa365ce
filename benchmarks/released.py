"""The released trainer's step, from its description, and its habits one by one.

Both are `TrainStep`s on the parts of our `Learner`, so that `train` runs either in the same model
on the same batches. Left out of theirs: the CLIP similarity and the CLIP discriminator (not to be
had offline; ours stands in), and the mask's own pass through the encoder. Both are asked for the
appearance of the real defect.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from aliaug_edge.training import discriminator as gan
from aliaug_edge.training.batch import Batch
from aliaug_edge.training.step import (
    MAX_GRAD_NORM,
    Learner,
    Metrics,
    TrainStep,
    adversarial_terms,
    forward,
    real_looks,
    reconstruction_terms,
    train_step,
    update_discriminator,
    update_generator,
)

FEATURES, SQUARED, GAN = 10.0, 10.0, 2.5  # the released weights
LEARNING_RATE, BETAS = 5e-4, (0.9, 0.999)


def released_step(
    learner: Learner,
    batch: Batch,
    embeds: Tensor,
    noise: Tensor,
    grain: Tensor,
    **_joined: bool | None,
) -> tuple[Metrics, Tensor]:
    """In its order: a generator forward for the reconstruction losses over the whole image (squared
    error and features) and an optimizer step; a second forward for the adversarial loss, whose
    gradients also reach the discriminator, and a second optimizer step; then the discriminator on
    real and on generated images, a backward pass and a step each; gradients clipped on the
    discriminator alone; a constant learning rate. The discriminator plays from the first step on.
    """
    learner.discriminator.requires_grad_(True)
    looks = real_looks(batch)

    def drawn() -> Tensor:
        return forward(learner, batch, embeds, noise, grain, looks).generated.float()

    reconstruction = _whole_image(learner, batch, drawn())
    _update(learner, learner.optimizer, reconstruction)
    fake = drawn()
    verdict = _realness(learner, fake, batch)
    fooled = gan.generator_loss(verdict, torch.ones_like(verdict))
    _update(learner, learner.optimizer, GAN * fooled)
    real = F.relu(1 - _realness(learner, batch.target, batch)).mean()
    _update(learner, learner.discriminator_optimizer, real)
    made = F.relu(1 + _realness(learner, fake.detach(), batch)).mean()
    _update(learner, learner.discriminator_optimizer, made)
    metrics = {
        "loss": reconstruction.item(),
        "adversarial": fooled.item(),
        "discriminator": real.item() + made.item(),
    }
    return metrics, fake.detach()


def _whole_image(learner: Learner, batch: Batch, output: Tensor) -> Tensor:
    assert learner.perceptual is not None
    with torch.no_grad():
        wanted = learner.perceptual(batch.target)
    layers = zip(learner.perceptual(output), wanted, strict=True)
    features = torch.stack([F.mse_loss(a, b) for a, b in layers]).sum()
    return FEATURES * features + SQUARED * F.mse_loss(output, batch.target)


def _realness(learner: Learner, image: Tensor, batch: Batch) -> Tensor:
    with learner.autocast():
        verdict = learner.discriminator(image, batch.image, batch.mask, batch.class_index)
    return verdict.realness.float()


def _update(learner: Learner, optimizer: torch.optim.Optimizer, loss: Tensor) -> None:
    """Gradients of the other network are left where they fall, as they were."""
    for group in optimizer.param_groups:
        group["lr"], group["betas"] = LEARNING_RATE, BETAS
    loss.backward()
    nn.utils.clip_grad_norm_(learner.discriminator.parameters(), 1.0)
    optimizer.step()
    optimizer.zero_grad(set_to_none=True)


@dataclass(frozen=True)
class Habits:
    """What the released trainer does and ours does not.

    second_forward: one more for the adversarial loss, with an optimizer step of its own. unclipped:
    the generator's gradients are as long as they are. leaking: those of the generator's loss reach
    the discriminator and are stepped with its own. maskless: no loss knows the mask, nor does the
    discriminator. other_background: the input shows another photo than the target.
    """

    second_forward: bool = False
    unclipped: bool = False
    leaking: bool = False
    maskless: bool = False
    other_background: bool = False


def step_with(habits: Habits) -> TrainStep:
    """Our step with these habits put in; without any it is ours."""
    if habits == Habits():
        return train_step
    longest = math.inf if habits.unclipped else MAX_GRAD_NORM

    def step(
        learner: Learner,
        batch: Batch,
        embeds: Tensor,
        noise: Tensor,
        grain: Tensor,
        *,
        adversarial: bool,
        discriminate: bool | None = None,
    ) -> tuple[Metrics, Tensor]:
        if habits.other_background:
            batch = replace(batch, image=batch.image.roll(1, 0))
        seen = _without_masks(batch) if habits.maskless else batch
        looks = real_looks(batch)
        learner.discriminator.requires_grad_(habits.leaking)
        output = forward(learner, batch, embeds, noise, grain, looks).generated
        terms = reconstruction_terms(learner, seen, output.float(), looks)
        if habits.maskless:
            terms.pop("appearance", None)
        metrics: Metrics = {}
        if adversarial and habits.second_forward:
            metrics = update_generator(learner, terms, longest)
            output, terms = forward(learner, batch, embeds, noise, grain, looks).generated, {}
        if adversarial:
            terms |= adversarial_terms(learner, seen, output)
        metrics = metrics | update_generator(learner, terms, longest)
        if adversarial if discriminate is None else discriminate:
            fresh = not habits.leaking
            metrics |= update_discriminator(learner, seen, output.detach(), fresh=fresh)
        learner.discriminator_optimizer.zero_grad(set_to_none=True)
        return metrics, output.detach().float()

    return step


def _without_masks(batch: Batch) -> Batch:
    everywhere = torch.ones_like(batch.mask)
    return replace(batch, mask=everywhere, real_mask=everywhere)
