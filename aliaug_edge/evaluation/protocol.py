"""What an evaluation will do, written down before its first result and never changed after."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import aliaug_edge
from aliaug_edge import files, imaging
from aliaug_edge.data.samples import Sample
from aliaug_edge.errors import AliAugError, OutputError
from aliaug_edge.evaluation.conditions import BASELINE, Condition
from aliaug_edge.evaluation.folds import Fold
from aliaug_edge.evaluation.results import SCHEMA

PROTOCOL = "protocol.json"
PRIMARY_METRIC = "ap"
# The gain saturates at two generated per real one (docs/method.md).
PREFERRED = ("nas-text-2x", "nas-colour-2x", "nas-text-1x", "nas-colour-1x")
DETECTORS = ("unet", "ultralytics")
PHOTOS_PER_REAL = 40  # in a pool, per real photo with a defect: with 30 instead of 10 ours gained
POOL_SIZE = (100, 800)
QUICK_POOL_SIZE = 100
POOL_BYTES = 1 << 30  # that a pool may take in memory, photos and masks
FEWEST = 12  # are made however large the photos are


@dataclass(frozen=True)
class EvaluationSettings:
    """What a user asks for. `exchange` None: two folds where the set is small.

    `seeds` is their number. `max_defects`: learn from so many photos with defects at most, 0 for
    all. `detector_steps` and `generator_steps` are training steps; `longest` is the longer side in
    pixels that detectors see, larger photos are shrunk to it. `bundle`: a folder to generate with,
    instead of training on each fold.
    """

    data: Path
    groups: Path | None = None
    pool: str = "train"
    classes: tuple[str, ...] = ()
    max_defects: int = 0
    conditions: tuple[str, ...] = ()
    seeds: int = 5
    exchange: bool | None = None
    detector: str = "unet"
    detector_steps: int = 1600
    generator_steps: int = 300
    base: str = "tiny"
    bundle: Path | None = None
    longest: int = 640
    seed: int = 0
    quick: bool = False

    def __post_init__(self) -> None:
        for name in ("seeds", "detector_steps", "generator_steps"):
            if getattr(self, name) < 1:
                flag = "--" + name.replace("_", "-")
                raise AliAugError(f"{flag} {getattr(self, name)}: expected at least 1")
        if self.max_defects < 0:
            raise AliAugError(f"max_defects {self.max_defects}: expected 0 or more")
        if self.detector not in DETECTORS:
            raise AliAugError(
                f"--detector {self.detector!r}: expected one of {', '.join(DETECTORS)}"
            )
        if self.longest < 64:
            raise AliAugError(f"--longest {self.longest}: expected at least 64 pixels")


def protocol_document(
    settings: EvaluationSettings,
    folds: Sequence[Fold],
    conditions: Sequence[Condition],
    detector: dict[str, Any],
    generator: dict[str, Any],
    notes: Sequence[str] = (),
) -> dict[str, Any]:
    """The protocol as plain JSON data; `detector` and `generator` are their settings, `notes` what
    should be known of the data."""
    root = settings.data
    primary = _primary(conditions)
    return {
        "schema": SCHEMA,
        "version": aliaug_edge.__version__,
        "quick": settings.quick,
        "data": {
            "name": root.resolve().name,
            "pool": settings.pool,
            "classes": sorted({s.defect_class for fold in folds for s in fold.train}),
            "longest_px": settings.longest,
        },
        "folds": [_fold_document(fold, root, settings.quick) for fold in folds],
        "seeds": list(range(settings.seeds)),
        "conditions": [asdict(condition) for condition in conditions],
        "detector": {"name": settings.detector, **detector},
        "generator": generator,
        "primary": {"metric": PRIMARY_METRIC, "contrast": primary},
        "secondary": _secondary(conditions, primary),
        "seed": settings.seed,
        "notes": list(notes),
    }


def declare(out: Path, protocol: dict[str, Any]) -> None:
    """Write the protocol, or find that `out` was begun with the same one.

    Raises:
        OutputError: `out` holds something else, or was begun with another protocol.
    """
    path = out / PROTOCOL
    if path.is_file():
        try:
            before = json.loads(path.read_text(encoding="utf-8"))
        except ValueError as error:
            raise OutputError(f"{path} is not JSON ({error}); choose another folder") from error
        now = json.loads(files.json_text(protocol))
        for document in (before, now):
            document.pop("notes", None)  # a file that nobody reads binds nobody
        if before != now:
            changed = ", ".join(sorted(k for k in now if before.get(k) != now[k]))
            raise OutputError(
                f"{out} was begun with another protocol ({changed or 'other keys'} differ); go on "
                "with the same options on the same photos, or choose another folder"
            )
        return
    if out.exists() and (not out.is_dir() or any(not _temporary(p) for p in out.iterdir())):
        raise OutputError(f"{out} exists and is not an evaluation; choose another folder")
    files.write_json(path, protocol)


def pool_size(fold: Fold, *, quick: bool) -> int:
    """Synthetic photos in each pool of a fold: fewer where the photos are large."""
    least, most = POOL_SIZE
    largest = max(imaging.pixel_count(sample.image_path) for sample in fold.train)
    wanted = QUICK_POOL_SIZE if quick else max(least, min(PHOTOS_PER_REAL * len(fold.train), most))
    return max(FEWEST, min(wanted, POOL_BYTES // (4 * largest)))


def _primary(conditions: Sequence[Condition]) -> list[str]:
    """The contrast that decides: ours against classic augmentation, named before any result."""
    names = [condition.name for condition in conditions]
    ours = [name for name in PREFERRED if name in names]
    others = [c.name for c in conditions if c.pool == "generated" and c.real]
    rest = [c.name for c in sorted(conditions, key=lambda c: not c.augment) if c.name != BASELINE]
    found = [*ours, *others, *rest]
    if not found:
        raise AliAugError(
            f"--conditions: nothing to compare with {BASELINE}; add at least one other"
        )
    return [found[0], BASELINE]


def _secondary(conditions: Sequence[Condition], primary: list[str]) -> list[list[str]]:
    """Ours against copy-paste of as many at the same places, and everything against classic."""
    ours = next(condition for condition in conditions if condition.name == primary[0])
    alike = [c.name for c in conditions if c.pool == "copy-paste" and c.ratio == ours.ratio]
    pairs = [[ours.name, name] for name in alike if name != ours.name]
    for plain in (c for c in conditions if not c.bent):  # what bending does, and what is left
        twins = [
            c for c in conditions if replace(plain, name=c.name, title=c.title, bent=True) == c
        ]
        pairs += [[twin.name, plain.name] for twin in twins]
        pairs += [
            [plain.name, c.name]
            for c in conditions
            if c.pool == "copy-paste" and c.ratio == plain.ratio
        ]
    pairs += [[condition.name, BASELINE] for condition in conditions if condition.name != BASELINE]
    return [pair for pair in pairs if pair != primary]


def _fold_document(fold: Fold, root: Path, quick: bool) -> dict[str, Any]:
    return {
        "fold": fold.number,
        "train": [_sample(sample, root) for sample in fold.train],
        "test": [_sample(sample, root) for sample in fold.test],
        "train_good": [_sample(sample, root) for sample in fold.train_good],
        "test_good": [_sample(sample, root) for sample in fold.test_good],
        "pool_size": pool_size(fold, quick=quick),
    }


def _sample(sample: Sample, root: Path) -> dict[str, str | None]:
    mask = sample.mask_path
    return {
        "name": sample.image_path.relative_to(root).as_posix(),
        "class": sample.defect_class,
        "group": sample.group,
        "sha256": files.sha256_of_file(sample.image_path),
        "mask_sha256": files.sha256_of_file(mask) if mask is not None else None,
    }


def _temporary(path: Path) -> bool:
    return files.is_temporary(path.name, PROTOCOL)
