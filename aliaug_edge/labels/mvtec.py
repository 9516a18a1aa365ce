"""The MVTec layout: image and mask in parallel trees, paired by name.

    mvtec/generated/test/<defect>/000000.png
    mvtec/generated/ground_truth/<defect>/000000_mask.png
    mvtec/generated/split.json          every image in the pool "train"

The layout knows defects only below `test/`; `split.json` says that these are for training. Files
are hard links where the file system has them (so edit copies, not these), else copies.
"""

from __future__ import annotations

import json
import os
import secrets
from collections.abc import Sequence
from pathlib import Path, PurePosixPath

from aliaug_edge import files, imaging
from aliaug_edge.errors import AliAugError, DataError, OutputError
from aliaug_edge.labels.samples import Label, LabelledImage, class_indices, read_mask

PRODUCT = "generated"
FOLDER = f"mvtec/{PRODUCT}"
LONGEST = 255  # bytes of a file name, on most file systems


def save_mvtec(root: Path, samples: Sequence[LabelledImage], classes: Sequence[str]) -> None:
    """Lay `samples` out below `root`/mvtec/generated.

    Raises:
        AliAugError: unknown class, a class that is no folder name, two images of one name and
            class, a mask of another size, or a file that cannot be written.
    """
    class_indices(classes, samples, first=0)
    pools: dict[str, dict[str, list[str]]] = {
        name: {"train": [], "test": []} for name in sorted({s.defect_class for s in samples})
    }
    for sample in samples:
        if sample.known_instances is None:
            read_mask(root, sample)
        defect, name = folder_name(sample.defect_class), PurePosixPath(sample.image)
        listed = f"{PRODUCT}/test/{defect}/{name.name}"
        if listed in pools[defect]["train"]:
            raise AliAugError(f"{sample.image}: another {defect} image is called {name.name} too")
        pools[defect]["train"].append(listed)
        target = root / FOLDER
        _link(root / sample.image, target / "test" / defect / name.name)
        _link(root / sample.mask, target / "ground_truth" / defect / f"{name.stem}_mask.png")
    note = "Synthetic images, for training only: none may be used to test."
    split = {"product": PRODUCT, "note": note, "defect": pools}
    files.write_json(root / FOLDER / "split.json", split)


def load_mvtec(root: Path) -> list[Label]:
    """One label per image below `root`/mvtec/generated, by class, then in the order written.

    Raises:
        DataError: `split.json` or a mask is missing or unreadable.
    """
    path = root / FOLDER / "split.json"
    try:
        pools = json.loads(path.read_text(encoding="utf-8"))["defect"]
    except (OSError, ValueError, KeyError) as error:
        raise DataError(f"{path} cannot be read: {error}") from error
    labels = []
    for defect in sorted(pools):
        for listed in pools[defect]["train"]:
            stem = PurePosixPath(listed).stem
            mask = root / FOLDER / "ground_truth" / defect / f"{stem}_mask.png"
            labels.append(Label(f"mvtec/{listed}", defect, imaging.load_mask(mask)))
    return labels


def folder_name(defect_class: str) -> str:
    """The folder of `defect_class`: its name.

    Raises:
        AliAugError: it is no folder name on every system, or means good parts in this layout.
    """
    impossible = defect_class in ("", ".", "..", "good") or len(defect_class.encode()) > LONGEST
    if impossible or set(defect_class) & set('/\\:*?"<>|\0'):
        raise AliAugError(
            f"class {defect_class!r} cannot be a folder name, which the MVTec layout needs; "
            "rename the class or leave mvtec out of --labels"
        )
    return defect_class


def _link(source: Path, target: Path) -> None:
    """Make `target` the same file as `source`, in one step; a copy where links fail."""
    if target.exists() and target.samefile(source):
        return
    temporary = target.with_name(f".{target.name}.{secrets.token_hex(4)}.tmp")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        os.link(source, temporary)
    except OSError:
        try:
            content = source.read_bytes()
        except OSError as error:
            raise OutputError(f"cannot read {source}: {error.strerror}") from error
        files.write_bytes(target, content)
    else:
        temporary.replace(target)
