"""Prompts: the text of a class, and its embedding."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from transformers import CLIPTextModel, PreTrainedTokenizerBase

PROMPT_TOKENS = 77
COLOUR_PROMPT = "add a defect"  # constant where the mask's colour carries the class


def class_prompt(defect_class: str) -> str:
    """The default prompt of a class: its name in words."""
    return f"a {defect_class.replace('_', ' ').replace('-', ' ')}"


def embed_prompts(
    tokenizer: PreTrainedTokenizerBase, text_encoder: CLIPTextModel, prompts: Sequence[str]
) -> Tensor:
    """Last hidden states (len(prompts), 77, D) float32 of the frozen or trained text encoder."""
    ids = tokenizer(
        list(prompts),
        padding="max_length",
        max_length=PROMPT_TOKENS,
        truncation=True,
        return_tensors="pt",
    ).input_ids
    device = next(text_encoder.parameters()).device
    states: Tensor = text_encoder(input_ids=ids.to(device)).last_hidden_state
    return states.float()


@torch.no_grad()
def class_embeddings(
    tokenizer: PreTrainedTokenizerBase, text_encoder: CLIPTextModel, prompts: Sequence[str]
) -> Tensor:
    """`embed_prompts` without gradients, each prompt by itself: no padding rule mixes them."""
    return torch.cat([embed_prompts(tokenizer, text_encoder, [p]) for p in prompts])
