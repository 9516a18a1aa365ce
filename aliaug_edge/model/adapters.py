"""LoRA adapters: put into the generator, saved in PEFT's format, merged as state dicts.

Targets and ranks are the released Ali-AUG model's (rank 8 on the U-Net, 4 on the VAE); `alpha` is
always explicit, because PEFT's default of 8 would silently scale a rank-4 adapter by two.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from peft import LoraConfig, get_peft_model_state_dict, set_peft_model_state_dict
from peft.mapping import inject_adapter_in_model
from safetensors.torch import load_file, save
from torch import Tensor, nn

from aliaug_edge import files
from aliaug_edge.errors import AliAugError
from aliaug_edge.model.generator import Generator

ADAPTER = "default"
ATTENTION = ("to_k", "to_q", "to_v", "to_out.0")
RESNET = ("conv", "conv1", "conv2", "conv_shortcut", "conv_out")
UNET_TARGETS = (*ATTENTION, *RESNET, "proj_in", "proj_out", "ff.net.2", "ff.net.0.proj")
VAE_TARGETS = (*ATTENTION, *RESNET, "conv_in")
WEIGHTS = "adapter_model.safetensors"
PEFT_PREFIX = "base_model.model."  # of every key in a file that PEFT itself writes and reads


@dataclass(frozen=True)
class AdapterSpec:
    """One adapter: rank, alpha (the update is scaled by alpha / rank) and target layers."""

    rank: int
    alpha: float
    targets: tuple[str, ...]

    @property
    def scale(self) -> float:
        return self.alpha / self.rank


def add_adapters(generator: Generator, specs: Mapping[str, AdapterSpec]) -> None:
    """Wrap the target layers of `unet` and `vae` in place; at first the adapters change nothing.

    With the `paper` conditioning the skip convolutions get the VAE's adapter too, as released.

    Raises:
        AliAugError: none of the target layers of a part is there.
    """
    for part, spec in specs.items():
        try:
            inject_adapter_in_model(_lora_config(spec), getattr(generator, part), ADAPTER)
        except ValueError as error:
            raise AliAugError(f"targets_{part}: {error}") from error
    if generator.conditioning == "paper" and "vae" in specs:
        skips = tuple(str(i) for i in range(len(generator.skips)))
        spec = AdapterSpec(specs["vae"].rank, specs["vae"].alpha, skips)
        inject_adapter_in_model(_lora_config(spec), generator.skips, ADAPTER)


def trainable_parameters(generator: Generator, *, skips: bool = True) -> list[nn.Parameter]:
    """Freeze the base; return what fine-tuning trains: adapters, skips, input convolution.

    Without `skips` theirs stay as they are, their adapters included.
    """
    generator.requires_grad_(False)
    conv_in = generator.unet.conv_in
    named = [(n, p) for n, p in generator.named_parameters() if skips or n[:6] != "skips."]
    trained = [p for name, p in named if "lora_" in name]
    trained += [p for name, p in named if name[:6] == "skips." and "lora_" not in name]
    trained += list(conv_in.parameters())
    for parameter in trained:
        parameter.requires_grad_(True)
    return trained


def save_adapters(generator: Generator, specs: Mapping[str, AdapterSpec], folder: Path) -> None:
    """Write `<folder>/<part>/adapter_model.safetensors` and `adapter_config.json`, as PEFT does."""
    for part, spec in specs.items():
        state = get_peft_model_state_dict(getattr(generator, part), adapter_name=ADAPTER)
        plain = {PEFT_PREFIX + k: v.detach().cpu().contiguous() for k, v in state.items()}
        files.write_bytes(folder / part / WEIGHTS, save(plain))
        config = {
            "peft_type": "LORA",
            "r": spec.rank,
            "lora_alpha": spec.alpha,
            "target_modules": sorted(spec.targets),
            "lora_dropout": 0.0,
            "bias": "none",
        }
        files.write_json(folder / part / "adapter_config.json", config)


def load_adapters(generator: Generator, parts: tuple[str, ...], folder: Path) -> None:
    """Read what `save_adapters` wrote into a generator with the same adapters.

    Raises:
        AliAugError: a file is missing or does not fit.
    """
    for part in parts:
        path = folder / part / WEIGHTS
        try:
            state = load_file(path)
        except Exception as error:  # safetensors has an exception of its own per defect
            raise AliAugError(f"{path} cannot be read: {error}; train again") from error
        if not _put(getattr(generator, part), state):
            raise AliAugError(f"{path} does not fit this base and configuration; train again")


def _put(module: nn.Module, state: Mapping[str, Tensor]) -> bool:
    """Fill the adapters of `module`; False where names or shapes differ."""
    plain = {key.removeprefix(PEFT_PREFIX): value for key, value in state.items()}
    try:
        result = set_peft_model_state_dict(module, plain, adapter_name=ADAPTER)
    except RuntimeError:  # another rank
        return False
    return not result.unexpected_keys and not any("lora_" in key for key in result.missing_keys)


def merge_adapter(state: Mapping[str, Tensor], scale: float) -> dict[str, Tensor]:
    """The state dict of the plain module whose output equals the adapted one's.

    W' = W + scale · B·A for linear layers, the same over kernel positions for convolutions
    (Hu et al. 2021). `state` is left alone; the result shares no memory with it.
    """
    merged: dict[str, Tensor] = {}
    for key, value in state.items():
        if ".lora_" in key:
            continue
        plain = key.replace(".base_layer.", ".")
        merged[plain] = value.detach().clone()
        prefix = key.removesuffix("base_layer.weight")
        if prefix != key and f"{prefix}lora_A.{ADAPTER}.weight" in state:
            down = state[f"{prefix}lora_A.{ADAPTER}.weight"].detach().float()
            up = state[f"{prefix}lora_B.{ADAPTER}.weight"].detach().float()
            merged[plain] = (value.detach().float() + scale * _product(up, down)).to(value.dtype)
    return merged


def _product(up: Tensor, down: Tensor) -> Tensor:
    if down.dim() == 2:
        return up @ down
    return torch.einsum("or,rikl->oikl", up.flatten(1), down)


def _lora_config(spec: AdapterSpec) -> LoraConfig:
    return LoraConfig(
        r=spec.rank, lora_alpha=spec.alpha, target_modules=list(spec.targets), lora_dropout=0.0
    )
