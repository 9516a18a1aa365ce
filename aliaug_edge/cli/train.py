"""`ali-aug train`, `ali-aug pretrain`, `ali-aug export`: the torch half behind the command line."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from aliaug_edge.cli.options import Base, Classes, Conditioning, Groups, Pool, Quiet, Seed
from aliaug_edge.cli.require import require
from aliaug_edge.cli.say import say
from aliaug_edge.cli.values import read_base, read_names, read_sizes
from aliaug_edge.extras import EXPORT, EXPORT_EXTRAS, TRAIN, TRAIN_EXTRAS


def train(
    context: typer.Context,
    data: Annotated[
        Path | None,
        typer.Argument(help="Folder of photos and masks (see `ali-aug data check`)."),
    ] = None,
    out: Annotated[Path | None, typer.Option("--out", "-o", help="Run folder.")] = None,
    config: Annotated[
        Path | None,
        typer.Option(help="Take everything from a config.json that a run saved."),
    ] = None,
    base: Base = "tiny",
    conditioning: Conditioning = "light",
    label_carrier: Annotated[str, typer.Option(help="text, colour, both or none.")] = "text",
    classes: Classes = "",
    pool: Pool = "train",
    groups: Groups = None,
    steps: Annotated[int, typer.Option(help="Training steps.")] = 600,
    batch_size: Annotated[int, typer.Option(help="Samples per step.")] = 8,
    size: Annotated[int, typer.Option(help="Side of the training crop in pixels.")] = 128,
    learning_rate: Annotated[float, typer.Option(help="Peak learning rate.")] = 1e-3,
    rank_unet: Annotated[int, typer.Option(help="LoRA rank on the U-Net.")] = 8,
    rank_vae: Annotated[int, typer.Option(help="LoRA rank on the VAE.")] = 4,
    alpha_unet: Annotated[float, typer.Option(help="LoRA alpha on the U-Net.")] = 8.0,
    alpha_vae: Annotated[float, typer.Option(help="LoRA alpha on the VAE.")] = 4.0,
    precision: Annotated[str, typer.Option(help="auto, fp32 or bf16.")] = "auto",
    seed: Seed = 0,
    quiet: Quiet = False,
) -> None:
    """Train LoRA adapters on a folder of masked defects. Continues a run that was cut short."""
    require(TRAIN, TRAIN_EXTRAS)
    from aliaug_edge.training.config import TrainConfig, load_config
    from aliaug_edge.training.trainer import train as run

    if config is not None and data is None:
        _refuse_others(context, {"config", "out", "quiet"})
        settings, out = load_config(config), out or config.parent
    elif data is None or out is None or config is not None:
        raise typer.BadParameter("give DATA and --out RUN, or --config FILE alone")
    else:
        settings = TrainConfig(
            data=str(data.resolve()),
            base=read_base(base),
            conditioning=conditioning,  # type: ignore[arg-type]  # checked by TrainConfig
            label_carrier=label_carrier,  # type: ignore[arg-type]
            classes=read_names(classes),
            pool=pool,
            groups=str(groups.resolve()) if groups else None,
            steps=steps,
            batch_size=batch_size,
            size=size,
            learning_rate=learning_rate,
            rank_unet=rank_unet,
            rank_vae=rank_vae,
            alpha_unet=alpha_unet,
            alpha_vae=alpha_vae,
            precision=precision,  # type: ignore[arg-type]
            seed=seed,
        )
    run(settings, out, progress=not quiet)
    typer.echo(f"saved {out}; next: ali-aug export {out} -o BUNDLE")


def _refuse_others(context: typer.Context, allowed: set[str]) -> None:
    """Options that a config file overrules must not be given beside it, only to be ignored."""
    sources = {name: context.get_parameter_source(name) for name in context.params}
    given = {n for n, source in sources.items() if source and source.name == "COMMANDLINE"}
    if others := sorted(given - allowed):
        flags = ", ".join("--" + name.replace("_", "-") for name in others)
        raise typer.BadParameter(f"--config says everything; drop {flags}, or edit the file")


def pretrain(
    out: Annotated[
        Path, typer.Option("--out", "-o", help="Folder of the run; base in <out>/base.")
    ],
    steps: Annotated[int, typer.Option(help="Training steps.")] = 5200,
    pairs: Annotated[int, typer.Option(help="Procedural pairs to render.")] = 12000,
    batch_size: Annotated[int, typer.Option(help="Pairs per step.")] = 8,
    conditioning: Conditioning = "light",
    seed: Seed = 7,
    quiet: Quiet = False,
) -> None:
    """Train a base of your own on procedural surfaces, from nothing."""
    require(TRAIN, TRAIN_EXTRAS)
    from aliaug_edge.training.pretrain import pretrain as run
    from aliaug_edge.training.pretrain import settings_for

    settings = settings_for(steps, pairs, batch_size, conditioning, seed)
    folder = run(settings, out, progress=not quiet)
    typer.echo(f"saved {folder}; next: ali-aug train DATA -o RUN --base {folder}")


def export(
    source: Annotated[str, typer.Argument(help="A finished run, or a base (folder or `tiny`).")],
    out: Annotated[Path, typer.Option("--out", "-o", help="Bundle folder to write.")],
    precision: Annotated[str, typer.Option(help="fp32 or fp16 (in the graph).")] = "fp32",
    sizes: Annotated[
        str, typer.Option(help="Sizes the bundle may be used at, such as 128,128x192.")
    ] = "128,256",
    opset: Annotated[
        int, typer.Option(help="ONNX opset, 17 (for TensorRT 8.5 and 8.6) to 20.")
    ] = 20,
    as_json: Annotated[bool, typer.Option("--json", help="Print the parity as JSON.")] = False,
) -> None:
    """Merge the adapters, write ONNX graphs, prove their parity, and pack a bundle."""
    require(EXPORT, EXPORT_EXTRAS)
    from aliaug_edge.bundle import load_bundle
    from aliaug_edge.export.pipeline import ExportSettings
    from aliaug_edge.export.pipeline import export as run
    from aliaug_edge.files import json_text

    settings = ExportSettings(precision=precision, sizes=read_sizes(sizes, "--sizes"), opset=opset)
    folder = run(source, out, settings, say=say)
    if as_json:
        typer.echo(json_text(dict(load_bundle(folder).parity)), nl=False)
    else:
        typer.echo(f"saved {folder}; next: ali-aug generate {folder} --images GOOD --out DATASET")
