"""The seven numbers: what they measure, and that nothing about a mask makes them useless."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from aliaug_edge.model.appearance import BAND, FLOOR, LEVEL_GAIN, LIMIT, appearance_of, rim_and_core
from aliaug_edge.model.conditioning import APPEARANCE, PLANES, tinted


def square(side: int = 16) -> Tensor:
    mask = torch.zeros(1, 1, 64, 64)
    mask[..., 32 - side // 2 : 32 + side // 2, 32 - side // 2 : 32 + side // 2] = 1
    return mask


def painted(surface: float, inside: tuple[float, float, float], mask: Tensor) -> Tensor:
    """(1, 3, 64, 64) in [-1, 1] from levels in [0, 1]."""
    colour = torch.tensor(inside)[None, :, None, None]
    return 2 * (surface * (1 - mask) + colour * mask) - 1


def grain(amount: float) -> Tensor:
    noise = torch.randn(1, 1, 64, 64, generator=torch.Generator().manual_seed(0))
    return 2 * amount * noise


def test_levels_are_log_ratios_to_the_surroundings_by_channel() -> None:
    numbers = appearance_of(painted(0.5, (0.25, 0.5, 0.9), square()), square())[0]
    expected = [LEVEL_GAIN * math.log((x + FLOOR) / (0.5 + FLOOR)) for x in (0.25, 0.5, 0.9)]
    assert numbers.shape == (APPEARANCE,)
    assert numbers[:3].tolist() == pytest.approx(expected, abs=1e-3)


def test_what_is_far_from_the_mask_does_not_count() -> None:
    image = painted(0.5, (0.2, 0.2, 0.2), square())
    other = image.clone()
    other[..., :4] = 1.0
    assert torch.allclose(appearance_of(image, square()), appearance_of(other, square()), atol=1e-3)


def test_fine_texture_is_fine_and_blotches_are_coarse() -> None:
    mask, flat = square(32), painted(0.5, (0.4, 0.4, 0.4), square(32))
    blotches = torch.zeros(1, 1, 64, 64)
    blotches[..., 16:32, :] = 0.1
    smooth = appearance_of(flat, mask)[0]
    fine = appearance_of(flat + grain(0.05) * mask, mask)[0]
    coarse = appearance_of(flat + blotches * mask, mask)[0]
    assert fine[4] > smooth[4] + 1
    assert coarse[3] > smooth[3] + 1
    assert fine[4] > coarse[4]


def test_more_light_is_the_same_appearance() -> None:
    mask = square(24)
    image = painted(0.5, (0.3, 0.35, 0.4), mask) + grain(0.03)
    brighter = (image + 1) * 1.2 - 1
    assert torch.allclose(appearance_of(image, mask), appearance_of(brighter, mask), atol=0.1)


@pytest.mark.parametrize("value", [0.0, 1.0])
def test_a_mask_that_covers_all_or_nothing_gives_finite_numbers(value: float) -> None:
    image = (torch.rand(2, 3, 64, 64) * 2 - 1).requires_grad_()
    numbers = appearance_of(image, torch.full((2, 1, 64, 64), value))
    numbers.sum().backward()
    assert numbers.isfinite().all()
    assert numbers.abs().max() <= LIMIT
    assert image.grad is not None
    assert image.grad.isfinite().all()


def test_rim_and_core_part_what_is_wide_and_leave_lines_alone() -> None:
    mask = square(16)
    mask[..., 60, :] = 1  # a line
    rim, core = rim_and_core(mask)
    assert core.sum() == (16 - 2 * BAND) ** 2
    assert torch.equal(rim + core, square(16))
    assert not rim_and_core(torch.zeros(1, 1, 64, 64))[0].any()


def test_where_the_image_cuts_a_defect_there_is_no_rim() -> None:
    mask = torch.zeros(1, 1, 64, 64)
    mask[..., :20, :] = 1
    rim, core = rim_and_core(mask)
    assert core[..., : 20 - BAND, :].all()
    assert rim[..., 20 - BAND : 20, :].all()
    assert rim.sum() + core.sum() == mask.sum()


def test_a_dark_rim_around_a_light_core_is_measured_and_a_line_has_neither() -> None:
    mask = square(16)
    core = rim_and_core(mask)[1]
    pit = painted(0.5, (0.2, 0.2, 0.2), mask) + 2 * 0.1 * core
    rim_ratio, core_ratio = appearance_of(pit, mask)[0, PLANES:].tolist()
    usual = 0.2 + 0.1 * float(core.sum() / mask.sum()) + FLOOR
    assert rim_ratio == pytest.approx(LEVEL_GAIN * math.log((0.2 + FLOOR) / usual), abs=1e-3)
    assert core_ratio == pytest.approx(LEVEL_GAIN * math.log((0.3 + FLOOR) / usual), abs=1e-3)
    line = torch.zeros(1, 1, 64, 64)
    line[..., 30:33, :] = 1
    assert appearance_of(pit, line)[0, PLANES:].tolist() == [0.0, 0.0]


def test_a_tint_gives_the_levels_that_are_asked_for_inside_and_nothing_outside() -> None:
    mask, good = square(), painted(0.5, (0.5, 0.5, 0.5), square())
    asked = torch.tensor([[-1.2, 0.0, 0.7, 0.3, -0.2, 0.0, 0.0]])
    level = (tinted(good, mask, asked)[0, :, 32, 32] + 1) / 2
    expected = [(0.5 + FLOOR) * math.exp(x / LEVEL_GAIN) - FLOOR for x in asked[0, :3].tolist()]
    assert level.tolist() == pytest.approx(expected, abs=1e-4)
    beyond = square(20) == 0
    change = tinted(good, mask, asked) - good
    assert not (change * beyond).any()
    assert torch.equal(tinted(good, mask, torch.zeros(1, APPEARANCE)), good)


def test_a_tint_has_the_soft_outline_of_a_photo() -> None:
    mask, good = square(), painted(0.5, (0.5, 0.5, 0.5), square())
    asked = torch.tensor([[-1.2, -1.2, -1.2, 0.0, 0.0, 0.0, 0.0]])
    row = tinted(good, mask, asked)[0, 0, 32, 20:28]
    assert (row.diff() <= 0).all()
    assert int((row.diff() < 0).sum()) > 1, "a cut: from one pixel to the next"


def test_a_tint_draws_the_rim_and_the_core_that_are_asked_for() -> None:
    mask, good = square(), painted(0.5, (0.5, 0.5, 0.5), square())
    asked = torch.tensor([[-1.0, -1.0, -1.0, 0.0, 0.0, -0.6, 0.3]])
    plain = torch.cat([asked[:, :PLANES], torch.zeros(1, 2)], dim=1)
    rim, _ = rim_and_core(mask)
    shaped = tinted(good, mask, asked) - tinted(good, mask, plain)
    assert (shaped * rim).sum() < 0 < (shaped[..., 32, 32]).sum()
    found = appearance_of(tinted(good, mask, asked), mask)[0, PLANES:]
    assert found[0] < -0.05
    assert found[1] > 0.05
