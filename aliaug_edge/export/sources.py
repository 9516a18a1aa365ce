"""What can be exported: a finished training run, or a base as it is."""

from __future__ import annotations

import copy
import json
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import load_file

from aliaug_edge import appearances, files, fingerprints, imaging
from aliaug_edge.appearances import Appearances, none_of
from aliaug_edge.bundle import BACKDROPS, MASKS, PLAIN_BACKDROP, QUALITY, ClassSpec
from aliaug_edge.data.load import load_pair
from aliaug_edge.data.procedural import DEFECT_CLASSES, render_pair
from aliaug_edge.data.reader import load_dataset
from aliaug_edge.errors import AliAugError
from aliaug_edge.export.parity import Scene
from aliaug_edge.model.adapters import add_adapters, load_adapters, merge_adapter
from aliaug_edge.model.base import (
    EXTRAS,
    Base,
    base_sha256,
    generator_from,
    load_base,
    load_extras,
)
from aliaug_edge.model.generator import Generator, new_generator
from aliaug_edge.model.text import class_embeddings, class_prompt
from aliaug_edge.quality.limits import from_document
from aliaug_edge.training.config import CONFIG, TrainConfig, config_document, load_config
from aliaug_edge.training.run_folder import ADAPTERS_DIR, BACKDROP, CLASSES, check_base
from aliaug_edge.training.scenes import load_scenes

PARITY_SCENES = 3


@dataclass(frozen=True)
class ExportSource:
    """`adapted` is the generator as trained, the reference of parity; `merged` is what is exported.

    `embeds` (classes, 77, D) float32 follow the order of `classes`; `masks` are the arrays of
    masks.npz, `quality` the document of quality.json, `appearances` those of appearances.json;
    `backdrop` is one of `BACKDROPS`; `scenes` are real inputs for parity.
    """

    adapted: Generator
    merged: Generator
    classes: tuple[ClassSpec, ...]
    label_carrier: str
    embeds: NDArray[np.float32]
    scenes: tuple[Scene, ...]
    provenance: dict[str, Any]
    appearances: Appearances
    masks: dict[str, NDArray[np.uint8]] = field(default_factory=dict)
    training_photos: bytes | None = None
    quality: dict[str, Any] | None = None
    backdrop: str = PLAIN_BACKDROP


def run_source(run_dir: Path) -> ExportSource:
    """A finished `ali-aug train` run.

    Raises:
        AliAugError: the run is not finished, or a file of it is damaged.
    """
    config, base, adapted, sha256 = load_run(run_dir)
    classes = read_classes(run_dir / CLASSES)
    return ExportSource(
        adapted=adapted,
        merged=merged_generator(adapted, config),
        classes=classes,
        label_carrier=config.label_carrier,
        embeds=_embeds(base, classes),
        scenes=_run_scenes(run_dir, config, classes),
        provenance={
            "base": _shown(config.base),
            "base_sha256": sha256,
            "training": _without_paths(config),
        },
        appearances=read_appearances(run_dir, classes),
        masks=_read_masks(run_dir / MASKS),
        training_photos=_read_training_photos(run_dir / fingerprints.FILE),
        quality=_read_quality(run_dir / QUALITY),
        backdrop=_read_backdrop(run_dir / BACKDROP),
    )


def base_source(name: str, scratch: Path) -> ExportSource:
    """A base with the procedural classes, its scenes rendered into `scratch`."""
    base = load_base(name)
    sha256 = base_sha256(base)
    if base.extras_conditioning is None:
        raise AliAugError(
            f"{name} is neither a finished training run nor a base with a conditioning of its own; "
            "train on it first: `ali-aug train DATA -o RUN --base ...`"
        )
    generator = generator_from(base, base.extras_conditioning).eval()
    classes = tuple(ClassSpec(name, class_prompt(name)) for name in DEFECT_CLASSES)
    return ExportSource(
        adapted=generator,
        merged=generator,
        classes=classes,
        label_carrier="text",
        embeds=_embeds(base, classes),
        scenes=_procedural_scenes(scratch),
        provenance={"base": _shown(name), "base_sha256": sha256, "training": None},
        appearances={
            name: base.appearances.get(name, unknown)
            for name, unknown in none_of(DEFECT_CLASSES).items()
        },
    )


