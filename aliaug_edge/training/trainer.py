"""`ali-aug train`: LoRA adapters, skips and input convolution from a handful of defects."""

from __future__ import annotations

import contextlib
import copy
import io
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from aliaug_edge import appearances, files, fingerprints, imaging
from aliaug_edge.bundle import MASKS
from aliaug_edge.data.fewer import fewer_defects
from aliaug_edge.data.notes import data_notes, say_notes
from aliaug_edge.data.reader import load_dataset
from aliaug_edge.data.samples import Dataset
from aliaug_edge.errors import AliAugError
from aliaug_edge.generation.backdrop import choose
from aliaug_edge.mask_bank import pack
from aliaug_edge.model.adapters import add_adapters, save_adapters, trainable_parameters
from aliaug_edge.model.base import EXTRAS, base_sha256, extras_of, generator_from, load_base
from aliaug_edge.model.generator import Generator
from aliaug_edge.model.text import COLOUR_PROMPT, class_embeddings, class_prompt
from aliaug_edge.model.vae import encode_with_taps
from aliaug_edge.training import parallel
from aliaug_edge.training.batch import WHITE
from aliaug_edge.training.config import TrainConfig
from aliaug_edge.training.defects import (
    DefectSource,
    draw_defects,
    learned_appearances,
    load_source,
    mask_bank,
)
from aliaug_edge.training.loop import LoopSettings, run_loop
from aliaug_edge.training.parallel import Ranks
from aliaug_edge.training.precision import autocast_for
from aliaug_edge.training.reals import save_limits
from aliaug_edge.training.run_folder import (
    ADAPTERS_DIR,
    BACKDROP,
    CLASSES,
    check_base,
    claimed,
    held,
    note_base,
)
from aliaug_edge.training.scenes import save_scenes
from aliaug_edge.training.step import Features, TrainStep, new_learner, train_step


def train(
    config: TrainConfig,
    run_dir: Path,
    *,
    dataset: Dataset | None = None,
    step_once: TrainStep = train_step,
    progress: bool = True,
) -> Path:
    """Train, or continue the run in `run_dir`; returns `run_dir`.

    `dataset` is what lies in `config.data`, where the caller has chosen from it. `step_once` is
    what one step does: another one only to compare ours with it.

    The folder ends with `config.json`, `base.json` (which weights it started from),
    `classes.json`, `adapters/{unet,vae}` in PEFT's format, `conditioning.safetensors`, `masks.npz`
    (shapes for placement), `appearances.json` (what its defects look like), `backdrop.json` (how
    parts stand out in its photos), `quality.json` (what its defects allow),
    `training_photos.npz` (fingerprints of what it learned from), `scenes/` (photos for parity),
    `metrics.jsonl`, `samples/`.

    Raises:
        DataError: the data is not usable. OutputError: `run_dir` holds something else, or another
            run is writing to it.
        AliAugError: the base cannot be loaded, or is not the one that the run was begun with.
    """
    with (
        parallel.joined(config.batch_size) as whom,
        held(run_dir) if whom.main else contextlib.nullcontext(),
    ):
        return _train(config, run_dir, dataset, step_once, whom, progress and whom.main)


def _train(
    config: TrainConfig,
    run_dir: Path,
    dataset: Dataset | None,
    step_once: TrainStep,
    whom: Ranks,
    progress: bool,
) -> Path:
    ours = claimed(run_dir, config) if whom.main else contextlib.nullcontext()
    with ours:  # before the minutes that loading may take
        base = load_base(config.base)
        sha256 = base_sha256(base)
        check_base(run_dir, config.base, sha256)
        source = _load_source(config, dataset or _read(config, progress), progress)
        torch.manual_seed(config.seed)
        generator = generator_from(
            base, config.conditioning, skips=config.skips, noise=config.noise
        )
        perceptual = frozen_features(generator)
        add_adapters(generator, config.adapters)
        if whom.main:
            note_base(run_dir, sha256)
    prompts = class_embeddings(base.tokenizer, base.text_encoder, list(source.prompts.values()))
    _fit(config, source, generator, perceptual, prompts, run_dir, step_once, progress)
    if whom.main:
        _save(generator.cpu(), config, source, run_dir)
    return run_dir


def _read(config: TrainConfig, progress: bool) -> Dataset:
    dataset = load_dataset(
        Path(config.data),
        groups=Path(config.groups) if config.groups else None,
        pool=config.pool,
        seed=config.seed,
        classes=config.classes,
    )
    if progress:
        say_notes(data_notes(dataset), dataset.root, lambda line: print(line, file=sys.stderr))
    return dataset


def _load_source(config: TrainConfig, dataset: Dataset, progress: bool) -> DefectSource:
    if config.max_defects:
        dataset = fewer_defects(dataset, config.max_defects, config.seed)
    prompts = class_prompts(dataset, config)
    return load_source(
        dataset, tuple(prompts), prompts, config.seed, crop=config.size, progress=progress
    )


