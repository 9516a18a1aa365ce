"""Is the rest of the photo left alone, and is what was inserted as sharp as what is real?

The raw output is compared at the model's size, the blended one at the photo's own.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from diffusers import AutoencoderKL
from numpy.typing import NDArray

from aliaug_edge import crops, imaging
from aliaug_edge.evaluation.judging.features import UInt8, perceptual_distances
from aliaug_edge.evaluation.judging.insertions import Insertion
from aliaug_edge.evaluation.photos import Photo
from aliaug_edge.generation.blend import grown
from aliaug_edge.generation.quality import psnr_db
from aliaug_edge.quality.planes import LUMA

FLAT = 1e-3  # least gradient energy in squared grey levels: a painted surface has none


def preservation(made: Sequence[Insertion], vae: AutoencoderKL) -> dict[str, Any]:
    """PSNR in dB, LPIPS-like distance and sharpness ratio outside the mask: median, and the worst
    twentieth, of the raw and of the blended output.

    The distance is that of the input to itself with the output's pixels outside the mask. The
    ratio is the gradient energy of the output over the input's; 1 is as sharp.
    """
    return {
        "raw": _outside([_raw(one) for one in made], vae),
        "blended": _outside([_blended(one) for one in made], vae),
    }


def sharpness_inside(
    made: Sequence[tuple[UInt8, UInt8, str]], real: Sequence[Photo]
) -> dict[str, float]:
    """Per class, median gradient energy under the masks of what was made over that of what is real.

    `made` are image (H, W, 3), mask (H, W) and class. Below 1 is smoother than real.
    """
    ours: dict[str, list[float]] = {}
    theirs: dict[str, list[float]] = {}
    for image, mask, name in made:
        ours.setdefault(name, []).append(gradient_energy(image, mask > 0))
    for photo in real:
        energy = gradient_energy(photo.image, photo.mask > 0)
        theirs.setdefault(photo.defect_class, []).append(energy)
    return {
        name: round(float(np.median(ours[name]) / max(np.median(theirs[name]), FLAT)), 3)
        for name in sorted(ours.keys() & theirs.keys())
    }


def gradient_energy(image: UInt8, where: NDArray[np.bool_]) -> float:
    """Mean squared gradient of luma in grey levels per pixel, over `where` (H, W), not empty."""
    luma = image.astype(np.float32) @ LUMA
    down, across = np.gradient(luma)
    return float((np.square(down) + np.square(across))[where].mean())


Pictures = tuple[UInt8, UInt8, UInt8]  # before and after (h, w, 3), mask (h, w)


def _raw(one: Insertion) -> Pictures:
    after = imaging.tensor_to_images(one.raw.transpose(2, 0, 1)[None])[0]
    return one.prepared.shown, after, one.prepared.shown_mask


def _blended(one: Insertion) -> Pictures:
    window, photo = one.prepared.window, one.prepared.image
    before, after = crops.cut(photo, window), crops.cut(one.image, window)
    return before, after, crops.cut(one.prepared.mask, window)


def _outside(pictures: Sequence[Pictures], vae: AutoencoderKL) -> dict[str, Any]:
    usable = [p for p in pictures if not grown(p[2] > 0, 1).all()]
    if not usable:
        return {"count": 0}
    distances = perceptual_distances(vae, *_composites(usable))
    ratios = [
        gradient_energy(after, far) / max(gradient_energy(before, far), FLAT)
        for before, after, far in ((b, a, ~grown(m > 0, 1)) for b, a, m in usable)
    ]
    decibels = [psnr_db(_error(before, after, mask == 0)) for before, after, mask in usable]
    return {
        "count": len(usable),
        "psnr_db": _middle_and(decibels, 5),
        "perceptual": _middle_and(distances, 95),
        "sharpness": _middle_and(ratios, 5),
    }


def _composites(pictures: Sequence[Pictures]) -> tuple[list[UInt8], list[UInt8]]:
    """Before, and before with the output's pixels outside the mask; sides multiples of 32."""
    first, second = [], []
    for before, after, mask in pictures:
        mixed = np.where(mask[..., None] > 0, before, after)
        height, width = (max(32, side // 32 * 32) for side in mask.shape)
        first.append(crops.resize(np.ascontiguousarray(before), (height, width)))
        second.append(crops.resize(np.ascontiguousarray(mixed), (height, width)))
    return first, second


def _error(before: UInt8, after: UInt8, where: NDArray[np.bool_]) -> float:
    return float(np.square(before.astype(np.float32) - after.astype(np.float32))[where].mean())


def _middle_and(values: Sequence[float], percentile: int) -> Mapping[str, float]:
    return {
        "median": round(float(np.median(values)), 4),
        f"p{percentile}": round(float(np.percentile(values, percentile)), 4),
    }
