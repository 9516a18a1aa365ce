"""Putting the generated crop back into the image.

Always the residual (generated minus what the model was shown) is added, weighted by alpha. At full
resolution that is the plain mix `crop + alpha · (generated - crop)`; where the window had to be
scaled down for the model, only the residual is scaled up, so the part keeps its own texture.
The sums that decide where alpha is zero are of integers: beyond the band, pixels stay identical.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from aliaug_edge.quality.planes import LUMA

BLEND_BAND_PX = 8  # widest ramp around a mask, in pixels of the model
LEAST_BAND_PX = 2
HARD_MARGIN_PX = 1  # masks are drawn to the defect's edge; its last pixel is often half covered

UInt8 = NDArray[np.uint8]
Floats = NDArray[np.float32]


def blend(
    crop: UInt8, mask: UInt8, shown: UInt8, raw: Floats, *, mode: str, grey: bool = False
) -> UInt8:
    """`crop` (H, W, 3) with the model's output in it, uint8 (H, W, 3).

    `mask` (H, W) of 0 and 255 belongs to `crop`. `shown` (h, w, 3) uint8 is what the model saw of
    it and `raw` (h, w, 3) float32 in [-1, 1] what it answered. `mode` is none | feather | hard;
    with the latter two, pixels farther than `band_px` (hard: `HARD_MARGIN_PX`) from the mask, in
    Chebyshev distance, are those of `crop`. `grey` keeps a grey image grey.
    """
    residual = (np.clip(raw, -1, 1) + 1) * np.float32(127.5) - shown.astype(np.float32)
    if grey:
        residual = np.repeat((residual @ LUMA)[..., None], 3, axis=2)
    residual = _resized(residual, (crop.shape[0], crop.shape[1]))
    weight = alpha(mask, mode, scale=crop.shape[0] / shown.shape[0])[..., None]
    mixed = crop.astype(np.float32) + weight * residual
    return np.clip(np.rint(mixed), 0, 255).astype(np.uint8)


def alpha(mask: UInt8, mode: str, scale: float = 1.0) -> Floats:
    """The weight (H, W) float32 in [0, 1] of the model's output around `mask` (H, W).

    feather: 1 on the mask, falling to 0 at `band_px`: the mask grown by half the band and then
    box-blurred twice by a quarter of it, so that the ramp is smooth and ends exactly there.
    """
    if mode == "none":
        return np.ones(mask.shape, dtype=np.float32)
    if mode == "hard":
        return grown(mask > 0, HARD_MARGIN_PX).astype(np.float32)
    band = band_px(mask, scale)
    half = band // 2
    first, second = half - half // 2, half // 2
    ramp = grown(mask > 0, band - half).astype(np.int64)
    ramp = box_sum(box_sum(ramp, first), second)
    return (ramp / ((2 * first + 1) ** 2 * (2 * second + 1) ** 2)).astype(np.float32)


def band_px(mask: UInt8, scale: float = 1.0) -> int:
    """Width of the feather band in pixels of `mask`: a quarter of the defect's extent, within
    `LEAST_BAND_PX` and `BLEND_BAND_PX`, both times `scale` (window over model size)."""
    extent = float(np.sqrt(np.count_nonzero(mask)))
    scale = max(scale, 1.0)
    return round(min(max(extent / 4, LEAST_BAND_PX * scale), BLEND_BAND_PX * scale))


def grown(mask: NDArray[np.bool_], radius: int) -> NDArray[np.bool_]:
    """`mask` grown by `radius` in Chebyshev distance."""
    return box_sum(mask.astype(np.int64), radius) > 0


def box_sum(values: NDArray[np.int64], radius: int) -> NDArray[np.int64]:
    """Sum over the (2 radius + 1)² neighbourhood; beyond the border the edge is repeated."""
    if radius == 0:
        return values
    for axis in (0, 1):
        widths = [(0, 0), (0, 0)]
        widths[axis] = (radius + 1, radius)
        total = np.cumsum(np.pad(values, widths, mode="edge"), axis=axis)
        total = np.moveaxis(total, axis, 0)
        values = np.moveaxis(total[2 * radius + 1 :] - total[: -2 * radius - 1], 0, axis)
    return values


def _resized(residual: Floats, size_hw: tuple[int, int]) -> Floats:
    if residual.shape[:2] == size_hw:
        return residual
    channels = [
        Image.fromarray(np.ascontiguousarray(residual[..., c])).resize(
            (size_hw[1], size_hw[0]), Image.Resampling.BILINEAR
        )
        for c in range(3)
    ]
    return np.stack([np.asarray(channel) for channel in channels], axis=2)
