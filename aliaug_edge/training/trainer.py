"""`ali-aug train`: LoRA adapters, skips and input convolution from a handful of defects."""

from __future__ import annotations

import copy
import io
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from aliaug_edge import files
from aliaug_edge.bundle import MASKS
from aliaug_edge.data.reader import load_dataset
from aliaug_edge.data.samples import Dataset
from aliaug_edge.errors import AliAugError, OutputError
from aliaug_edge.mask_bank import pack
from aliaug_edge.model.adapters import add_adapters, save_adapters, trainable_parameters
from aliaug_edge.model.base import EXTRAS, extras_of, generator_from, load_base
from aliaug_edge.model.generator import Generator
from aliaug_edge.model.text import COLOUR_PROMPT, class_embeddings, class_prompt
from aliaug_edge.model.vae import encode_with_taps
from aliaug_edge.training.config import CONFIG, TrainConfig, config_document, load_config
from aliaug_edge.training.defects import DefectSource, draw_defects, load_source, mask_bank
from aliaug_edge.training.loop import LoopSettings, run_loop
from aliaug_edge.training.step import Features, new_learner

CLASSES = "classes.json"
ADAPTERS_DIR = "adapters"


def train(config: TrainConfig, run_dir: Path, *, progress: bool = True) -> Path:
    """Train, or continue the run in `run_dir`; returns `run_dir`.

    The folder ends with `config.json`, `classes.json`, `adapters/{unet,vae}` in PEFT's format,
    `conditioning.safetensors`, `masks.npz` (shapes for placement), `metrics.jsonl`, `samples/`.

    Raises:
        DataError: the data is not usable. OutputError: `run_dir` holds something else.
        AliAugError: the base cannot be loaded.
    """
    dataset = load_dataset(
        Path(config.data),
        groups=Path(config.groups) if config.groups else None,
        pool=config.pool,
        seed=config.seed,
        classes=config.classes,
    )
    prompts = class_prompts(dataset, config)
    source = load_source(
        dataset, tuple(prompts), prompts, config.seed, crop=config.size, progress=progress
    )
    base = load_base(config.base)
    torch.manual_seed(config.seed)
    generator = generator_from(base, config.conditioning)
    perceptual = _frozen_features(generator)
    add_adapters(generator, config.adapters)
    _claim(run_dir, config)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    generator.to(device)
    learner = new_learner(
        generator,
        trainable_parameters(generator),
        config.weights,
        perceptual,
        _autocast(config.precision, device),
        classes=len(prompts),
    )
    embeds = class_embeddings(base.tokenizer, base.text_encoder, list(prompts.values()))
    by_prompt = dict(zip(prompts.values(), embeds, strict=True))
    adversarial_from = round(config.adversarial_from * config.steps)
    run_loop(
        learner,
        lambda step: draw_defects(
            source,
            step,
            seed=config.seed,
            size=config.batch_size,
            crop=config.size,
            colour_carrier=config.label_carrier == "colour",
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
        progress=progress,
    )
    _save(generator.cpu(), config, source, run_dir)
    return run_dir


def class_prompts(dataset: Dataset, config: TrainConfig) -> dict[str, str]:
    """Prompt of each class to learn: from the data where it has one, else the class's name.

    Raises:
        AliAugError: a class that the data does not have, or no class at all.
    """
    wanted = config.classes or dataset.classes
    if unknown := [name for name in wanted if name not in dataset.classes]:
        raise AliAugError(
            f"unknown class {', '.join(unknown)}: {config.data} has {', '.join(dataset.classes)}"
        )
    if not wanted:
        raise AliAugError(f"{config.data}: no defect class found; expected photos with masks")
    if config.label_carrier == "colour":
        return dict.fromkeys(wanted, COLOUR_PROMPT)
    given = {s.defect_class: s.prompt for s in dataset.defects("train") if s.prompt}
    return {name: given.get(name, class_prompt(name)) for name in wanted}


def _claim(run_dir: Path, config: TrainConfig) -> None:
    """Make `run_dir` this run's: empty or new, or begun by the same configuration."""
    path = run_dir / CONFIG
    if path.is_file():
        if load_config(path) != config:
            raise OutputError(
                f"{run_dir} holds a run with another configuration; continue it with "
                f"`--config {path}` or choose another output folder"
            )
        files.remove_temporaries(run_dir)
        return
    if run_dir.exists() and (not run_dir.is_dir() or _holds_something(run_dir)):
        raise OutputError(f"{run_dir} exists and is not a training run; choose another folder")
    files.write_json(path, config_document(config))


def _holds_something(run_dir: Path) -> bool:
    """Anything but what a run that was killed while claiming the folder left there."""
    return any(not files.is_temporary(path.name, CONFIG) for path in run_dir.iterdir())


def _autocast(precision: str, device: torch.device) -> Callable[[], torch.autocast]:
    """BF16 where asked or where it is fast: GPUs that have it, and CPUs with AVX-512 BF16."""
    if precision == "auto":
        fast = torch.cuda.is_bf16_supported() if device.type == "cuda" else _cpu_has_bf16()
    else:
        fast = precision == "bf16"
    return lambda: torch.autocast(device.type, torch.bfloat16, enabled=fast)


def _cpu_has_bf16() -> bool:
    try:
        flags = Path("/proc/cpuinfo").read_text(encoding="utf-8")
    except OSError:
        return False
    return "avx512_bf16" in flags or "amx_bf16" in flags


def _frozen_features(generator: Generator) -> Features:
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
    save_extras(run_dir, generator)
    packed = io.BytesIO()
    np.savez_compressed(packed, allow_pickle=False, **pack(mask_bank(source)))
    files.write_bytes(run_dir / MASKS, packed.getvalue())
    files.write_json(
        run_dir / CLASSES,
        [
            {
                "name": name,
                "prompt": source.prompts[name],
                "colour": list(source.colours[name])
                if config.label_carrier == "colour"
                else [1.0, 1.0, 1.0],
                "train_defects": len(source.defects[name]),
            }
            for name in source.classes
        ],
    )


def save_extras(run_dir: Path, generator: Generator) -> None:
    """Write the skip and input convolutions of a run."""
    from safetensors.torch import save

    state = {key: value.contiguous() for key, value in extras_of(generator).items()}
    files.write_bytes(run_dir / EXTRAS, save(state))
