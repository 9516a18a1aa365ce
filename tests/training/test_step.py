"""One step: who learns from whom, and nothing leaks between the two networks."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from aliaug_edge.model.appearance import appearance_of
from aliaug_edge.model.generator import Parts
from aliaug_edge.training import discriminator as gan
from aliaug_edge.training import step as step_module
from aliaug_edge.training.batch import Batch, class_colour, seeded
from aliaug_edge.training.discriminator import PatchDiscriminator, patch_weights
from aliaug_edge.training.losses import LossWeights
from aliaug_edge.training.step import MAX_GRAD_NORM, Learner, train_step
from tests.support.steps import changed, conditions, values

Draw = Callable[..., Batch]
CLASSES = 2


def test_a_step_moves_what_is_trained_and_nothing_else(learner: Learner, batch: Batch) -> None:
    trained = {id(p) for p in learner.parameters}
    frozen = [p for p in learner.generator.parameters() if id(p) not in trained]
    before = values(frozen), values(learner.parameters)
    metrics, images = train_step(learner, batch, *conditions(batch), adversarial=True)
    assert not changed(frozen, before[0])
    assert changed(learner.parameters, before[1])
    assert all(p.grad is None for p in frozen)
    assert images.shape == batch.image.shape
    assert not images.requires_grad
    assert {"loss", "preserve", "inside", "adversarial", "discriminator"} <= set(metrics)


def test_without_the_adversarial_part_the_discriminator_stays(
    learner: Learner, batch: Batch
) -> None:
    before = values(learner.discriminator.parameters())
    metrics, _ = train_step(learner, batch, *conditions(batch), adversarial=False)
    assert not changed(learner.discriminator.parameters(), before)
    assert not {"adversarial", "matching", "classified", "discriminator"} & set(metrics)


def test_the_generator_s_loss_gives_the_discriminator_no_gradient(
    learner: Learner, batch: Batch, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Seen at the moment between the generator's step and the discriminator's own."""
    seen = []

    def stop(learner: Learner, *_: object) -> dict[str, float]:
        seen.extend(p.grad for p in learner.discriminator.parameters())
        return {}

    monkeypatch.setattr(step_module, "update_discriminator", stop)
    train_step(learner, batch, *conditions(batch), adversarial=True)
    assert seen
    assert all(grad is None for grad in seen)


