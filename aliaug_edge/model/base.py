"""Bases: where the pretrained VAE, U-Net and text encoder come from.

A base is a folder in diffusers' layout (`vae/ unet/ text_encoder/ tokenizer/ scheduler/`), a name
on the model hub in that layout, or the word `tiny` for the one inside the package. A folder may
carry `conditioning.safetensors`, skip and input convolutions that fit one conditioning; a generator
with another conditioning starts those from zero. With them goes `appearances.json`: what the
defects looked like that they learned from.
"""

from __future__ import annotations

import copy
import hashlib
import json
from dataclasses import dataclass, field
from pathlib import Path

import diffusers
import torch
import torch.nn.functional as F
import transformers
from diffusers import AutoencoderKL, DDPMScheduler, UNet2DConditionModel
from safetensors.torch import load_file, save_file
from torch import Tensor
from transformers import CLIPTextModel, CLIPTokenizer, PreTrainedTokenizerBase

import aliaug_edge
from aliaug_edge import appearances as looks
from aliaug_edge import files
from aliaug_edge.errors import AliAugError
from aliaug_edge.model.conditioning import Conditioning
from aliaug_edge.model.generator import TIMESTEP, Generator, new_generator

EXTRAS = "conditioning.safetensors"
EXTRAS_FACTS = "conditioning.json"
TINY_BASE_DIR = Path(aliaug_edge.__file__).parent / "assets" / "tiny" / "base"
PARTS = ("vae", "unet", "text_encoder", "tokenizer", "scheduler")
WEIGHTED = PARTS[:3]
VAE_LEVELS = 4  # the latent is 1/8 of the image, and the skips are one per level


@dataclass(frozen=True)
class Base:
    """A loaded base, in FP32 on the CPU. `alpha_bar` is ᾱ of the last timestep."""

    name: str
    vae: AutoencoderKL
    unet: UNet2DConditionModel
    text_encoder: CLIPTextModel
    tokenizer: PreTrainedTokenizerBase
    scheduler: DDPMScheduler
    extras: dict[str, Tensor] = field(default_factory=dict, repr=False)
    extras_conditioning: Conditioning | None = None
    appearances: looks.Appearances = field(default_factory=dict, repr=False)

    @property
    def alpha_bar(self) -> float:
        return float(self.scheduler.alphas_cumprod[TIMESTEP])


def load_base(name: str) -> Base:
    """Load a base by folder, hub name or the word `tiny`.

    Raises:
        AliAugError: not a folder of that shape, not to be had from the hub, or of another
            architecture than the generator's.
    """
    folder = TINY_BASE_DIR if name == "tiny" else Path(name)
    source = str(folder) if folder.is_dir() else name
    if not folder.is_dir() and (folder.exists() or folder.is_absolute() or len(folder.parts) > 2):
        raise AliAugError(
            f"base {name}: {folder} is not a folder; expected {', '.join(PARTS)} in it"
        )
    if folder.is_dir():
        missing = [part for part in PARTS if not (folder / part).is_dir()]
        if missing:
            raise AliAugError(
                f"base {name}: not a diffusers folder; expected {', '.join(PARTS)}, "
                f"missing {', '.join(missing)}"
            )
    _silence_loaders()
    try:
        parts = {
            "vae": AutoencoderKL.from_pretrained(source, subfolder="vae"),
            "unet": UNet2DConditionModel.from_pretrained(source, subfolder="unet"),
            "text_encoder": CLIPTextModel.from_pretrained(source, subfolder="text_encoder"),
            "tokenizer": CLIPTokenizer.from_pretrained(source, subfolder="tokenizer"),
            "scheduler": DDPMScheduler.from_pretrained(source, subfolder="scheduler"),
        }
    except Exception as error:  # each library has its own per defect, safetensors' among them
        raise AliAugError(
            f"base {name}: cannot be loaded ({_first_line(error)}); give `tiny`, a folder in "
            "diffusers' layout, or a hub name with the network up"
        ) from error
    for part in WEIGHTED:
        parts[part] = parts[part].float()
    extras, conditioning = _load_extras(folder)
    base = Base(
        name=name,
        **parts,
        extras=extras,
        extras_conditioning=conditioning,
        appearances=_load_appearances(folder),
    )
    _check_architecture(base)
    return base


def _check_architecture(base: Base) -> None:
    """One step of another kind, or skips of another number, would train into noise."""
    schedule, levels = base.scheduler.config, len(base.vae.config.block_out_channels)
    kind, steps = schedule.prediction_type, schedule.num_train_timesteps
    faults = {
        f"scheduler has prediction_type {kind}, expected epsilon": kind != "epsilon",
        f"scheduler has {steps} timesteps, expected at least {TIMESTEP + 1}": steps <= TIMESTEP,
        f"vae has {levels} levels, expected {VAE_LEVELS}": levels != VAE_LEVELS,
    }
    for fault, present in faults.items():
        if present:
            raise AliAugError(
                f"base {base.name}: {fault}; take a one-step base like `tiny` or "
                "stabilityai/sd-turbo"
            )


