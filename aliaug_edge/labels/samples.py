"""What the label writers read and what the label readers give back, as plain data."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from aliaug_edge import imaging
from aliaug_edge.errors import AliAugError, DataError
from aliaug_edge.labels.instances import Instance, instances_of


@dataclass(frozen=True)
class LabelledImage:
    """An image, its mask and its defect class. Paths are POSIX, relative to the dataset's root;
    `width` and `height` are pixels. An image with defects of several classes is several of these.
    `known_instances` gives the mask's components where they have been found before, so that no
    format has to read the mask; it is a function, so that a large dataset need not be held.
    """

    image: str
    mask: str
    defect_class: str
    width: int
    height: int
    known_instances: Callable[[], list[Instance]] | None = None


@dataclass(frozen=True, eq=False)
class Label:
    """What a format says about one image and class: `mask` is (H, W) uint8 of 0 and 255, the union
    of all instances of the class."""

    image: str
    defect_class: str
    mask: NDArray[np.uint8]


def read_mask(root: Path, sample: LabelledImage) -> NDArray[np.uint8]:
    """The mask of `sample`, (height, width) uint8 of 0 and 255.

    Raises:
        DataError: it cannot be read, or has not the size that `sample` states.
    """
    mask = imaging.load_mask(root / sample.mask)
    if mask.shape != (sample.height, sample.width):
        raise DataError(
            f"{sample.mask}: expected {sample.width} x {sample.height} pixels like its image, "
            f"got {mask.shape[1]} x {mask.shape[0]}"
        )
    return mask


def read_instances(root: Path, sample: LabelledImage) -> list[Instance]:
    """The components of `sample`'s mask.

    Raises:
        DataError: as `read_mask`.
    """
    if sample.known_instances is not None:
        return sample.known_instances()
    return instances_of(read_mask(root, sample))


def by_image(samples: Sequence[LabelledImage]) -> dict[str, list[LabelledImage]]:
    """Samples grouped by image, images in the order in which they first occur."""
    groups: dict[str, list[LabelledImage]] = {}
    for sample in samples:
        groups.setdefault(sample.image, []).append(sample)
    return groups


def class_indices(
    classes: Sequence[str], samples: Sequence[LabelledImage], first: int
) -> dict[str, int]:
    """Class name to number, counted from `first` in the order of `classes`.

    Raises:
        AliAugError: a class is listed twice, or a sample has one that is not listed.
    """
    indices = {name: number for number, name in enumerate(classes, start=first)}
    if len(indices) != len(classes):
        raise AliAugError(f"a class is listed twice: {', '.join(classes)}")
    for sample in samples:
        if sample.defect_class not in indices:
            raise AliAugError(
                f"{sample.image}: class {sample.defect_class!r} is not one of {', '.join(classes)}"
            )
    return indices
