"""A labelled photo in memory: what detectors learn from, and what they are tried on."""

from __future__ import annotations

import functools
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from aliaug_edge import imaging
from aliaug_edge.bundle import PLAIN_BACKDROP
from aliaug_edge.data.load import load_pair
from aliaug_edge.data.samples import GOOD, Sample
from aliaug_edge.generation.backdrop import choose
from aliaug_edge.generation.part import borne_backdrops, part_mask


@dataclass(frozen=True, eq=False)
class Photo:
    """`image` (H, W, 3) uint8 and `mask` (H, W) uint8, 255 on the defect, all 0 on a good part.

    `name` is unique within a data set and stable: the file's path relative to the data folder, or
    what made a synthetic photo. `group` is the physical part; of a synthetic photo, that of the
    good part it was made on. `backdrop`, one of `BACKDROPS`, tells the part from what lies behind.
    """

    name: str
    image: NDArray[np.uint8]
    mask: NDArray[np.uint8]
    defect_class: str
    group: str
    backdrop: str = PLAIN_BACKDROP

    @functools.cached_property
    def part(self) -> NDArray[np.bool_]:
        """Pixels (H, W) of the part, as `generation.part` finds it."""
        return part_mask(self.image, self.backdrop)

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


def on_their_backdrop(
    defects: Sequence[Photo], goods: Sequence[Photo]
) -> tuple[list[Photo], list[Photo]]:
    """The photos of one line, with the backdrop that `defects` bear out, as training finds it."""
    found = choose(borne_backdrops(photo.image, photo.mask) for photo in defects)
    return (
        [replace(photo, backdrop=found) for photo in defects],
        [replace(photo, backdrop=found) for photo in goods],
    )
