"""What a fine-tuning run is made of, as plain data that is saved beside its result."""

from __future__ import annotations

import dataclasses
import json
import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from aliaug_edge.errors import AliAugError
from aliaug_edge.model.adapters import UNET_TARGETS, VAE_TARGETS, AdapterSpec
from aliaug_edge.model.conditioning import CONDITIONINGS, Conditioning
from aliaug_edge.training.losses import LossWeights

LABEL_CARRIERS = ("text", "colour", "both", "none")
CONFIG = "config.json"


@dataclass(frozen=True)
class TrainConfig:
    """A run of `ali-aug train`.

    data: folder of photos and masks; pool and groups as for `load_dataset`. classes: those to
    learn, all of the folder where empty. max_defects: learn from so many photos with defects at
    most, classes in turn; 0 for all. label_carrier: `text` (a prompt per class), `colour` (the
    mask's colour), `both`, or `none` (every class is asked for alike). skips, noise: off for
    ablations; without noise a request has one answer. size: side of the square training crop in
    pixels, a multiple of 8. unpaired_share: share of samples that put another part's mask into a
    random good image.
    adversarial_from: first step with the discriminator, as a share of all steps.
    precision: auto | fp32 | bf16 (auto takes bf16 where the processor or GPU has it).
    """

    data: str
    base: str = "tiny"
    conditioning: Conditioning = "light"
    label_carrier: Literal["text", "colour", "both", "none"] = "text"
    skips: bool = True
    noise: bool = True
    classes: tuple[str, ...] = ()
    pool: str = "train"
    groups: str | None = None
    max_defects: int = 0
    rank_unet: int = 8
    alpha_unet: float = 8.0
    targets_unet: tuple[str, ...] = UNET_TARGETS
    rank_vae: int = 4
    alpha_vae: float = 4.0
    targets_vae: tuple[str, ...] = VAE_TARGETS
    steps: int = 600
    batch_size: int = 8
    size: int = 128
    learning_rate: float = 1e-3
    adversarial_from: float = 0.25
    unpaired_share: float = 0.3
    ema_decay: float = 0.99
    precision: Literal["auto", "fp32", "bf16"] = "auto"
    seed: int = 0
    weights: LossWeights = field(default_factory=LossWeights)

    def __post_init__(self) -> None:
        _check_kinds(self)
        _check_choice("conditioning", self.conditioning, CONDITIONINGS)
        _check_choice("label_carrier", self.label_carrier, LABEL_CARRIERS)
        _check_choice("precision", self.precision, ("auto", "fp32", "bf16"))
        if self.size % 8 or self.size < 32:
            raise AliAugError(f"size {self.size}: expected a multiple of 8, at least 32")
        for name in ("steps", "batch_size", "rank_unet", "rank_vae"):
            if getattr(self, name) < 1:
                raise AliAugError(f"{name} {getattr(self, name)}: expected at least 1")
        for name in ("learning_rate", "alpha_unet", "alpha_vae"):
            if not 0 < getattr(self, name) < math.inf:
                raise AliAugError(f"{name} {getattr(self, name)}: expected more than 0")
        for name in ("adversarial_from", "unpaired_share", "ema_decay"):
            if not 0 <= getattr(self, name) <= 1:
                raise AliAugError(f"{name} {getattr(self, name)}: expected 0 … 1")
        for name in ("seed", "max_defects"):
            if getattr(self, name) < 0:
                raise AliAugError(f"{name} {getattr(self, name)}: expected 0 or more")

    @property
    def by_text(self) -> bool:
        """Whether a class has a prompt of its own."""
        return self.label_carrier in ("text", "both")

    @property
    def by_colour(self) -> bool:
        """Whether a class has a mask colour of its own."""
        return self.label_carrier in ("colour", "both")

    @property
    def adapters(self) -> dict[str, AdapterSpec]:
        """The adapter of each part of the generator."""
        return {
            "unet": AdapterSpec(self.rank_unet, self.alpha_unet, self.targets_unet),
            "vae": AdapterSpec(self.rank_vae, self.alpha_vae, self.targets_vae),
        }


def config_document(config: TrainConfig) -> dict[str, Any]:
    """`config` as plain JSON data."""
    return dataclasses.asdict(config)


def load_config(path: Path) -> TrainConfig:
    """Read a config that a run saved, or that a user wrote (missing fields take their defaults).

    Raises:
        AliAugError: not JSON, unknown field, or a value out of range.
    """
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise AliAugError(f"config {path} cannot be read as JSON: {error}") from error
    known = {f.name for f in dataclasses.fields(TrainConfig)}
    if not isinstance(document, dict) or "data" not in document:
        raise AliAugError(f"config {path}: expected an object with at least the field `data`")
    if unknown := sorted(set(document) - known):
        raise AliAugError(f"config {path}: unknown fields {unknown}; known are {sorted(known)}")
    try:
        weights = LossWeights(**document.pop("weights", {}))
        lists = {k: tuple(v) for k, v in document.items() if isinstance(v, list)}
        return TrainConfig(**{**document, **lists, "weights": weights})
    except (TypeError, AliAugError) as error:
        raise AliAugError(f"config {path}: {error}") from error


_KINDS: dict[str, tuple[type, ...]] = {
    "str": (str,),
    "str | None": (str, type(None)),
    "bool": (bool,),
    "int": (int,),
    "float": (int, float),
    "tuple[str, ...]": (tuple,),
}


def _check_kinds(config: Any) -> None:
    """Refuse values of another kind than the field's: a JSON file may hold anything."""
    for field_ in dataclasses.fields(config):
        value, kinds = getattr(config, field_.name), _KINDS.get(str(field_.type))
        fits = kinds is None or (
            isinstance(value, kinds) and isinstance(value, bool) == (bool in kinds)
        )
        if isinstance(value, tuple):
            fits = fits and all(isinstance(item, str) for item in value)
        if not fits:
            raise AliAugError(f"{field_.name} {value!r}: expected {field_.type}")


def _check_choice(name: str, value: str, choices: tuple[str, ...]) -> None:
    if value not in choices:
        raise AliAugError(f"{name} {value!r}: expected one of {', '.join(choices)}")
