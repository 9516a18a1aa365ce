"""Pretraining of the `tiny` base on procedural surfaces: `ali-aug pretrain`."""

from __future__ import annotations

import os
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import cast

import torch

from aliaug_edge import files
from aliaug_edge.appearances import Appearances
from aliaug_edge.data.procedural import DEFECT_CLASSES, MATERIALS
from aliaug_edge.errors import AliAugError, OutputError
from aliaug_edge.model import tiny
from aliaug_edge.model.base import Base, extras_of, generator_from, save_base
from aliaug_edge.model.conditioning import CONDITIONINGS, Conditioning
from aliaug_edge.model.generator import Generator
from aliaug_edge.model.text import COLOUR_PROMPT, embed_prompts
from aliaug_edge.training import parallel
from aliaug_edge.training.loop import LoopSettings, run_loop
from aliaug_edge.training.losses import LossWeights
from aliaug_edge.training.pair_cache import pair_cache
from aliaug_edge.training.precision import autocast_for
from aliaug_edge.training.procedural_pairs import draw_batch, drawn_appearances
from aliaug_edge.training.step import new_learner

SETTINGS = "settings.json"
WEIGHTS = LossWeights(
    inside=1.5,
    histogram=1.5,
    gradient=0.0,
    perceptual=0.0,
    latent=0.01,
    label=0.2,
)
RECIPE = "pretrain.json"
APPEARANCES_PER_CLASS = 48


@dataclass(frozen=True)
class PretrainSettings:
    """The recipe of a base: `coarse_steps` of `steps` see `coarse_crop`² pixels, then `crop`².

    Most defects fit 64² pixels, where a step shows twice as many of them (2 · `batch_size`) for
    half the work; the last steps teach the surroundings.
    """

    steps: int = 5200
    coarse_steps: int = 4800
    crop: int = 128
    coarse_crop: int = 64
    batch_size: int = 8
    pairs: int = 12000
    learning_rate: float = 8e-4
    adversarial_from: int = 1000
    seed: int = 7
    conditioning: Conditioning = "light"
    ema_decay: float = 0.998


def _view(settings: PretrainSettings, step: int) -> dict[str, int]:
    """How many pairs of which size this step sees."""
    if step < settings.coarse_steps:
        return {"size": 2 * settings.batch_size, "crop": settings.coarse_crop}
    return {"size": settings.batch_size, "crop": settings.crop}


def settings_for(
    steps: int, pairs: int, batch_size: int, conditioning: str, seed: int
) -> PretrainSettings:
    """The recipe scaled to `steps`: its phases keep their shares.

    Raises:
        AliAugError: an unknown conditioning, or a number out of range.
    """
    for name, value in (("steps", steps), ("pairs", pairs), ("batch_size", batch_size)):
        if value < 1:
            raise AliAugError(f"{name} {value}: expected at least 1")
    if seed < 0:
        raise AliAugError(f"seed {seed}: expected 0 or more")
    if conditioning not in CONDITIONINGS:
        raise AliAugError(f"conditioning {conditioning!r}: expected {', '.join(CONDITIONINGS)}")
    whole = PretrainSettings()
    return PretrainSettings(
        steps=steps,
        coarse_steps=round(steps * whole.coarse_steps / whole.steps),
        adversarial_from=round(steps * whole.adversarial_from / whole.steps),
        pairs=pairs,
        batch_size=batch_size,
        conditioning=conditioning,  # type: ignore[arg-type]  # checked above
        seed=seed,
    )