def load_run(run_dir: Path) -> tuple[TrainConfig, Base, Generator, str]:
    """The configuration of a finished run, its base, the generator with its adapters, and the
    SHA-256 of the base's weights.

    Raises:
        AliAugError: a file is missing (the run was cut short) or damaged, or the base is not the
            one that the run was trained on.
    """
    missing = [
        name
        for name in (CONFIG, CLASSES, EXTRAS, MASKS, f"{ADAPTERS_DIR}/unet", f"{ADAPTERS_DIR}/vae")
        if not (run_dir / name).exists()
    ]
    if missing:
        raise AliAugError(
            f"{run_dir} is not a finished run: it lacks {', '.join(missing)}; continue it with "
            f"`ali-aug train --config {run_dir / CONFIG} -o {run_dir}`"
        )
    config = load_config(run_dir / CONFIG)
    base = load_base(config.base)
    sha256 = base_sha256(base)
    check_base(run_dir, config.base, sha256)
    generator = generator_from(base, config.conditioning, skips=config.skips, noise=config.noise)
    add_adapters(generator, config.adapters)
    load_adapters(generator, tuple(config.adapters), run_dir / ADAPTERS_DIR)
    try:
        load_extras(generator, load_file(run_dir / EXTRAS))
    except Exception as error:  # safetensors and torch each have their own
        raise AliAugError(f"{run_dir / EXTRAS} cannot be read: {error}; train again") from error
    return config, base, generator.eval(), sha256


def merged_generator(adapted: Generator, config: TrainConfig) -> Generator:
    """A plain generator with the adapters merged; `adapted` is left alone."""
    vae = type(adapted.vae).from_config(adapted.vae.config)
    unet = type(adapted.unet).from_config(adapted.unet.config)
    plain = new_generator(vae, unet, adapted.conditioning, adapted.alpha_bar, noise=adapted.noise)
    specs = config.adapters
    unet.load_state_dict(merge_adapter(adapted.unet.state_dict(), specs["unet"].scale))
    vae.load_state_dict(merge_adapter(adapted.vae.state_dict(), specs["vae"].scale))
    plain.skips.load_state_dict(merge_adapter(adapted.skips.state_dict(), specs["vae"].scale))
    return plain.eval()


def read_classes(path: Path) -> tuple[ClassSpec, ...]:
    """The classes of a run from its `classes.json`.

    Raises:
        AliAugError: the file cannot be read.
    """
    try:
        listed = json.loads(path.read_text(encoding="utf-8"))
        return tuple(
            ClassSpec(entry["name"], entry["prompt"], tuple(entry["colour"])) for entry in listed
        )
    except (OSError, ValueError, LookupError, TypeError) as error:
        raise AliAugError(f"{path} cannot be read ({error!r}); train again") from error


def read_appearances(run_dir: Path, classes: Sequence[ClassSpec]) -> Appearances:
    """What a run's defects looked like; nothing for a run of an earlier version.

    Raises:
        AliAugError: the file cannot be read.
    """
    path, names = run_dir / appearances.FILE, [spec.name for spec in classes]
    if not path.is_file():
        return none_of(names)
    try:
        return appearances.from_text(path.read_text(encoding="utf-8"), names)
    except (OSError, ValueError, LookupError, TypeError, AttributeError) as error:
        raise AliAugError(f"{path} cannot be read ({error!r}); train again") from error


