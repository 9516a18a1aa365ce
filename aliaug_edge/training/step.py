"""One training step: one generator forward serves all of its losses, then the discriminator's turn.

The generator's gradients are clipped; the discriminator's parameters are frozen during the
generator's backward pass, so nothing of it leaks into the discriminator's own step.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from aliaug_edge.model.appearance import appearance_of
from aliaug_edge.model.generator import Generator, Parts
from aliaug_edge.training import discriminator as gan
from aliaug_edge.training import losses
from aliaug_edge.training.batch import Batch
from aliaug_edge.training.parallel import average_gradients, average_metrics

MAX_GRAD_NORM = 1.0
Metrics = dict[str, float]
Features = Callable[[Tensor], Sequence[Tensor]]


@dataclass
class Learner:
    """Everything that one step reads and changes; `parameters` include those of `label_head`."""

    generator: Generator
    parameters: list[nn.Parameter]
    optimizer: torch.optim.Optimizer
    discriminator: gan.PatchDiscriminator
    discriminator_optimizer: torch.optim.Optimizer
    weights: losses.LossWeights
    perceptual: Features | None
    autocast: Callable[[], torch.autocast]
    label_head: nn.Linear | None = None


def new_learner(
    generator: Generator,
    parameters: list[nn.Parameter],
    weights: losses.LossWeights,
    perceptual: Features | None,
    autocast: Callable[[], torch.autocast],
    *,
    classes: int,
    label_head: nn.Linear | None = None,
    sees_change: bool = False,
) -> Learner:
    """A learner for `parameters` of a generator, with a fresh discriminator beside it.

    `classes` is how many there are; `sees_change` is the discriminator's.
    """
    discriminator = gan.PatchDiscriminator(classes, sees_change=sees_change)
    discriminator = discriminator.to(parameters[0].device)
    if label_head is not None:
        parameters = [*parameters, *label_head.parameters()]
    return Learner(
        generator=generator,
        parameters=parameters,
        optimizer=torch.optim.AdamW(parameters, betas=(0.5, 0.99), weight_decay=0.01),
        discriminator=discriminator,
        discriminator_optimizer=torch.optim.AdamW(
            discriminator.parameters(), betas=(0.5, 0.99), weight_decay=0.0
        ),
        weights=weights,
        perceptual=perceptual,
        autocast=autocast,
        label_head=label_head,
    )


def train_step(
    learner: Learner,
    batch: Batch,
    embeds: Tensor,
    noise: Tensor,
    grain: Tensor,
    *,
    adversarial: bool,
    discriminate: bool | None = None,
) -> tuple[Metrics, Tensor]:
    """Update both networks on one batch; returns the loss terms and the generated images.

    `embeds` (B, 77, D) are the embeddings of `batch.prompts`; `noise` is (B, 4, H/8, W/8), `grain`
    (B, 1, H, W).
    `adversarial`: the generator learns from the discriminator. `discriminate`: the discriminator
    learns, by default when the generator learns from it.
    """
    learner.discriminator.requires_grad_(False)
    with torch.no_grad():
        looks = appearance_of(batch.real, batch.real_mask)
    with learner.autocast():
        parts = learner.generator.forward_parts(
            batch.image,
            batch.mask,
            batch.colour,
            noise,
            grain,
            batch.severity,
            looks,
            embeds,
        )
    output = parts.generated
    terms = _reconstruction_terms(learner, batch, output.float(), looks)
    terms |= _latent_terms(learner, batch, parts)
    if adversarial:
        with learner.autocast():
            terms |= _adversarial_terms(learner, batch, output)
    weighted = {k: getattr(learner.weights, k) * v for k, v in terms.items()}
    loss = torch.stack([value.float() for value in weighted.values()]).sum()
    learner.optimizer.zero_grad(set_to_none=True)
    loss.backward()
    average_gradients(learner.parameters)
    grad_norm = nn.utils.clip_grad_norm_(learner.parameters, MAX_GRAD_NORM)
    learner.optimizer.step()
    metrics = {"loss": loss.item(), "grad_norm": grad_norm.item()}
    metrics |= {name: value.item() for name, value in terms.items()}
    if adversarial if discriminate is None else discriminate:
        metrics |= _discriminator_step(learner, batch, output.detach())
    return average_metrics(metrics), output.detach().float()


def _reconstruction_terms(
    learner: Learner, batch: Batch, output: Tensor, looks: Tensor
) -> dict[str, Tensor]:
    weights = learner.weights
    terms = {
        "preserve": losses.masked_l1(output, batch.target, 1 - batch.mask),
        "inside": losses.inside_loss(output, batch.target, batch.mask, batch.paired),
    }
    if weights.histogram:
        terms["histogram"] = losses.histogram_loss(output, batch.target, batch.mask, batch.paired)
    if weights.appearance:
        terms["appearance"] = (appearance_of(output, batch.mask) - looks).abs().mean()
    if weights.gradient:
        terms["gradient"] = losses.gradient_loss(output, batch.target, batch.mask, batch.paired)
    if weights.perceptual and learner.perceptual is not None:
        with torch.no_grad():
            wanted = learner.perceptual(batch.target)
        terms["perceptual"] = losses.feature_loss(learner.perceptual(output), wanted, batch.paired)
    return terms


def _latent_terms(learner: Learner, batch: Batch, parts: Parts) -> dict[str, Tensor]:
    """The latent's scale, and the class that can be read from it once it is denoised.

    Without the label the U-Net and the decoder wait for each other: at first the U-Net's answer is
    noise, so the decoder learns to ignore the latent, and the prompt with it.
    """
    terms = {}
    if learner.weights.latent:
        terms["latent"] = losses.latent_moments(parts.latent.float())
    if learner.label_head is not None:
        terms["label"] = losses.label_loss(
            learner.label_head, parts.denoised, batch.mask, batch.class_index
        )
    return terms


def _adversarial_terms(learner: Learner, batch: Batch, output: Tensor) -> dict[str, Tensor]:
    judge, where = learner.discriminator, (batch.mask, batch.class_index)
    verdict = judge(output, batch.image, *where)
    terms = {
        "adversarial": gan.generator_loss(verdict.realness.float(), gan.patch_weights(batch.mask))
    }
    if learner.weights.classified:
        terms["classified"] = F.cross_entropy(verdict.class_logits.float(), batch.class_index)
    if learner.weights.matching:
        with torch.no_grad():
            wanted = judge(batch.target, batch.image, *where).features
        terms["matching"] = losses.feature_loss(verdict.features, wanted, batch.paired)
    return terms


def _discriminator_step(learner: Learner, batch: Batch, output: Tensor) -> Metrics:
    judge = learner.discriminator.requires_grad_(True)
    with learner.autocast():
        fake = judge(output, batch.image, batch.mask, batch.class_index)
        real = judge(batch.real, batch.image, batch.real_mask, batch.class_index)
    hinge = gan.discriminator_loss(
        real.realness.float(),
        fake.realness.float(),
        gan.patch_weights(batch.real_mask),
        gan.patch_weights(batch.mask),
    )
    classes = F.cross_entropy(real.class_logits.float(), batch.class_index)  # of real ones alone
    learner.discriminator_optimizer.zero_grad(set_to_none=True)
    (hinge + 0.5 * classes).backward()
    average_gradients(judge.parameters())
    learner.discriminator_optimizer.step()
    return {"discriminator": hinge.item(), "discriminator_classes": classes.item()}
