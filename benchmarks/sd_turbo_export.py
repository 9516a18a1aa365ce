"""Does a model of SD-Turbo's size go through `ali-aug export`? Random weights, made on the spot.

    python benchmarks/sd_turbo_export.py [--precision fp32] [--side 64]

The base is written to the disk as a user's would be, exported, and its parity measured on real
inputs of `side`² pixels. Writes several GB to the temporary folder.
"""

from __future__ import annotations

import argparse
import resource
import tempfile
import time
from pathlib import Path

import torch
from diffusers import AutoencoderKL, DDPMScheduler, UNet2DConditionModel
from gpu.settings import SD_TURBO_UNET, SD_TURBO_VAE
from transformers import CLIPTextConfig, CLIPTextModel

from aliaug_edge.bundle import load_bundle
from aliaug_edge.export.pipeline import ExportSettings, export
from aliaug_edge.model import tiny
from aliaug_edge.model.base import Base, extras_of, generator_from, save_base

SPREAD = 0.02  # of the weights that conditioning adds; at zero neither mask nor grain would act
STARTED = time.perf_counter()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--precision", choices=("fp32", "fp16"), default="fp32")
    parser.add_argument("--side", type=int, default=64, help="pixels, a multiple of 64")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        base = Path(scratch) / "base"
        write_base(base)
        say("base written")
        size = (arguments.side, arguments.side)
        settings = ExportSettings(precision=arguments.precision, sizes=(size,))
        out = export(str(base), Path(scratch) / "bundle", settings, say=say)
        for path in sorted(p for p in out.rglob("*") if p.is_file()):
            print(f"{path.stat().st_size:>14,}  {path.relative_to(out)}")
        say(f"parity {load_bundle(out).parity['verdict']}")


def write_base(folder: Path) -> None:
    """A base of SD-Turbo's geometry and schedule; its text encoder is as wide, and small."""
    torch.manual_seed(0)
    unet = UNet2DConditionModel(**SD_TURBO_UNET)
    narrow = {name: value.clone() for name, value in unet.conv_in.state_dict().items()}
    base = Base(
        name="sd-turbo-geometry",
        vae=AutoencoderKL(**SD_TURBO_VAE),
        unet=unet,
        text_encoder=text_encoder(),
        tokenizer=tiny.new_tokenizer(("add", "defect")),
        scheduler=DDPMScheduler(beta_schedule="scaled_linear", beta_start=0.00085, beta_end=0.012),
    )
    generator = generator_from(base, "light")
    with torch.no_grad():
        for weight in (*generator.skips.parameters(), unet.conv_in.weight):
            weight.normal_(std=SPREAD)
    extras = extras_of(generator)
    unet.conv_in = torch.nn.Conv2d(4, unet.conv_in.out_channels, 3, padding=1)
    unet.conv_in.load_state_dict(narrow)
    unet.register_to_config(in_channels=4)
    whole = Base(**{**vars(base), "extras": extras, "extras_conditioning": "light"})
    save_base(whole, folder)


def text_encoder() -> CLIPTextModel:
    vocabulary = len(tiny.new_tokenizer(("add", "defect")))
    return CLIPTextModel(
        CLIPTextConfig(
            vocab_size=vocabulary,
            hidden_size=SD_TURBO_UNET["cross_attention_dim"],
            intermediate_size=2048,
            num_hidden_layers=1,
            num_attention_heads=16,
            max_position_embeddings=77,
            bos_token_id=vocabulary - 2,
            eos_token_id=vocabulary - 1,
            pad_token_id=vocabulary - 1,
        )
    )


def say(what: str) -> None:
    """A line with seconds since the start and the largest memory so far."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    print(f"{time.perf_counter() - STARTED:7.1f} s  {peak:5.1f} GiB  {what}", flush=True)


if __name__ == "__main__":
    main()
