"""Each loss looks where it says: under the mask, outside it, at paired samples."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from aliaug_edge.training import losses

PAIRED = torch.tensor([1.0, 1.0])
UNPAIRED = torch.tensor([0.0, 0.0])
MIXED = torch.tensor([1.0, 0.0])


@pytest.fixture
def pair() -> tuple[Tensor, Tensor, Tensor]:
    """Output, target (2, 3, 16, 16), and a mask of one quarter."""
    torch.manual_seed(0)
    mask = torch.zeros(2, 1, 16, 16)
    mask[..., :8, :8] = 1
    return torch.rand(2, 3, 16, 16), torch.rand(2, 3, 16, 16), mask


def nudged(output: Tensor, where: Tensor) -> Tensor:
    return output + 0.5 * where


def test_inside_loss_does_not_see_the_outside(pair: tuple[Tensor, Tensor, Tensor]) -> None:
    output, target, mask = pair
    before = losses.inside_loss(output, target, mask, PAIRED)
    assert torch.equal(before, losses.inside_loss(nudged(output, 1 - mask), target, mask, PAIRED))
    assert before != losses.inside_loss(nudged(output, mask), target, mask, PAIRED)


def test_inside_loss_is_the_mean_difference_under_the_mask() -> None:
    mask = torch.zeros(1, 1, 8, 8)
    mask[..., :2, :3] = 1
    output, target = torch.full((1, 3, 8, 8), 0.75), torch.zeros(1, 3, 8, 8)
    assert losses.inside_loss(output, target, mask, torch.ones(1)) == pytest.approx(0.75)


def test_a_small_defect_counts_as_much_as_a_large_one() -> None:
    mask = torch.zeros(2, 1, 8, 8)
    mask[0, :, :1, :1], mask[1] = 1, 1
    output = torch.stack([torch.full((3, 8, 8), 1.0), torch.zeros(3, 8, 8)])
    loss = losses.inside_loss(output, torch.zeros_like(output), mask, PAIRED)
    assert loss == pytest.approx(0.5)


def test_unpaired_samples_feed_no_inside_loss(pair: tuple[Tensor, Tensor, Tensor]) -> None:
    output, target, mask = pair
    assert losses.inside_loss(output, target, mask, UNPAIRED) == 0
    mixed = losses.inside_loss(output, target, mask, MIXED)
    assert mixed == pytest.approx(
        float(losses.inside_loss(output[:1], target[:1], mask[:1], PAIRED[:1])), rel=1e-5
    )


def test_histogram_loss_does_not_see_the_outside(pair: tuple[Tensor, Tensor, Tensor]) -> None:
    output, target, mask = pair
    before = losses.histogram_loss(output, target, mask, PAIRED)
    outside = nudged(output, 1 - mask)
    assert torch.equal(before, losses.histogram_loss(outside, target, mask, PAIRED))
    assert before != losses.histogram_loss(nudged(output, mask), target, mask, PAIRED)
    assert losses.histogram_loss(target, target, mask, PAIRED) == 0


def test_histogram_loss_of_a_shift_is_the_shift_in_one_of_its_five_views() -> None:
    target, mask = torch.rand(2, 3, 12, 12), torch.zeros(2, 1, 12, 12)
    mask[:, :, 2:9, 3:10] = 1
    loss = losses.histogram_loss(target + 0.3, target, mask, PAIRED)
    assert loss == pytest.approx(0.3 / 5, rel=1e-4)


def test_texture_that_cannot_be_foretold_is_cheaper_than_a_flat_mean() -> None:
    torch.manual_seed(1)
    target, other = torch.rand(2, 2, 3, 32, 32)
    flat, mask = torch.full_like(target, 0.5), torch.ones(2, 1, 32, 32)
    assert losses.inside_loss(flat, target, mask, PAIRED) < losses.inside_loss(
        other, target, mask, PAIRED
    )
    assert losses.histogram_loss(other, target, mask, PAIRED) < 0.2 * losses.histogram_loss(
        flat, target, mask, PAIRED
    )


def test_unpaired_samples_feed_no_histogram_loss(pair: tuple[Tensor, Tensor, Tensor]) -> None:
    output, target, mask = pair
    assert losses.histogram_loss(output, target, mask, UNPAIRED) == 0
    alone = losses.histogram_loss(output[:1], target[:1], mask[:1], PAIRED[:1])
    assert losses.histogram_loss(output, target, mask, MIXED) == pytest.approx(float(alone))


def test_an_empty_mask_costs_nothing_and_leaves_finite_gradients() -> None:
    output = torch.rand(2, 3, 8, 8, requires_grad=True)
    loss = losses.histogram_loss(output, torch.rand(2, 3, 8, 8), torch.zeros(2, 1, 8, 8), PAIRED)
    loss.backward()
    assert loss == 0
    assert output.grad is not None
    assert torch.isfinite(output.grad).all()


def test_preserve_loss_does_not_see_the_inside(pair: tuple[Tensor, Tensor, Tensor]) -> None:
    output, target, mask = pair
    before = losses.masked_l1(output, target, 1 - mask)
    assert torch.equal(before, losses.masked_l1(nudged(output, mask), target, 1 - mask))
    assert before == pytest.approx(
        float((output - target).abs()[(1 - mask).expand_as(output) > 0].mean()), rel=1e-5
    )
    assert losses.masked_l1(output, target, torch.zeros_like(mask)) == 0


def test_gradient_loss_of_unpaired_samples_sees_the_outside_alone(
    pair: tuple[Tensor, Tensor, Tensor],
) -> None:
    output, target, mask = pair
    noisy = output + mask * torch.rand(output.shape)
    same = [losses.gradient_loss(o, target, mask, UNPAIRED) for o in (output, noisy)]
    assert torch.allclose(*same)
    seen = [losses.gradient_loss(o, target, mask, PAIRED) for o in (output, noisy)]
    assert not torch.allclose(*seen)


def test_gradient_loss_ignores_brightness(pair: tuple[Tensor, Tensor, Tensor]) -> None:
    output, _, mask = pair
    assert losses.gradient_loss(output + 0.25, output, mask, PAIRED) < 1e-6


def test_feature_loss_is_relative_and_of_paired_samples_alone() -> None:
    ours = [torch.rand(2, 4, 8, 8), torch.rand(2, 8, 4, 4)]
    theirs = [torch.rand(2, 4, 8, 8), torch.rand(2, 8, 4, 4)]
    loss = losses.feature_loss(ours, theirs, PAIRED)
    scaled = losses.feature_loss([10 * x for x in ours], [10 * x for x in theirs], PAIRED)
    assert loss == pytest.approx(float(scaled), rel=1e-4)
    assert losses.feature_loss(ours, theirs, UNPAIRED) == 0


def test_features_of_the_target_get_no_gradient() -> None:
    ours, theirs = torch.rand(2, 4, 8, 8, requires_grad=True), torch.rand(2, 4, 8, 8)
    theirs.requires_grad_(True)
    losses.feature_loss([ours], [theirs], PAIRED).backward()
    assert ours.grad is not None
    assert theirs.grad is None


def test_latent_moments_are_zero_at_unit_scale_and_grow_off_it() -> None:
    torch.manual_seed(0)
    latent = torch.randn(64, 4, 16, 16)
    assert losses.latent_moments(latent) < 1e-3
    assert losses.latent_moments(3 * latent) > 1
    assert losses.latent_moments(latent + 1) > 0.9


def test_psnr_of_a_known_error() -> None:
    a, b = torch.zeros(1, 3, 8, 8), torch.full((1, 3, 8, 8), 0.2)
    assert losses.psnr_db(a, b) == pytest.approx(20.0, abs=1e-4)
    where = torch.zeros(1, 1, 8, 8)
    where[..., :4, :] = 1
    b[..., 4:, :] = 1.0
    assert losses.psnr_db(a, b, where) == pytest.approx(20.0, abs=1e-4)


def test_the_label_is_read_under_the_mask_alone() -> None:
    head = torch.nn.Linear(4, 3)
    denoised, mask = torch.randn(2, 4, 4, 4), torch.zeros(2, 1, 32, 32)
    mask[..., :8, :8] = 1
    index = torch.tensor([0, 2])
    before = losses.label_loss(head, denoised, mask, index)
    elsewhere = denoised.clone()
    elsewhere[..., 2:, 2:] += 5
    assert torch.equal(before, losses.label_loss(head, elsewhere, mask, index))
    expected = torch.nn.functional.cross_entropy(head(denoised[:, :, 0, 0]), index)
    assert torch.allclose(before, expected)