def _read_masks(path: Path) -> dict[str, NDArray[np.uint8]]:
    try:
        with path.open("rb") as stream, np.load(stream, allow_pickle=False) as arrays:
            return {key: arrays[key] for key in sorted(arrays.files)}
    except (OSError, ValueError, zipfile.BadZipFile) as error:
        raise AliAugError(f"{path} cannot be read ({error}); train again") from error


def _read_quality(path: Path) -> dict[str, Any] | None:
    if not path.is_file():  # a run of an earlier version, or of no pair that could be trusted
        return None
    try:
        document: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        from_document(document)
    except (OSError, ValueError, LookupError, TypeError, AttributeError) as error:
        raise AliAugError(f"{path} cannot be read ({error!r}); train again") from error
    return document


def _read_backdrop(path: Path) -> str:
    if not path.is_file():  # a run of an earlier version
        return PLAIN_BACKDROP
    try:
        name = json.loads(path.read_text(encoding="utf-8"))["backdrop"]
        if name not in BACKDROPS:
            raise ValueError(f"backdrop {name!r}")
    except (OSError, ValueError, LookupError, TypeError) as error:
        raise AliAugError(f"{path} cannot be read ({error!r}); train again") from error
    return str(name)


def _read_training_photos(path: Path) -> bytes | None:
    """The record as the run wrote it; None for a run of an earlier version."""
    if not path.is_file():
        return None
    try:
        data = path.read_bytes()
        fingerprints.from_bytes(data)
    except (OSError, ValueError) as error:
        raise AliAugError(f"{path} cannot be read ({error}); train again") from error
    return data


def _embeds(base: Base, classes: tuple[ClassSpec, ...]) -> NDArray[np.float32]:
    embeds = class_embeddings(
        base.tokenizer, copy.deepcopy(base.text_encoder).eval(), [c.prompt for c in classes]
    )
    result: NDArray[np.float32] = embeds.to(torch.float32).numpy()
    return result


def _run_scenes(
    run_dir: Path, config: TrainConfig, classes: tuple[ClassSpec, ...]
) -> tuple[Scene, ...]:
    """Training photos with their masks, one per class in turn: those that the run kept, or from
    the data where a run of an earlier version kept none."""
    if kept := load_scenes(run_dir, len(classes)):
        return tuple(Scene(*scene) for scene in kept)
    dataset = load_dataset(
        Path(config.data),
        groups=Path(config.groups) if config.groups else None,
        pool=config.pool,
        seed=config.seed,
    )
    names = [c.name for c in classes]
    samples = [s for s in dataset.defects("train") if s.defect_class in names]
    by_turn = sorted(range(len(samples)), key=lambda i: (_turn(samples, i), i))
    chosen = [samples[i] for i in by_turn[:PARITY_SCENES]]
    return tuple(Scene(s.image_path, load_pair(s)[1], names.index(s.defect_class)) for s in chosen)


def _turn(samples: list[Any], index: int) -> int:
    """How many samples of the same class come before this one."""
    return sum(s.defect_class == samples[index].defect_class for s in samples[:index])


def _procedural_scenes(scratch: Path) -> tuple[Scene, ...]:
    scenes = []
    for seed in range(PARITY_SCENES):
        pair = render_pair(seed, 320, 320)
        path = scratch / f"scene_{seed}.png"
        files.write_bytes(path, imaging.encode_png(pair.good))
        scenes.append(Scene(path, pair.mask, DEFECT_CLASSES.index(pair.defect_class)))
    return tuple(scenes)


def _without_paths(config: TrainConfig) -> dict[str, Any]:
    """The configuration with folder names in place of the user's paths."""
    document = config_document(config)
    for key in ("data", "groups"):
        if document[key] is not None:
            document[key] = Path(document[key]).name
    document["base"] = _shown(config.base)
    return document


def _shown(base: str) -> str:
    """A base's name on the hub with its owner, as its licence wants; of a folder the last part."""
    return Path(base).name if Path(base).is_dir() else base