def base_sha256(base: Base) -> str:
    """SHA-256 of a base's weights in FP32, whatever the precision and the files they came in.

    To be asked before a generator is made of the base, which widens its U-Net.
    """
    digest = hashlib.sha256()
    tensors = {
        f"{part}.{key}": value
        for part in WEIGHTED
        for key, value in getattr(base, part).state_dict().items()
    }
    tensors |= {f"extras.{key}": value for key, value in base.extras.items()}
    for key in sorted(tensors):
        digest.update(f"{key} {tuple(tensors[key].shape)};".encode())
        digest.update(tensors[key].detach().float().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()


def save_base(base: Base, folder: Path, *, half: bool = True) -> None:
    """Write `base` in diffusers' layout; with `half`, weights as FP16."""
    dtype = torch.float16 if half else torch.float32
    _silence_loaders()
    with files.staged_dir(folder) as staged:
        for part in WEIGHTED:
            module = copy.deepcopy(getattr(base, part)).to(dtype)  # rounding stays on the disk
            module.save_pretrained(staged / part, safe_serialization=True)
        base.tokenizer.save_pretrained(staged / "tokenizer")
        base.scheduler.save_pretrained(staged / "scheduler")
        if base.extras:
            save_file(
                {key: value.to(dtype).contiguous() for key, value in base.extras.items()},
                staged / EXTRAS,
            )
            files.write_json(staged / EXTRAS_FACTS, {"conditioning": base.extras_conditioning})
        if base.appearances:
            files.write_text(staged / looks.FILE, looks.to_text(base.appearances))


def generator_from(
    base: Base, conditioning: Conditioning, *, skips: bool = True, noise: bool = True
) -> Generator:
    """A generator over `base` (its modules, not copies), with its extras where they fit.

    Without `skips` their convolutions are zero, without `noise` that input is not heeded: the
    tensors are the same, so an ablated generator is trained, saved and exported like any other.

    Raises:
        AliAugError: the extras say that they fit, and do not.
    """
    generator = new_generator(base.vae, base.unet, conditioning, base.alpha_bar, noise=noise)
    if base.extras_conditioning == conditioning:
        try:
            load_extras(generator, base.extras)
        except (RuntimeError, KeyError) as error:
            raise AliAugError(
                f"base {base.name}: {EXTRAS} does not hold the convolutions of conditioning "
                f"{conditioning} ({_first_line(error)}); remove it to start those from zero"
            ) from error
    if not skips:
        for weight in generator.skips.parameters():
            torch.nn.init.zeros_(weight)
    return generator


def extras_of(generator: Generator) -> dict[str, Tensor]:
    """The convolutions that conditioning added: skips and the U-Net's `conv_in`."""
    state = {f"skips.{key}": value for key, value in generator.skips.state_dict().items()}
    conv_in = generator.unet.conv_in.state_dict()
    return {
        key: value.detach().clone()
        for key, value in {**state, **{f"conv_in.{k}": v for k, v in conv_in.items()}}.items()
    }


def load_extras(generator: Generator, extras: dict[str, Tensor]) -> None:
    """Put `extras_of` another generator of the same conditioning into this one.

    Where those are narrower they were made before the last inputs were thought of: these begin at
    zero, and change nothing yet.
    """
    for prefix, module in (("skips.", generator.skips), ("conv_in.", generator.unet.conv_in)):
        wanted = module.state_dict()
        given = {k.removeprefix(prefix): v for k, v in extras.items() if k.startswith(prefix)}
        module.load_state_dict({k: _widened(v, wanted.get(k, v)) for k, v in given.items()})


def _widened(weight: Tensor, like: Tensor) -> Tensor:
    """A convolution's `weight` with zeros for the input channels that it lacks."""
    if weight.dim() != 4 or weight.shape[1] >= like.shape[1]:
        return weight
    return F.pad(weight, (0, 0, 0, 0, 0, like.shape[1] - weight.shape[1]))


def _load_extras(folder: Path) -> tuple[dict[str, Tensor], Conditioning | None]:
    if not (folder / EXTRAS).is_file():
        return {}, None
    try:
        facts = json.loads((folder / EXTRAS_FACTS).read_text(encoding="utf-8"))
        conditioning: Conditioning = facts["conditioning"]
        extras = {key: value.float() for key, value in load_file(folder / EXTRAS).items()}
    except Exception as error:  # safetensors has an exception of its own per defect
        raise AliAugError(
            f"{folder}: {EXTRAS} or {EXTRAS_FACTS} cannot be read ({_first_line(error)}); "
            "copy the base again, whole"
        ) from error
    return extras, conditioning


def _load_appearances(folder: Path) -> looks.Appearances:
    path = folder / looks.FILE
    if not path.is_file():
        return {}
    try:
        text = path.read_text(encoding="utf-8")
        return looks.from_text(text, list(json.loads(text)))
    except (OSError, LookupError, TypeError, ValueError) as error:
        raise AliAugError(
            f"{path} cannot be read ({_first_line(error)}); copy the base again, whole, or, if it "
            "is of an earlier release, pretrain it again"
        ) from error


def _silence_loaders() -> None:
    """The libraries' own progress bars would mix with ours, and with `--quiet`."""
    diffusers.utils.logging.disable_progress_bar()
    transformers.utils.logging.disable_progress_bar()
    diffusers.utils.logging.set_verbosity_error()


def _first_line(error: Exception) -> str:
    return str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