def _fit(
    config: TrainConfig,
    source: DefectSource,
    generator: Generator,
    perceptual: Features,
    embeds: Tensor,
    run_dir: Path,
    step_once: TrainStep,
    progress: bool,
) -> None:
    device = parallel.device()
    generator.to(device)
    learner = new_learner(
        generator,
        trainable_parameters(generator, skips=config.skips),
        config.weights,
        perceptual,
        autocast_for(config.precision, device),
        classes=len(source.classes),
    )
    by_prompt = dict(zip(source.prompts.values(), embeds, strict=True))
    adversarial_from = round(config.adversarial_from * config.steps)
    run_loop(
        learner,
        lambda step: draw_defects(
            source,
            step,
            seed=config.seed,
            size=config.batch_size,
            crop=config.size,
            colour_carrier=config.by_colour,
            unpaired_share=config.unpaired_share,
        ),
        lambda names: torch.stack([by_prompt[name] for name in names]),
        LoopSettings(
            steps=config.steps,
            learning_rate=config.learning_rate,
            seed=config.seed,
            adversarial_from=adversarial_from,
            discriminator_ahead=adversarial_from // 4,
            ema_decay=config.ema_decay,
            sample_every=max(1, min(200, config.steps // 5)),
        ),
        run_dir,
        step_once=step_once,
        progress=progress,
    )


def class_prompts(dataset: Dataset, config: TrainConfig) -> dict[str, str]:
    """Prompt of each class to learn: from the data where it has one, else the class's name; one and
    the same where prompts carry no label.

    Raises:
        AliAugError: a class that the data does not have, no class at all, or, where the prompt
            alone carries the label, classes with the same one.
    """
    wanted = config.classes or dataset.classes
    if unknown := [name for name in wanted if name not in dataset.classes]:
        raise AliAugError(
            f"unknown class {', '.join(unknown)}: {config.data} has {', '.join(dataset.classes)}"
        )
    if not wanted:
        raise AliAugError(f"{config.data}: no defect class found; expected photos with masks")
    if not config.by_text:
        return dict.fromkeys(wanted, COLOUR_PROMPT)
    given = {s.defect_class: s.prompt for s in dataset.defects("train") if s.prompt}
    prompts = {name: given.get(name, class_prompt(name)) for name in wanted}
    if not config.by_colour:
        _refuse_equal(prompts)
    return prompts


def _refuse_equal(prompts: dict[str, str]) -> None:
    """Classes that nothing tells apart would be learned as one."""
    first: dict[str, str] = {}
    for name, prompt in prompts.items():
        if (other := first.setdefault(prompt, name)) != name:
            raise AliAugError(
                f"classes {other} and {name} have the same prompt {prompt!r}, and with "
                "label_carrier text the prompt is all that tells them apart; rename one, give "
                "them prompts, or train with --label-carrier colour"
            )


def frozen_features(generator: Generator) -> Features:
    """The base encoder's taps as perceptual features, copied before adapters change it."""
    vae = copy.deepcopy(generator.vae).requires_grad_(False)
    del vae.decoder

    def features(image: Tensor) -> Sequence[Tensor]:
        if next(vae.parameters()).device != image.device:
            vae.to(image.device)
        latent, taps = encode_with_taps(vae, image)
        return [*taps[1:], latent]

    return features


def _save(generator: Generator, config: TrainConfig, source: DefectSource, run_dir: Path) -> None:
    save_adapters(generator, config.adapters, run_dir / ADAPTERS_DIR)
    save_scenes(run_dir, source.defects)
    save_extras(run_dir, generator)
    packed = io.BytesIO()
    shapes: dict[str, Any] = dict(pack(mask_bank(source)))
    np.savez_compressed(packed, **shapes)
    files.write_bytes(run_dir / MASKS, packed.getvalue())
    files.write_text(
        run_dir / appearances.FILE, appearances.to_text(learned_appearances(source, config.size))
    )
    save_backdrop(run_dir, source)
    save_limits(run_dir, (d for items in source.defects.values() for d in items), config.size)
    seen = ((name, imaging.load_image(path)) for name, path in source.photos.items())
    files.write_bytes(
        run_dir / fingerprints.FILE, fingerprints.to_bytes(fingerprints.describe(seen))
    )
    files.write_json(
        run_dir / CLASSES,
        [
            {
                "name": name,
                "prompt": source.prompts[name],
                "colour": list(source.colours[name]) if config.by_colour else list(WHITE),
                "train_defects": len(source.defects[name]),
            }
            for name in source.classes
        ],
    )


def save_backdrop(run_dir: Path, source: DefectSource) -> None:
    """Write by which rule the parts in the run's own photos stand out from their background."""
    found = choose(defect.backdrops for items in source.defects.values() for defect in items)
    files.write_json(run_dir / BACKDROP, {"backdrop": found})


def save_extras(run_dir: Path, generator: Generator) -> None:
    """Write the skip and input convolutions of a run."""
    from safetensors.torch import save

    state = {key: value.contiguous() for key, value in extras_of(generator).items()}
    files.write_bytes(run_dir / EXTRAS, save(state))
