"""Classes that only the colours of the masks tell apart: the colour carrier of Ali-AUG."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from aliaug_edge.imaging import load_image, painted

RGB = tuple[int, int, int]
WHITE: RGB = (255, 255, 255)
NEAR = 24  # levels by which JPEG or a resize may move a colour that was meant to be the same
SHARE = 0.2  # of the painted pixels; the levels of an anti-aliased edge have less


def paint_colours(mask_path: Path) -> list[RGB]:
    """The colours of the painted pixels by area, any grey being white; none where none is painted.

    After the first, only those that cover `SHARE` of the paint and are not near an earlier one.

    Raises:
        DataError: the mask cannot be read.
    """
    image = load_image(mask_path)
    pixels = image[painted(image)].astype(np.uint32)
    packed, counts = np.unique(
        pixels[:, 0] << 16 | pixels[:, 1] << 8 | pixels[:, 2], return_counts=True
    )
    found: list[RGB] = []
    for index in np.argsort(-counts, kind="stable"):
        if found and counts[index] < SHARE * len(pixels):
            break
        value = int(packed[index])
        colour = _white_if_grey((value >> 16, value >> 8 & 255, value & 255))
        if all(_distance(colour, other) > NEAR for other in found):
            found.append(colour)
    return found


def colour_names(colours: Iterable[RGB]) -> dict[RGB, str]:
    """A class name for each colour, e.g. `colour_ff0000`: the hexadecimal RGB value.

    A colour within `NEAR` levels of one that more masks have shares that one's name.
    """
    names: dict[RGB, str] = {}
    leaders: list[RGB] = []
    by_count = sorted(Counter(colours).items(), key=lambda item: (-item[1], item[0]))
    for colour, _ in by_count:
        leader = next((other for other in leaders if _distance(colour, other) <= NEAR), colour)
        if leader is colour:
            leaders.append(colour)
        names[colour] = "colour_{:02x}{:02x}{:02x}".format(*leader)
    return names


def _white_if_grey(colour: RGB) -> RGB:
    return WHITE if max(colour) - min(colour) <= NEAR else colour


def _distance(one: RGB, other: RGB) -> int:
    return max(abs(a - b) for a, b in zip(one, other, strict=True))
