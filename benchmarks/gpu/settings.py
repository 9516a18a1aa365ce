"""What a run measures: on a GPU, or in small on the CPU to prove that the script works."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import Any

SD_TURBO_UNET: dict[str, Any] = {
    "sample_size": 64,
    "block_out_channels": (320, 640, 1280, 1280),
    "layers_per_block": 2,
    "cross_attention_dim": 1024,
    "attention_head_dim": (5, 10, 20, 20),
    "use_linear_projection": True,
}
SD_TURBO_VAE: dict[str, Any] = {
    "latent_channels": 4,
    "block_out_channels": (128, 256, 512, 512),
    "layers_per_block": 2,
    "down_block_types": ("DownEncoderBlock2D",) * 4,
    "up_block_types": ("UpDecoderBlock2D",) * 4,
}
# The same kinds of blocks, few and narrow: what --cpu runs.
SMALL_UNET = SD_TURBO_UNET | {
    "block_out_channels": (32, 32),
    "down_block_types": ("CrossAttnDownBlock2D", "DownBlock2D"),
    "up_block_types": ("UpBlock2D", "CrossAttnUpBlock2D"),
    "layers_per_block": 1,
    "cross_attention_dim": 16,
    "attention_head_dim": 2,
}
SMALL_VAE = SD_TURBO_VAE | {"block_out_channels": (32, 32, 32, 32), "layers_per_block": 1}


@dataclass(frozen=True)
class Settings:
    """`sizes` are sides in pixels, the first is the one that correctness and memory look at.
    `rounds` is how often the engines take turns, `images` how many `generate` makes."""

    work: Path
    cpu: bool = False
    sizes: tuple[int, ...] = (512, 256)
    batches: tuple[int, ...] = (1, 2, 4, 8)
    rounds: int = 100
    images: int = 48
    matrix_side: int = 8192
    level: int = 3
    unet: dict[str, Any] = dataclasses.field(default_factory=lambda: SD_TURBO_UNET)
    vae: dict[str, Any] = dataclasses.field(default_factory=lambda: SD_TURBO_VAE)

    @property
    def device(self) -> str:
        """In torch's words."""
        return "cpu" if self.cpu else "cuda"

    @property
    def onnxruntime(self) -> str:
        """The name of ONNX Runtime's engine here."""
        return f"onnxruntime-{self.device}"

    @property
    def engines(self) -> tuple[str, ...]:
        """Engines of ours that could run here."""
        return (self.onnxruntime,) if self.cpu else (self.onnxruntime, "tensorrt")


def small(work: Path) -> Settings:
    """Every path that the CPU can take, in seconds."""
    return Settings(
        work,
        cpu=True,
        sizes=(128, 64),
        batches=(1, 2),
        rounds=3,
        images=3,
        matrix_side=256,
        unet=SMALL_UNET,
        vae=SMALL_VAE,
    )
