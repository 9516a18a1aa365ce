from pathlib import Path

import numpy as np
import pytest

from aliaug_edge.imaging import encode_png
from aliaug_edge.labels import LabelledImage
from aliaug_edge.labels.mask_png import save_mask_png

CLASSES = ("crack", "stain")


def mask_with(*boxes, hole=None, hw=(40, 56)):
    mask = np.zeros(hw, dtype=np.uint8)
    for top, left, bottom, right in boxes:
        mask[top:bottom, left:right] = 255
    if hole is not None:
        top, left, bottom, right = hole
        mask[top:bottom, left:right] = 0
    return mask


MASKS = (
    mask_with((3, 4, 9, 30)),
    mask_with((3, 4, 9, 12), (20, 30, 40, 56)),
    mask_with((5, 5, 30, 40), hole=(10, 12, 20, 25)),
    np.where(np.random.default_rng(1).random((31, 47)) < 0.4, 255, 0).astype(np.uint8),
)


@pytest.fixture
def dataset(tmp_path: Path) -> tuple[Path, list[LabelledImage]]:
    """Images and masks on disk: one part, two parts, a hole, noise (and another size)."""
    samples = []
    for number, mask in enumerate(MASKS):
        image = np.full((*mask.shape, 3), 40 * number, dtype=np.uint8)
        path = tmp_path / f"images/{number:06d}.png"
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(encode_png(image))
        save_mask_png(tmp_path / f"masks/{number:06d}.png", mask)
        samples.append(
            LabelledImage(
                image=f"images/{number:06d}.png",
                mask=f"masks/{number:06d}.png",
                defect_class=CLASSES[number % 2],
                width=mask.shape[1],
                height=mask.shape[0],
            )
        )
    return tmp_path, samples
