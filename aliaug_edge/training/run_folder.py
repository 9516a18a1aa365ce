"""The folder of a training run: whose it is, which base it belongs to, what a killed run left."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from pathlib import Path

from aliaug_edge import files, lock
from aliaug_edge.appearances import FILE as APPEARANCES
from aliaug_edge.bundle import MASKS, QUALITY
from aliaug_edge.errors import AliAugError, OutputError
from aliaug_edge.fingerprints import FILE as TRAINING_PHOTOS
from aliaug_edge.model.base import EXTRAS
from aliaug_edge.training.checkpoint import CHECKPOINT
from aliaug_edge.training.config import CONFIG, TrainConfig, config_document, load_config
from aliaug_edge.training.loop import METRICS, SAMPLES_DIR

CLASSES = "classes.json"
BACKDROP = "backdrop.json"
BASE = "base.json"
ADAPTERS_DIR = "adapters"
SCENES_DIR = "scenes"
_WRITTEN = (
    CONFIG,
    BASE,
    CLASSES,
    BACKDROP,
    EXTRAS,
    MASKS,
    APPEARANCES,
    TRAINING_PHOTOS,
    QUALITY,
    METRICS,
    CHECKPOINT,
)
_LEFTOVERS = (
    *(f".{name}.*.tmp" for name in _WRITTEN),
    f"{SAMPLES_DIR}/.{'[0-9]' * 6}.png.*.tmp",
    f"{ADAPTERS_DIR}/*/.adapter_*.tmp",
    f"{SCENES_DIR}/.scene*.tmp",
)


@contextlib.contextmanager
def held(run_dir: Path) -> Iterator[None]:
    """Hold `run_dir` for one run alone; made here and left empty, it goes again.

    Raises:
        OutputError: another run holds it, or it can be neither made nor opened.
    """
    existed = run_dir.exists()
    if existed and not run_dir.is_dir():
        raise _another(run_dir)
    try:
        with lock.exclusive(run_dir):
            yield
    finally:
        if not existed:
            with contextlib.suppress(OSError):
                run_dir.rmdir()


@contextlib.contextmanager
def claimed(run_dir: Path, config: TrainConfig) -> Iterator[None]:
    """Make `run_dir`, which is `held`, this run's: empty, or begun by the same configuration.

    Where the block fails for a reason of the user's, a folder that was not the run's before is as
    it was.

    Raises:
        OutputError: the folder holds something else, or cannot be written.
    """
    begun = (run_dir / CONFIG).is_file()
    _claim(run_dir, config)
    try:
        yield
    except AliAugError:
        if not begun:
            (run_dir / CONFIG).unlink(missing_ok=True)
            (run_dir / BASE).unlink(missing_ok=True)
        raise


def check_base(run_dir: Path, name: str, sha256: str) -> None:
    """Refuse a base whose weights are not those that the run was begun with.

    Raises:
        AliAugError: they differ, or the run's note of them cannot be read.
    """
    path = run_dir / BASE
    if not path.is_file():  # a run of an earlier version
        return
    try:
        noted = str(json.loads(path.read_text(encoding="utf-8"))["sha256"])
    except (OSError, ValueError, LookupError, TypeError) as error:
        raise AliAugError(f"{path} cannot be read ({error!r}); train again") from error
    if noted != sha256:
        raise AliAugError(
            f"{run_dir} was trained on a base with weights {noted[:12]}, base {name} now has "
            f"{sha256[:12]}; bring that base back, or train again in another folder"
        )


def note_base(run_dir: Path, sha256: str) -> None:
    """Keep which weights the run is trained on."""
    files.write_json(run_dir / BASE, {"sha256": sha256})


def _claim(run_dir: Path, config: TrainConfig) -> None:
    path = run_dir / CONFIG
    if path.is_file():
        if load_config(path) != config:
            raise OutputError(
                f"{run_dir} holds a run with another configuration; continue it with "
                f"`--config {path}` or choose another output folder"
            )
        _sweep(run_dir)
        return
    if _holds_something(run_dir):
        raise _another(run_dir)
    files.write_json(path, config_document(config))


def _another(run_dir: Path) -> OutputError:
    return OutputError(f"{run_dir} exists and is not a training run; choose another folder")


def _holds_something(run_dir: Path) -> bool:
    """Anything but what a run that was killed while claiming the folder left there."""
    return any(not files.is_temporary(path.name, CONFIG) for path in run_dir.iterdir())


def _sweep(run_dir: Path) -> None:
    """Remove what killed writers of a run left, and nothing else: with `--config` the folder may
    be one where the user keeps other things as well."""
    for pattern in _LEFTOVERS:
        for path in sorted(run_dir.glob(pattern)):
            with contextlib.suppress(OSError):
                path.unlink()
