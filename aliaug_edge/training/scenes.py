"""Three of the training photos, kept in the run: real inputs for parity wherever the data went."""

from __future__ import annotations

import itertools
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from aliaug_edge import files, imaging
from aliaug_edge.errors import AliAugError
from aliaug_edge.training.photos import Defect
from aliaug_edge.training.run_folder import SCENES_DIR

COUNT = 3
INDEX = "scenes.json"
KeptScene = tuple[Path, NDArray[np.uint8], int]


def save_scenes(run_dir: Path, defects: Mapping[str, Sequence[Defect]]) -> None:
    """Write the photo or patch and the mask of `COUNT` defects, one per class in turn."""
    folder = run_dir / SCENES_DIR
    turns = itertools.zip_longest(*defects.values())
    in_turn = ((index, d) for turn in turns for index, d in enumerate(turn) if d is not None)
    entries = []
    for number, (class_index, defect) in enumerate(itertools.islice(in_turn, COUNT)):
        patch, _ = defect.spots[0]
        entry = {"image": f"scene_{number}.png", "mask": f"scene_{number}_mask.png"}
        files.write_bytes(folder / entry["image"], imaging.encode_png(patch.image))
        files.write_bytes(folder / entry["mask"], imaging.encode_png(patch.mask))
        entries.append({**entry, "class_index": class_index})
    files.write_json(folder / INDEX, entries)


def load_scenes(run_dir: Path, classes: int) -> tuple[KeptScene, ...]:
    """What `save_scenes` wrote: image file, mask (H, W) of 0 and 255, index below `classes`; none
    where the run was made by a version that kept none.

    Raises:
        AliAugError: they are there and damaged.
    """
    folder = run_dir / SCENES_DIR
    if not (folder / INDEX).is_file():
        return ()
    try:
        listed = json.loads((folder / INDEX).read_text(encoding="utf-8"))
        scenes = tuple(_load_scene(folder, entry, classes) for entry in listed)
    except (OSError, ValueError, LookupError, TypeError) as error:
        raise AliAugError(f"{folder / INDEX} cannot be read ({error!r}); train again") from error
    return scenes


def _load_scene(folder: Path, entry: Mapping[str, Any], classes: int) -> KeptScene:
    path, index = folder / Path(entry["image"]).name, int(entry["class_index"])
    mask = imaging.load_mask(folder / Path(entry["mask"]).name)
    if mask.shape != imaging.load_image(path).shape[:2] or not mask.any():
        raise ValueError(f"the mask of {path.name} does not fit it")
    if not 0 <= index < classes:
        raise ValueError(f"class {index} of {classes}")
    return path, mask, index
