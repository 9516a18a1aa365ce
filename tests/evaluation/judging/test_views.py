"""The judge's windows follow a defect: one where it fits, several where it does not."""

from __future__ import annotations

import numpy as np
import torch
from diffusers import AutoencoderKL

from aliaug_edge.evaluation.judging.features import frozen_encoder, middle_of
from aliaug_edge.evaluation.judging.real_judge import (
    RealJudgeSettings,
    features,
    judge_from,
    verdicts,
)
from aliaug_edge.evaluation.judging.views import MOST_PLACES, spots_of, views_of
from aliaug_edge.evaluation.photos import Photo

SIDE = 32


def surface(number: int, height: int = 100, width: int = 200) -> np.ndarray:
    rng = np.random.default_rng(number)
    grey = rng.normal(128, 5, (height, width)).clip(0, 255).astype(np.uint8)
    return np.repeat(grey[..., None], 3, axis=2)


def box(height: int, width: int, at: tuple[slice | int, slice | int]) -> np.ndarray:
    mask = np.zeros((height, width), np.uint8)
    mask[at] = 255
    return mask


def test_a_small_defect_is_one_view_of_its_middle_at_full_size_also_at_a_border() -> None:
    image = surface(0)
    mask = box(100, 200, np.s_[50:52, 60:88])
    assert spots_of(mask, SIDE) == [middle_of(mask)]
    row, column = middle_of(mask)
    window = np.s_[row - 16 : row + 16, column - 16 : column + 16]
    view = views_of([(image, mask)], SIDE).stacked[0]
    assert torch.equal(view[:3], _scaled(image[window].transpose(2, 0, 1)))
    assert torch.equal(view[3], _scaled(mask[window]))
    corner = views_of([(image, box(100, 200, np.s_[0, 0]))], SIDE).stacked[0]
    assert torch.equal(corner[:3, 16, 16], _scaled(image[0, 0]))


def test_a_large_defect_is_seen_in_several_places_on_it_far_from_each_other() -> None:
    line = box(100, 200, np.s_[50:54, 10:190])
    spots = spots_of(line, SIDE)
    assert len(spots) == MOST_PLACES
    assert all(line[spot] for spot in spots)
    columns = sorted(column for _, column in spots)
    assert np.diff(columns).min() > SIDE / 2
    assert columns[0] < 55 and columns[-1] > 145


def test_every_pixel_of_a_defect_of_twice_the_window_is_seen() -> None:
    mask = box(100, 200, np.s_[20:24, 30:90])
    seen = np.zeros_like(mask)
    for row, column in spots_of(mask, SIDE):
        seen[max(row - 16, 0) : row + 16, max(column - 16, 0) : column + 16] = 255
    assert not (mask > seen).any()


def test_views_belong_to_their_pictures() -> None:
    small, large = box(100, 200, np.s_[40:48, 40:48]), box(100, 200, np.s_[50:54, 10:190])
    views = views_of([(surface(0), small), (surface(1), large), (surface(2), small)], SIDE)
    assert views.counts == [1, MOST_PLACES, 1]
    assert views.owners().tolist() == [0, 1, 1, 1, 1, 2]
    rows = torch.arange(6.0)[:, None]
    assert views.averaged(rows)[:, 0].tolist() == [0, 2.5, 5]


def streak(number: int, defect_class: str) -> Photo:
    """A plain streak with a mark of its class at either end, far from its middle."""
    image, mask = surface(number), box(100, 200, np.s_[46:54, 20:180])
    image[mask > 0] = 110
    tone = {"bright": 230, "dark": 20}[defect_class]
    for left in (24, 150):
        image[46:54, left : left + 24] = tone
    return Photo(f"{defect_class}/{number}", image, mask, defect_class, f"g{number}")


def test_what_tells_a_large_defect_may_lie_far_from_its_middle() -> None:
    vae: AutoencoderKL = frozen_encoder()
    kinds = ("bright", "dark")
    lessons = [streak(n, kinds[n % 2]) for n in range(12)]
    lessons += [
        Photo(f"good/{n}", surface(50 + n), lessons[0].mask, "good", f"z{n}") for n in range(6)
    ]
    judge = judge_from(lessons, vae, RealJudgeSettings(side=SIDE))
    unseen = [streak(100 + n, kinds[n % 2]) for n in range(6)]
    images, masks = [p.image for p in unseen], [p.mask for p in unseen]
    seen = verdicts(judge, images, masks)
    assert all(v.is_of(p.defect_class) for v, p in zip(seen, unseen, strict=True))
    assert torch.equal(features(judge, images, masks), features(judge, images, masks))


def _scaled(pixels: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(pixels).float() / 127.5 - 1