def pretrain(settings: PretrainSettings, folder: Path, *, progress: bool = True) -> Path:
    """Train a base from nothing and write it to `<folder>/base`; resumes where it was killed.

    Raises:
        OutputError: `folder` holds something else, or a pretraining with other settings.
    """
    parallel.refuse_several("ali-aug pretrain")  # one of its losses is no mean over rows
    _claim(folder, settings)
    started = time.perf_counter()
    base, generator = _new_base(settings)
    cache = pair_cache(folder / "pairs", settings.pairs, settings.crop, settings.seed)
    parameters = [*generator.parameters(), *base.text_encoder.parameters()]
    learner = new_learner(
        generator,
        parameters,
        WEIGHTS,
        perceptual=None,
        autocast=autocast_for("auto", torch.device("cpu")),
        classes=len(DEFECT_CLASSES),
        label_head=torch.nn.Linear(base.vae.config.latent_channels, len(DEFECT_CLASSES)),
        sees_change=True,
    )
    run_loop(
        learner,
        lambda step: draw_batch(
            cache,
            step,
            seed=settings.seed,
            **_view(settings, step),
        ),
        lambda prompts: embed_prompts(base.tokenizer, base.text_encoder, prompts),
        LoopSettings(
            steps=settings.steps,
            learning_rate=settings.learning_rate,
            seed=settings.seed,
            warmup_steps=200,
            adversarial_from=settings.adversarial_from,
            discriminator_ahead=settings.adversarial_from // 10,
            ema_decay=settings.ema_decay,
            sample_every=250,
            checkpoint_every=250,
        ),
        folder,
        progress=progress,
    )
    if not (folder / "base").exists():  # it appears whole or not at all
        looks = drawn_appearances(cache, APPEARANCES_PER_CLASS)
        _save(base, generator, settings, looks, folder / "base")
    files.write_json(
        folder / RECIPE,
        {
            "settings": asdict(settings),
            "seconds_of_last_session": round(time.perf_counter() - started),
            "cpu_count": os.cpu_count(),
            "torch": torch.__version__,
        },
    )
    return folder / "base"


def _claim(folder: Path, settings: PretrainSettings) -> None:
    """Make `folder` this pretraining's: empty or new, or begun with the same settings."""
    path = folder / SETTINGS
    wanted = files.json_text(asdict(settings))
    if path.is_file():
        if path.read_text(encoding="utf-8") != wanted:
            raise OutputError(
                f"{folder} holds a pretraining with other settings ({path}); repeat those, or "
                "choose another output folder"
            )
        files.remove_temporaries(folder)
        return
    if folder.exists() and (not folder.is_dir() or any(map(_foreign, folder.iterdir()))):
        raise OutputError(f"{folder} exists and is not a pretraining; choose another folder")
    files.write_text(path, wanted)


def _foreign(path: Path) -> bool:
    """Not what a pretraining leaves that was killed while it claimed the folder."""
    return not files.is_temporary(path.name, SETTINGS)


def _new_base(settings: PretrainSettings) -> tuple[Base, Generator]:
    torch.manual_seed(settings.seed)
    words = " ".join([*DEFECT_CLASSES, *MATERIALS, COLOUR_PROMPT, "a on with defect"])
    tokenizer = tiny.new_tokenizer(tuple(words.replace("_", " ").split()))
    base = Base(
        name="tiny",
        vae=tiny.new_vae(),
        unet=tiny.new_unet(),
        text_encoder=tiny.new_text_encoder(len(tokenizer)),
        tokenizer=tokenizer,
        scheduler=tiny.new_scheduler(),
    )
    generator = generator_from(base, settings.conditioning)
    _start(generator, settings.conditioning)
    return base, generator


@torch.no_grad()
def _start(generator: Generator, conditioning: Conditioning) -> None:
    """Weights for a beginning from nothing, where no pretrained picture has to be left in peace.

    The convolutions that conditioning adds begin like any others instead of at zero. Where there
    is a skip for the image, it passes straight through and the decoder adds nothing yet.
    """
    for conv in (generator.unet.conv_in, *generator.skips):
        torch.nn.init.kaiming_uniform_(cast(torch.Tensor, conv.weight), a=5**0.5)
    if conditioning == "paper":
        return
    torch.nn.init.dirac_(cast(torch.Tensor, generator.skips[-1].weight))
    for parameter in generator.vae.decoder.conv_out.parameters():
        torch.nn.init.zeros_(parameter)


def _save(
    base: Base,
    generator: Generator,
    settings: PretrainSettings,
    looks: Appearances,
    folder: Path,
) -> None:
    """Split the widened `conv_in` off, so that `unet/` stays a standard four-channel U-Net."""
    extras = extras_of(generator)
    narrow = tiny.new_unet()
    state = base.unet.state_dict()
    state["conv_in.weight"] = state["conv_in.weight"][:, : narrow.config.in_channels]
    narrow.load_state_dict(state)
    save_base(
        Base(
            name=base.name,
            vae=base.vae,
            unet=narrow,
            text_encoder=base.text_encoder,
            tokenizer=base.tokenizer,
            scheduler=base.scheduler,
            extras=extras,
            extras_conditioning=settings.conditioning,
            appearances=looks,
        ),
        folder,
    )
