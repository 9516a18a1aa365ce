"""Our generator for a fold: trained on the fold's train side and nothing else, then exported."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from aliaug_edge.bundle import Bundle, load_bundle
from aliaug_edge.data.samples import Dataset
from aliaug_edge.evaluation.folds import Fold
from aliaug_edge.evaluation.leaks import require_not_trained_on
from aliaug_edge.evaluation.photos import read_photos
from aliaug_edge.evaluation.protocol import EvaluationSettings
from aliaug_edge.training.config import TrainConfig, config_document

Say = Callable[[str], None]


@dataclass(frozen=True)
class GeneratorPlace:
    """Where a fold's generator of one label carrier is trained and exported to."""

    run_dir: Path
    bundle_dir: Path


def place_of(out: Path, fold: Fold, carrier: str) -> GeneratorPlace:
    """The folders of a fold's generator."""
    folder = out / "generators" / f"fold-{fold.number}" / carrier
    return GeneratorPlace(folder / "run", folder / "bundle")


def trained_bundle(
    settings: EvaluationSettings, fold: Fold, carrier: str, out: Path, say: Say
) -> Bundle:
    """The bundle that the user names, or the fold's, made now or by an earlier start of the same
    evaluation.

    Raises:
        BundleError: the user's bundle is damaged, or names its classes by another carrier.
        DataError: the fold's, found there, has learned from its test photos.
        AliAugError: training or export fails; what is finished stays and is taken up again.
    """
    if settings.bundle is not None:
        return given_bundle(settings.bundle, carrier)
    place = place_of(out, fold, carrier)
    if not place.bundle_dir.is_dir():  # it is written whole or not at all
        from aliaug_edge.export.pipeline import ExportSettings, export
        from aliaug_edge.training.trainer import train

        say(f"fold {fold.number}: training the generator, class by {carrier}")
        config = generator_config(settings, fold, carrier)
        train(config, place.run_dir, dataset=_dataset(settings.data, fold))
        export(str(place.run_dir), place.bundle_dir, ExportSettings(), say=say)
    bundle = load_bundle(place.bundle_dir)
    require_not_trained_on(bundle, read_photos([*fold.test, *fold.test_good], settings.data))
    return bundle


def given_bundle(folder: Path, carrier: str) -> Bundle:
    """The user's bundle, when its classes are named by `carrier`.

    Raises:
        BundleError: it cannot be used, or it names them by another.
    """
    bundle = load_bundle(folder)
    bundle.require_carrier(carrier)
    return bundle


def generator_config(settings: EvaluationSettings, fold: Fold, carrier: str) -> TrainConfig:
    """The default recipe, on the fold's classes."""
    return TrainConfig(
        data=str(settings.data.resolve()),
        base=settings.base,
        label_carrier=carrier,  # type: ignore[arg-type]  # checked by TrainConfig
        classes=fold.classes,
        pool=settings.pool,
        steps=settings.generator_steps,
        seed=settings.seed,
    )


def generator_document(settings: EvaluationSettings, fold: Fold) -> dict[str, Any]:
    """The recipe as plain data for the protocol, without what differs between machines; of a bundle
    of the user's its name and hash."""
    if settings.bundle is not None:
        bundle = load_bundle(settings.bundle)
        return {"bundle": bundle.name, "sha256": bundle.sha256}
    document = config_document(generator_config(settings, fold, "text"))
    for name in ("data", "label_carrier", "groups"):
        document.pop(name, None)
    return document


def _dataset(root: Path, fold: Fold) -> Dataset:
    """The fold's train side alone: what is not there cannot be learned."""
    return Dataset(root, f"fold-{fold.number}", (*fold.train, *fold.train_good))
