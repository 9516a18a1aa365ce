"""One defect for training: its photo and its mask, checked against each other."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from aliaug_edge.data.samples import Sample
from aliaug_edge.errors import DataError
from aliaug_edge.imaging import is_turned, load_image, load_mask, sixteen_bit_peak


def load_pair(sample: Sample) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Image (H, W, 3) uint8 RGB and mask (H, W) uint8 of 0 and 255, neither empty nor full.

    Raises:
        DataError: either file is unusable, their sizes differ, or the mask is empty or full.
        ValueError: the sample is a good photo, which has no mask.
    """
    if sample.mask_path is None:
        raise ValueError(f"{sample.image_path} has no mask")
    image, mask = load_image(sample.image_path), load_mask(sample.mask_path)
    faults = pair_faults(sample, image, mask)
    if faults:
        raise DataError(faults[0])
    return image, mask


def pair_faults(
    sample: Sample, image: NDArray[np.uint8] | None, mask: NDArray[np.uint8]
) -> list[str]:
    """What is wrong with `mask` (H, W), and, if the image is given, with the two together."""
    faults = []
    if image is not None and image.shape[:2] != mask.shape:
        faults.append(
            f"mask {sample.mask_path} is {_size(mask)} but its image {sample.image_path} is "
            f"{_size(image)}; they must have the same size{_turned(sample)}"
        )
    if not mask.any():
        faults.append(f"mask {sample.mask_path} is empty: {_why_empty(sample)}")
    elif mask.all():
        faults.append(
            f"mask {sample.mask_path} is full: every pixel is marked, so there is no surface "
            "around the defect to keep"
        )
    return faults


def _turned(sample: Sample) -> str:
    """A hint where the sizes may differ because one of the files is shown turned."""
    for path in (sample.image_path, sample.mask_path):
        if path is not None and is_turned(path):
            return (
                f" ({path} is turned by 90 degrees by its EXIF orientation tag; save both files "
                "upright, without the tag)"
            )
    return ""


def _why_empty(sample: Sample) -> str:
    peak = None if sample.mask_path is None else sixteen_bit_peak(sample.mask_path)
    if peak:
        return (
            f"its 16-bit samples reach only {peak} of 65535, and below the half of that nothing "
            "is marked; save it with 8 bits as 0 and 255, or with 16 bits as 0 and 65535"
        )
    return "no pixel is above 127 (a mask stored as 0 and 1 must be saved as 0 and 255)"


def _size(array: NDArray[np.uint8]) -> str:
    return f"{array.shape[1]} x {array.shape[0]}"
