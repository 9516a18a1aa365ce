"""A labelled photo in memory: what detectors learn from, and what they are tried on."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from aliaug_edge import imaging
from aliaug_edge.data.load import load_pair
from aliaug_edge.data.samples import GOOD, Sample


@dataclass(frozen=True, eq=False)
class Photo:
    """`image` (H, W, 3) uint8 and `mask` (H, W) uint8, 255 on the defect, all 0 on a good part.

    `name` is unique within a data set and stable: the file's path relative to the data folder, or
    what made a synthetic photo. `group` is the physical part; of a synthetic photo, that of the
    good part it was made on.
    """

    name: str
    image: NDArray[np.uint8]
    mask: NDArray[np.uint8]
    defect_class: str
    group: str

    @property
    def is_good(self) -> bool:
        """Whether the photo shows no defect."""
        return self.defect_class == GOOD


def read_photos(samples: Iterable[Sample], root: Path) -> Iterator[Photo]:
    """The photos of `samples`, named relative to `root`, in the order given and one at a time: all
    of a production line's good photos do not fit into memory.

    Raises:
        DataError: a file is missing or unusable.
    """
    for sample in samples:
        if sample.defect_class == GOOD:
            image = imaging.load_image(sample.image_path)
            mask = np.zeros(image.shape[:2], np.uint8)
        else:
            image, mask = load_pair(sample)
        name = sample.image_path.relative_to(root).as_posix()
        yield Photo(name, image, mask, sample.defect_class, sample.group)
