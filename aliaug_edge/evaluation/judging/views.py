"""What the judge of real data looks at: windows that follow the defect, all at full resolution.

A defect that one window shows is seen as a whole, in the middle. A larger one is seen in several
places, and what they show is averaged: a view that is scaled down to fit loses the grain, and was
measured to lose more than it shows (`benchmarks/results/judge-views.txt`).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from aliaug_edge import crops
from aliaug_edge.evaluation.judging.features import UInt8, middle_of

MOST_PLACES = 4


@dataclass(frozen=True, eq=False)
class Views:
    """RGB and mask (V, 4, S, S) in [-1, 1]: of each picture in turn as many as `counts` says."""

    stacked: Tensor
    counts: list[int]

    def owners(self) -> Tensor:
        """(V,) the number of each view's picture."""
        return torch.repeat_interleave(torch.tensor(self.counts))

    def averaged(self, rows: Tensor) -> Tensor:
        """`rows` (V, D), one per view, as (N, D), one per picture."""
        return torch.stack([part.mean(0) for part in rows.split(self.counts)])


def views_of(pictures: Iterable[tuple[UInt8, UInt8]], side: int) -> Views:
    """Windows of `side` pixels on each image (H, W, 3) where its mask (H, W), not empty, lies."""
    seen = [
        [_cut(image, mask, spot, side) for spot in spots_of(mask, side)] for image, mask in pictures
    ]
    stacked = np.stack([view for views in seen for view in views])
    return Views(torch.from_numpy(stacked).float() / 127.5 - 1, [len(views) for views in seen])


def spots_of(mask: UInt8, side: int) -> list[tuple[int, int]]:
    """Row and column of the middles of at most `MOST_PLACES` windows of `side` pixels, on `mask`
    (H, W): its own middle where such a window shows it whole, else the middles of parts of it.

    The parts are what lies nearest to points far from each other (Gonzalez 1985), the first of
    which is the mask's middle.
    """
    pixels = np.argwhere(mask)
    far = [np.abs(pixels - middle_of(mask)).max(axis=1)]
    while len(far) < MOST_PLACES and (nearest := np.min(far, axis=0)).max() > side // 2:
        far.append(np.abs(pixels - pixels[int(nearest.argmax())]).max(axis=1))
    nearest_of = np.argmin(far, axis=0)
    spots = []
    for number in range(len(far)):
        part = np.zeros_like(mask)
        part[tuple(pixels[nearest_of == number].T)] = 255
        spots.append(middle_of(part))
    return spots


def _cut(image: UInt8, mask: UInt8, spot: tuple[int, int], side: int) -> UInt8:
    """RGB and mask (4, side, side) around `spot`; beyond the border both are reflected."""
    window = crops.Window(spot[0] - side // 2, spot[1] - side // 2, side, side)
    planes = np.dstack([crops.cut(image, window), crops.cut(mask, window)])
    return np.ascontiguousarray(planes.transpose(2, 0, 1))
