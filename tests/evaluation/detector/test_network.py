"""The detector's network: what its shortcut computes is what a plain convolution would."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from aliaug_edge.evaluation.detector.network import STRIDE, DefectNet, EnlargedConv


def plainly(layer: EnlargedConv, deep: Tensor, shallow: Tensor) -> Tensor:
    larger = F.interpolate(deep, scale_factor=2.0, mode="nearest")
    return F.conv2d(torch.cat([larger, shallow], dim=1), layer.weight, padding=1)


def test_features_enlarged_while_convolving_are_those_enlarged_before() -> None:
    torch.manual_seed(0)
    layer = EnlargedConv(6, 4, 5)
    deep, shallow = torch.randn(2, 6, 5, 7), torch.randn(2, 4, 10, 14)
    found, wanted = layer((deep, shallow)), plainly(layer, deep, shallow)
    assert found.shape == (2, 5, 10, 14)
    assert torch.allclose(found, wanted, atol=1e-5)


def test_its_gradients_are_those_of_the_plain_convolution() -> None:
    torch.manual_seed(1)
    layer = EnlargedConv(3, 2, 4)
    inputs = [torch.randn(1, 3, 4, 4), torch.randn(1, 2, 8, 8)]
    weights = torch.randn(1, 4, 8, 8)
    gradients = []
    for forward in (lambda d, s: layer((d, s)), lambda d, s: plainly(layer, d, s)):
        leaves = [t.clone().requires_grad_() for t in inputs]
        loss = (forward(*leaves) * weights).sum()
        gradients.append(torch.autograd.grad(loss, [layer.weight, *leaves]))
    for found, wanted in zip(*gradients, strict=True):
        assert torch.allclose(found, wanted, atol=1e-4)


def test_logits_have_the_size_of_the_image() -> None:
    network = DefectNet().eval()
    with torch.no_grad():
        assert network(torch.zeros(2, 3, 3 * STRIDE, STRIDE)).shape == (2, 1, 3 * STRIDE, STRIDE)