def test_the_discriminator_s_loss_gives_the_generator_no_gradient(
    learner: Learner, batch: Batch, monkeypatch: pytest.MonkeyPatch
) -> None:
    inner, kept = step_module.update_discriminator, []

    def watch(learner: Learner, *rest: object) -> dict[str, float]:
        kept.append([None if p.grad is None else p.grad.clone() for p in learner.parameters])
        return inner(learner, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr(step_module, "update_discriminator", watch)
    before = values(learner.discriminator.parameters())
    train_step(learner, batch, *conditions(batch), adversarial=True)
    assert changed(learner.discriminator.parameters(), before)
    for parameter, grad in zip(learner.parameters, kept[0], strict=True):
        assert (parameter.grad is None) == (grad is None)
        assert grad is None or torch.equal(parameter.grad, grad)


def test_the_generator_s_gradients_are_clipped(learner: Learner, batch: Batch) -> None:
    learner.weights = LossWeights(preserve=1e4)
    metrics, _ = train_step(learner, batch, *conditions(batch), adversarial=True)
    assert metrics["grad_norm"] > 10 * MAX_GRAD_NORM  # as it was before clipping
    norms = [p.grad.norm() for p in learner.parameters if p.grad is not None]
    assert torch.stack(norms).norm() <= MAX_GRAD_NORM * 1.001


def test_one_forward_serves_all_losses(
    learner: Learner, batch: Batch, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = []
    inner = learner.generator.unet.forward
    monkeypatch.setattr(
        learner.generator.unet, "forward", lambda *a, **k: calls.append(1) or inner(*a, **k)
    )
    train_step(learner, batch, *conditions(batch), adversarial=True)
    assert len(calls) == 1


def test_a_term_of_weight_zero_is_not_computed(learner: Learner, batch: Batch) -> None:
    def fail(_: Tensor) -> list[Tensor]:
        raise AssertionError("the perceptual features were asked for")

    learner.perceptual = fail
    learner.weights = LossWeights(perceptual=0.0, gradient=0.0, matching=0.0, classified=0.0)
    metrics, _ = train_step(learner, batch, *conditions(batch), adversarial=True)
    absent = {"perceptual", "gradient", "matching", "classified", "latent", "label"}
    assert not absent & set(metrics)


def test_under_the_mask_an_unpaired_batch_teaches_appearance_and_the_discriminator_s_word_alone(
    learner: Learner, batch: Batch
) -> None:
    whole = torch.ones_like(batch.mask)
    blind = replace(batch, mask=whole, paired=torch.zeros_like(batch.paired))
    metrics, _ = train_step(learner, blind, *conditions(batch), adversarial=False)
    assert metrics["loss"] == pytest.approx(0.5 * metrics["appearance"])
    assert metrics["grad_norm"] > 0
    learner.weights = LossWeights(appearance=0.0)
    metrics, _ = train_step(learner, blind, *conditions(batch), adversarial=False)
    assert metrics["loss"] == 0
    metrics, _ = train_step(learner, blind, *conditions(batch), adversarial=True)
    assert metrics["grad_norm"] > 0


def test_the_generator_is_asked_for_the_real_defect_s_appearance(
    learner: Learner, batch: Batch, monkeypatch: pytest.MonkeyPatch
) -> None:
    forward, asked = learner.generator.forward_parts, []

    def listening(*given: Tensor) -> Parts:
        asked.append(given[6])
        return forward(*given)

    monkeypatch.setattr(learner.generator, "forward_parts", listening)
    train_step(learner, batch, *conditions(batch), adversarial=True)
    assert len(asked) == 1
    assert torch.equal(asked[0], appearance_of(batch.real, batch.real_mask))


def test_the_perceptual_reference_does_not_learn(learner: Learner, batch: Batch) -> None:
    assert learner.perceptual is not None
    before = [f.clone() for f in learner.perceptual(batch.target)]
    train_step(learner, batch, *conditions(batch), adversarial=False)
    for old, new in zip(before, learner.perceptual(batch.target), strict=True):
        assert torch.equal(old, new)


def test_the_discriminator_s_verdict_depends_on_the_class(batch: Batch) -> None:
    discriminator = PatchDiscriminator(CLASSES, width=8).eval()
    one, other = torch.zeros(4, dtype=torch.int64), torch.ones(4, dtype=torch.int64)
    of_one = discriminator(batch.image, batch.image, batch.mask, one)
    of_other = discriminator(batch.image, batch.image, batch.mask, other)
    assert of_one.realness.shape == (4, 1, 4, 4)
    assert len(of_one.features) == 3
    assert not torch.equal(of_one.realness, of_other.realness)
    assert of_one.class_logits.shape == (4, CLASSES)
    assert torch.equal(of_one.class_logits, of_other.class_logits)  # it is not told the answer


@pytest.mark.parametrize("sees_change", [True, False])
def test_the_discriminator_knows_the_good_image_only_if_it_may(
    batch: Batch, sees_change: bool
) -> None:
    discriminator = PatchDiscriminator(CLASSES, width=8, sees_change=sees_change).eval()
    unchanged, changed = (
        discriminator(batch.image, good, batch.mask, batch.class_index).realness
        for good in (batch.image, batch.image.flip(3))
    )
    assert torch.equal(unchanged, changed) != sees_change


def test_the_discriminator_may_learn_ahead_of_the_generator(learner: Learner, batch: Batch) -> None:
    before = values(learner.discriminator.parameters())
    metrics, _ = train_step(
        learner, batch, *conditions(batch), adversarial=False, discriminate=True
    )
    assert changed(learner.discriminator.parameters(), before)
    assert "discriminator" in metrics
    assert not {"adversarial", "matching", "classified"} & set(metrics)


def test_the_discriminator_learns_classes_from_real_defects_alone(
    learner: Learner, batch: Batch
) -> None:
    """Whatever the generator made, the classifier's gradient is the same."""
    grads = []
    for output in (batch.image, torch.zeros_like(batch.image)):
        torch.manual_seed(0)
        learner.discriminator = PatchDiscriminator(CLASSES, width=8)
        learner.discriminator_optimizer = torch.optim.SGD(learner.discriminator.parameters(), 0.0)
        step_module.update_discriminator(learner, batch, output)
        weight = learner.discriminator.classify.weight
        assert weight.grad is not None
        grads.append(weight.grad.clone())
    assert torch.allclose(grads[0], grads[1], atol=1e-6)


def test_the_label_s_loss_reaches_the_unet_and_its_head(learner: Learner, batch: Batch) -> None:
    learner.label_head = torch.nn.Linear(4, 2)
    learner.parameters = [*learner.parameters, *learner.label_head.parameters()]
    learner.weights = LossWeights(
        preserve=0.0,
        inside=0.0,
        histogram=0.0,
        appearance=0.0,
        gradient=0.0,
        perceptual=0.0,
        label=1.0,
    )
    metrics, _ = train_step(learner, batch, *conditions(batch), adversarial=False)
    assert metrics["loss"] == pytest.approx(metrics["label"])
    assert learner.label_head.weight.grad is not None
    named = learner.generator.named_parameters()
    reached = {n for n, p in named if p.grad is not None and p.grad.any()}
    assert any(name.startswith("unet.") for name in reached)
    assert not any(name.startswith("vae.decoder.") for name in reached)


def test_patch_weights_favour_the_mask_and_average_to_one() -> None:
    mask = torch.zeros(2, 1, 64, 64)
    mask[0, :, :8, :8] = 1
    weights = patch_weights(mask)
    assert torch.allclose(weights.mean(dim=(1, 2, 3)), torch.ones(2), atol=1e-6)
    assert weights[0, 0, 0, 0] > 10 * weights[0, 0, -1, -1]
    assert torch.allclose(weights[1], torch.ones(1, 8, 8), atol=1e-6)


def test_the_hinge_losses_pull_in_opposite_directions() -> None:
    one, high, low = torch.ones(1, 1, 2, 2), torch.full((1, 1, 2, 2), 2.0), torch.zeros(1, 1, 2, 2)
    assert gan.discriminator_loss(high, -high, one, one) == 0
    assert gan.discriminator_loss(low, low, one, one) == 2
    assert gan.generator_loss(high, one) < gan.generator_loss(low, one)


def test_class_colours_differ_for_any_number_of_classes() -> None:
    colours = [class_colour(index) for index in range(40)]
    assert len(set(colours)) == 40
    assert all(0 <= channel <= 1 for colour in colours for channel in colour)
    assert (1.0, 1.0, 1.0) not in colours


def test_random_streams_depend_on_every_part() -> None:
    draws = {
        tuple(torch.rand(2, generator=seeded(*parts)).tolist())
        for parts in ((0, 0), (0, 1), (1, 0), (1, 1), (0,))
    }
    assert len(draws) == 5
    assert torch.equal(torch.rand(3, generator=seeded(4, 2)), torch.rand(3, generator=seeded(4, 2)))
