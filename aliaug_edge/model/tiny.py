"""The `tiny` base: Stable Diffusion's architecture in small, and its tokenizer.

The shape follows the clock: at full resolution there are 16 channels, the capacity sits in the
U-Net, which works on 1/64 of the pixels. `docs/decisions/0003-shape-of-tiny.md` has the figures.
"""

from __future__ import annotations

import itertools

from diffusers import AutoencoderKL, DDPMScheduler, UNet2DConditionModel
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTokenizer

TEXT_WIDTH = 64
PROMPT_TOKENS = 77
START, END = "<|startoftext|>", "<|endoftext|>"


def new_vae() -> AutoencoderKL:
    """Autoencoder with factor 8, four latent channels and unit-scaled latents."""
    return AutoencoderKL(
        latent_channels=4,
        block_out_channels=(16, 32, 64, 64),
        layers_per_block=1,
        norm_num_groups=8,
        down_block_types=("DownEncoderBlock2D",) * 4,
        up_block_types=("UpDecoderBlock2D",) * 4,
        sample_size=128,
        scaling_factor=1.0,
    )


def new_unet() -> UNet2DConditionModel:
    """Two-level U-Net with cross-attention on both levels."""
    return UNet2DConditionModel(
        sample_size=16,
        in_channels=4,
        out_channels=4,
        block_out_channels=(64, 128),
        layers_per_block=1,
        cross_attention_dim=TEXT_WIDTH,
        attention_head_dim=4,
        norm_num_groups=16,
        down_block_types=("CrossAttnDownBlock2D",) * 2,
        up_block_types=("CrossAttnUpBlock2D",) * 2,
        use_linear_projection=True,
    )


def new_scheduler() -> DDPMScheduler:
    """A schedule that ends at √ᾱ = 0.9, so that x0 = 1.11·z_t − 0.48·ε.

    Stable Diffusion's ends at 0.068 and amplifies every error of ε by 14.6, which a small U-Net
    trained for an hour cannot afford; and noise that drowns the latent at first teaches the decoder
    to ignore it.
    """
    return DDPMScheduler(
        num_train_timesteps=1000,
        beta_schedule="linear",
        beta_start=0.00001,
        beta_end=0.000412,
        prediction_type="epsilon",
        clip_sample=False,
    )


def new_text_encoder(vocabulary_size: int) -> CLIPTextModel:
    """Two-layer CLIP text encoder, 64 wide."""
    return CLIPTextModel(
        CLIPTextConfig(
            vocab_size=vocabulary_size,
            hidden_size=TEXT_WIDTH,
            intermediate_size=2 * TEXT_WIDTH,
            num_hidden_layers=2,
            num_attention_heads=4,
            max_position_embeddings=PROMPT_TOKENS,
            projection_dim=TEXT_WIDTH,
            bos_token_id=vocabulary_size - 2,
            eos_token_id=vocabulary_size - 1,
            pad_token_id=vocabulary_size - 1,
        )
    )


def new_tokenizer(words: tuple[str, ...]) -> CLIPTokenizer:
    """A byte-level BPE tokenizer in CLIP's format which knows `words` and spells everything else.

    Each word becomes one token: the merges of the words before it are applied as a reader of the
    file would, then the pieces that are left are chained from the left. An unknown word falls into
    bytes, so any class name has a prompt of its own.
    """
    characters = _byte_characters()
    symbols = [*characters, *(c + "</w>" for c in characters)]
    ranks: dict[tuple[str, str], int] = {}
    for word in sorted(set(words)):
        pieces = _merged([*word[:-1], word[-1] + "</w>"], ranks)
        while len(pieces) > 1:
            ranks[pieces[0], pieces[1]] = len(ranks)
            symbols.append(pieces[0] + pieces[1])
            pieces = [pieces[0] + pieces[1], *pieces[2:]]
    vocabulary = {symbol: index for index, symbol in enumerate(dict.fromkeys(symbols))}
    for special in (START, END):
        vocabulary[special] = len(vocabulary)
    return CLIPTokenizer(vocab=vocabulary, merges=list(ranks), model_max_length=PROMPT_TOKENS)


def _merged(pieces: list[str], ranks: dict[tuple[str, str], int]) -> list[str]:
    """`pieces` after byte-pair encoding: the known pair of lowest rank is merged first."""
    while known := [pair for pair in itertools.pairwise(pieces) if pair in ranks]:
        best = min(known, key=ranks.__getitem__)
        at = list(itertools.pairwise(pieces)).index(best)
        pieces = [*pieces[:at], best[0] + best[1], *pieces[at + 2 :]]
    return pieces


def _byte_characters() -> list[str]:
    """The 256 printable stand-ins for bytes that byte-level BPE uses (GPT-2's table)."""
    printable = [*range(33, 127), *range(161, 173), *range(174, 256)]
    table = {byte: chr(byte) for byte in printable}
    for shift, byte in enumerate(b for b in range(256) if b not in table):
        table[byte] = chr(256 + shift)
    return [table[byte] for byte in range(256)]
