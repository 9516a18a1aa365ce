"""`ali-aug generate`: a labelled synthetic dataset from good images and a bundle."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from aliaug_edge.cli.options import AsJson, BundleName, Threads
from aliaug_edge.cli.values import read_names
from aliaug_edge.errors import AliAugError

if TYPE_CHECKING:
    from aliaug_edge.generation.plan import Plan
    from aliaug_edge.generation.summary import Summary

Range = tuple[float, float]


def _range(text: str, flag: str) -> Range:
    """LOW:HIGH, or one number for both."""
    try:
        low, _, high = text.partition(":")
        return float(low), float(high or low)
    except ValueError:
        raise typer.BadParameter(f"expected LOW:HIGH, got {text!r}", param_hint=flag) from None


def _shares(text: str) -> tuple[tuple[str, ...], tuple[int, ...]]:
    """Classes, and the count of each where the text says `name:count`."""
    names, counts = [], []
    for entry in read_names(text):
        name, colon, count = entry.rpartition(":")
        names.append(name if colon else entry)
        if colon and not count.isdecimal():
            raise typer.BadParameter(f"expected NAME:COUNT, got {entry!r}", param_hint="--classes")
        counts += [int(count)] if colon else []
    return tuple(names), tuple(counts)


def generate(
    bundle: BundleName,
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder for the dataset.")],
    images: Annotated[
        Path | None,
        typer.Option(help="Folder of good images; with tiny, left out = drawn surfaces."),
    ] = None,
    count: Annotated[
        int | None,
        typer.Option("--count", "-n", min=1, help="Samples to request; 20 when left out."),
    ] = None,
    classes: Annotated[
        str,
        typer.Option(help="Classes by comma, each with :COUNT or none; all when left out."),
    ] = "",
    seed: Annotated[int, typer.Option(help="Same seed, same engine: same bytes.")] = 0,
    masks: Annotated[
        Path | None, typer.Option(help="Folder of masks, one per image, of the image's name.")
    ] = None,
    area: Annotated[
        str | None, typer.Option(help="Mask area LOW:HIGH as fractions of the image.")
    ] = None,
    severity: Annotated[str, typer.Option(help="LOW:HIGH in 0 … 1.")] = "0.5:1",
    blend: Annotated[str, typer.Option(help="none, feather or hard.")] = "feather",
    labels: Annotated[
        str, typer.Option(help="Label formats, comma-separated; none for no labels.")
    ] = "coco,yolo,mvtec",
    label_carrier: Annotated[
        str,
        typer.Option(help="Insist that the bundle names classes by text, colour or both."),
    ] = "",
    engine: Annotated[
        str,
        typer.Option(
            help="onnxruntime-cpu, onnxruntime-cuda, onnxruntime-tensorrt or tensorrt; auto takes "
            "the best that runs here."
        ),
    ] = "auto",
    threads: Threads = None,
    retries: Annotated[
        int, typer.Option(min=0, help="New seeds to try before a sample is rejected.")
    ] = 2,
    min_change: Annotated[
        float, typer.Option(min=0, help="Reject below this change in the mask, grey levels.")
    ] = 3.0,
    min_preservation: Annotated[
        float, typer.Option(min=0, help="Reject below this PSNR outside the mask, dB.")
    ] = 20.0,
    quality: Annotated[
        str,
        typer.Option(
            help="calibrated: also reject what no real defect of the class looks like, where the "
            "bundle knows; basic: only by the two limits above; off: keep everything."
        ),
    ] = "calibrated",
    backdrop: Annotated[
        str,
        typer.Option(
            help="What parts lie on, so that defects do not land there: none (the whole image is "
            "the part), plain (one colour), uneven (light falls off); learned: as the bundle says."
        ),
    ] = "learned",
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Print the plan; write nothing.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Put named defects into good images, with labels."""
    from aliaug_edge.assets import resolve_bundle
    from aliaug_edge.bundle import load_bundle
    from aliaug_edge.generation.request import RunSettings
    from aliaug_edge.generation.run import generate_dataset, plan_dataset

    if images is None and bundle != "tiny":
        raise typer.BadParameter("needed for every bundle but tiny", param_hint="--images")
    names, per_class = _shares(classes)
    settings = RunSettings(
        count=count or sum(per_class) or 20,
        classes=names,
        per_class=per_class,
        seed=seed,
        area=_range(area, "--area") if area else None,
        severity=_range(severity, "--severity"),
        blend=blend,
        labels=() if labels == "none" else read_names(labels),
        engine=engine,
        retries=retries,
        min_change=min_change,
        min_preservation=min_preservation,
        quality=quality,
        backdrop=backdrop,
    )
    loaded = load_bundle(resolve_bundle(bundle))
    if label_carrier:
        loaded.require_carrier(label_carrier)
    if dry_run:
        return _print_plan(plan_dataset(loaded, settings, out, images, masks), as_json)
    show = _progress if sys.stderr.isatty() and not as_json else None
    summary = generate_dataset(loaded, settings, out, images, masks, threads=threads, progress=show)
    return _print_summary(summary, bundle, as_json)


def _print_plan(plan: Plan, as_json: bool) -> None:
    if as_json:
        typer.echo(json.dumps(asdict(plan), indent=2, sort_keys=True))
        return
    typer.echo(
        f"{plan.requested} samples from {plan.sources} good images, about "
        f"{plan.estimated_mb:g} MB; nothing was written"
    )
    for name, number in plan.per_class.items():
        typer.echo(f"  class {name}: {number}")
    for name, number in plan.per_mask_source.items():
        typer.echo(f"  masks from {name}: {number}")


def _print_summary(summary: Summary, bundle: str, as_json: bool) -> None:
    if as_json:
        typer.echo(json.dumps(asdict(summary), indent=2, sort_keys=True))
    else:
        typer.echo(
            f"{summary.requested} requested = {summary.kept} kept + {summary.rejected} rejected "
            f"+ {summary.failed} failed",
        )
        for name, number in summary.signatures.items():
            typer.echo(f"  rejected for {name}: {number} ({number / summary.requested:.1%})")
        typer.echo(_speed(summary), err=True)
        if summary.first_reason:
            typer.echo(f"first not kept: {summary.first_reason}", err=True)
    if summary.kept == 0:
        raise AliAugError(
            f"no sample was kept: {summary.rejected} rejected, {summary.failed} failed; "
            f"first reason: {summary.first_reason}"
        )
    if not as_json:
        tree = Path(summary.out_dir) / "mvtec" / "generated"
        following = f"data check {tree}" if tree.is_dir() else f"profile {bundle}"
        typer.echo(f"look at {summary.contact_sheet}, then: ali-aug {following}")


def _speed(summary: Summary) -> str:
    if summary.images_per_s == 0:  # nothing was made by this call
        return "already complete"
    return (
        f"{summary.wall_s:.1f} s, of which {summary.engine_s:.1f} s in {summary.engine}; "
        f"{summary.images_per_s:.1f} images/s"
    )


def _progress(total: int, done: int) -> None:
    typer.echo(f"\r{done}/{total}" + ("\n" if done == total else ""), err=True, nl=False)
