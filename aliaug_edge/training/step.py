"""One training step: one generator forward serves all of its losses, then the discriminator's turn.

The generator's gradients are clipped; the discriminator's parameters are frozen during the
generator's backward pass, so nothing of it leaks into the discriminator's own step.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

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


class TrainStep(Protocol):
    """`train_step`, or another one to compare it with."""

    def __call__(
        self,
        learner: Learner,
        batch: Batch,
        embeds: Tensor,
        noise: Tensor,
        grain: Tensor,
        *,
        adversarial: bool,
        discriminate: bool | None = None,
    ) -> tuple[Metrics, Tensor]: ...


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
    looks = real_looks(batch)
    parts = forward(learner, batch, embeds, noise, grain, looks)
    output = parts.generated
    terms = reconstruction_terms(learner, batch, output.float(), looks)
    terms |= _latent_terms(learner, batch, parts)
    if adversarial:
        terms |= adversarial_terms(learner, batch, output)
    metrics = update_generator(learner, terms)
    if adversarial if discriminate is None else discriminate:
        metrics |= update_discriminator(learner, batch, output.detach())
    return average_metrics(metrics), output.detach().float()


def real_looks(batch: Batch) -> Tensor:
    """The appearance (B, 7) of the batch's real defects: what the generator is asked for."""
    with torch.no_grad():
        return appearance_of(batch.real, batch.real_mask)


def forward(
    learner: Learner, batch: Batch, embeds: Tensor, noise: Tensor, grain: Tensor, looks: Tensor
) -> Parts:
    """What the generator makes of the batch, asked for `looks`."""
    with learner.autocast():
        return learner.generator.forward_parts(
            batch.image, batch.mask, batch.colour, noise, grain, batch.severity, looks, embeds
        )


def update_generator(
    learner: Learner, terms: dict[str, Tensor], max_grad_norm: float = MAX_GRAD_NORM
) -> Metrics:
    """One optimizer step on the weighted sum of `terms`; their values, and the norm before
    clipping."""
    weighted = {k: getattr(learner.weights, k) * v for k, v in terms.items()}
    loss = torch.stack([value.float() for value in weighted.values()]).sum()
    learner.optimizer.zero_grad(set_to_none=True)
    loss.backward()
    average_gradients(learner.parameters)
    grad_norm = nn.utils.clip_grad_norm_(learner.parameters, max_grad_norm)
    learner.optimizer.step()
    metrics = {"loss": loss.item(), "grad_norm": grad_norm.item()}
    return metrics | {name: value.item() for name, value in terms.items()}


def reconstruction_terms(
    learner: Learner, batch: Batch, output: Tensor, looks: Tensor
) -> dict[str, Tensor]:
    """How far `output` (B, 3, H, W) float32 is from the target and from `looks`."""
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


def adversarial_terms(learner: Learner, batch: Batch, output: Tensor) -> dict[str, Tensor]:
    """What the discriminator says of `output` (B, 3, H, W), and how its features differ."""
    judge, where = learner.discriminator, (batch.mask, batch.class_index)
    with learner.autocast():
        verdict = judge(output, batch.image, *where)
        weights = gan.patch_weights(batch.mask)
        terms = {"adversarial": gan.generator_loss(verdict.realness.float(), weights)}
        if learner.weights.classified:
            terms["classified"] = F.cross_entropy(verdict.class_logits.float(), batch.class_index)
        if learner.weights.matching:
            with torch.no_grad():
                wanted = judge(batch.target, batch.image, *where).features
            terms["matching"] = losses.feature_loss(verdict.features, wanted, batch.paired)
    return terms


def update_discriminator(
    learner: Learner, batch: Batch, output: Tensor, *, fresh: bool = True
) -> Metrics:
    """One step of the discriminator on real defects and on `output` (B, 3, H, W), detached.

    `fresh`: from its own gradients alone, not from what others have left there.
    """
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
    if fresh:
        learner.discriminator_optimizer.zero_grad(set_to_none=True)
    (hinge + 0.5 * classes).backward()
    average_gradients(judge.parameters())
    learner.discriminator_optimizer.step()
    return {"discriminator": hinge.item(), "discriminator_classes": classes.item()}
