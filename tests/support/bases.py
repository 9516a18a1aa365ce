"""A real base and a real data set, both as small as their formats allow.

The base has Stable Diffusion's own noise schedule (√ᾱ = 0.068 at the last step), which the shipped
`tiny` has not: so x0 ≈ 14.65·z_t − 14.61·ε, and an inert U-Net or a lost factor shows at once.
"""

from __future__ import annotations

from pathlib import Path

import torch
from diffusers import AutoencoderKL, DDPMScheduler, UNet2DConditionModel
from PIL import Image
from transformers import CLIPTextConfig, CLIPTextModel

from aliaug_edge.data.procedural import render_pair
from aliaug_edge.model import tiny
from aliaug_edge.model.base import Base, extras_of, generator_from, save_base
from aliaug_edge.model.conditioning import Conditioning

TEXT_WIDTH = 16
CLASSES = ("crack", "stain")


def micro_base(seed: int = 0) -> Base:
    """The base in memory: a few ten thousand parameters, FP32, drawn from `seed`."""
    torch.manual_seed(seed)
    tokenizer = tiny.new_tokenizer(("a", "add", "defect", *CLASSES))
    return Base(
        name="micro",
        vae=_vae().eval(),
        unet=_unet().eval(),
        text_encoder=_text_encoder(len(tokenizer)).eval(),
        tokenizer=tokenizer,
        scheduler=stable_diffusion_scheduler(),
    )


def write_base(
    folder: Path, *, conditioning: Conditioning | None = None, half: bool = False
) -> Path:
    """Write a checkpoint in diffusers' layout; with `conditioning`, its convolutions beside it."""
    base = micro_base()
    if conditioning is not None:
        unet = _unet()
        unet.load_state_dict(base.unet.state_dict())
        widened = Base(**{**vars(base), "unet": unet})
        generator = generator_from(widened, conditioning)
        noise = torch.Generator().manual_seed(1)
        with torch.no_grad():
            for skip in generator.skips:
                skip.weight.copy_(0.05 * torch.randn(skip.weight.shape, generator=noise))
        base = Base(
            **{**vars(base), "extras": extras_of(generator), "extras_conditioning": conditioning}
        )
    save_base(base, folder, half=half)
    return folder


def stable_diffusion_scheduler() -> DDPMScheduler:
    """Stable Diffusion's schedule, as SD-Turbo has it."""
    return DDPMScheduler(
        num_train_timesteps=1000,
        beta_schedule="scaled_linear",
        beta_start=0.00085,
        beta_end=0.012,
        prediction_type="epsilon",
        clip_sample=False,
        timestep_spacing="trailing",  # one step is then t = 999
    )


def write_dataset(folder: Path, *, defects: int = 4, goods: int = 4) -> Path:
    """A folder in MVTec's layout: two classes, photos of 96 x 128 pixels, and good ones."""
    for number, name in enumerate(CLASSES):
        for index in range(defects):
            pair = render_pair(100 * number + index, 96, 128, defect_class=name)
            _save(folder / "test" / name / f"{index:03d}.png", pair.defect)
            _save(folder / "ground_truth" / name / f"{index:03d}_mask.png", pair.mask)
    for index in range(goods):
        _save(
            folder / "train" / "good" / f"{index:03d}.png", render_pair(500 + index, 96, 128).good
        )
    return folder


def _vae() -> AutoencoderKL:
    return AutoencoderKL(
        latent_channels=4,
        block_out_channels=(8, 8, 16, 16),
        layers_per_block=1,
        norm_num_groups=4,
        down_block_types=("DownEncoderBlock2D",) * 4,
        up_block_types=("UpDecoderBlock2D",) * 4,
        sample_size=64,
    )


def _unet() -> UNet2DConditionModel:
    return UNet2DConditionModel(
        sample_size=8,
        in_channels=4,
        out_channels=4,
        block_out_channels=(16, 16),
        layers_per_block=1,
        cross_attention_dim=TEXT_WIDTH,
        attention_head_dim=2,
        norm_num_groups=4,
        down_block_types=("DownBlock2D",) * 2,  # attention in the middle block alone: each
        up_block_types=("UpBlock2D",) * 2,  # transformer costs seconds when a graph is traced
        use_linear_projection=True,
    )


def _text_encoder(vocabulary_size: int) -> CLIPTextModel:
    return CLIPTextModel(
        CLIPTextConfig(
            vocab_size=vocabulary_size,
            hidden_size=TEXT_WIDTH,
            intermediate_size=2 * TEXT_WIDTH,
            num_hidden_layers=1,
            num_attention_heads=2,
            max_position_embeddings=tiny.PROMPT_TOKENS,
            projection_dim=TEXT_WIDTH,
            bos_token_id=vocabulary_size - 2,
            eos_token_id=vocabulary_size - 1,
            pad_token_id=vocabulary_size - 1,
        )
    )


def _save(path: Path, pixels: object) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)
