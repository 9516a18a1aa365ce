"""Reads what a run, a bundle, a dataset and a profile left on disk; each of them may be missing."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from aliaug_edge import imaging
from aliaug_edge.bundle import Bundle, load_bundle
from aliaug_edge.generation.folder import STATUSES
from aliaug_edge.report.data import Curve, Picture, ReportData
from aliaug_edge.report.pictures import collect_pictures
from aliaug_edge.report.read import Record, read_profile, read_records, read_run

TITLE = "Synthetic defects: from training to labelled images"
STRIPS = 3
_NOT_CURVES = ("step", "seconds")
_SHOWN_APART = ("flops",)  # in the latency table


def collect_report(
    run_dir: Path | None = None,
    bundle_dir: Path | None = None,
    dataset_dir: Path | None = None,
    profile_json: Path | None = None,
    commands: Sequence[str] = (),
    data_root: Path | None = None,
    images_dir: Path | None = None,
) -> ReportData:
    """Gather a report from whatever is given.

    `data_root` is the training data: real defects are shown beside generated ones. Good images are
    looked up by name in `images_dir`, then below `data_root`.

    Raises:
        AliAugError: something that was named is not there or cannot be read.
    """
    bundle = load_bundle(bundle_dir) if bundle_dir else None
    config, metrics = read_run(run_dir) if run_dir else ({}, [])
    records = read_records(dataset_dir) if dataset_dir else []
    profile = read_profile(profile_json) if profile_json else None
    classes, notes = collect_pictures(dataset_dir, records, data_root, images_dir)
    return ReportData(
        title=TITLE,
        facts=tuple(_facts(bundle, config, metrics, records, profile)),
        classes=classes,
        counts=_counts(records),
        reasons=tuple(_reasons(records)),
        curves=tuple(_curves(metrics)),
        strips=_strips(run_dir) if run_dir else (),
        parity=bundle.parity if bundle else None,
        profile=profile,
        commands=tuple(commands),
        provenance=_provenance(bundle, config),
        notes=tuple(notes),
    )


def _curves(metrics: Sequence[Record]) -> list[Curve]:
    names = dict.fromkeys(name for row in metrics for name in row)
    curves = []
    for name in names:
        if name.startswith(_NOT_CURVES):
            continue
        points = [(row["step"], row[name]) for row in metrics if _is_number(row.get(name))]
        if len(points) > 1:
            curves.append(Curve(name, tuple(points)))
    return sorted(curves, key=lambda curve: curve.name != "loss")


def _strips(run_dir: Path) -> tuple[Picture, ...]:
    """The first, middle and last strips of samples."""
    paths = sorted((run_dir / "samples").glob("*.png"))
    chosen = sorted({0, len(paths) // 2, len(paths) - 1}) if paths else []
    strips = []
    for path in (paths[index] for index in chosen[:STRIPS]):
        image = imaging.load_image(path)
        png = imaging.encode_png(image, synthetic=True)
        strips.append(Picture(png, image.shape[1], image.shape[0], path.stem))
    return tuple(strips)


def _counts(records: Sequence[Record]) -> dict[str, dict[str, int]]:
    counts: dict[str, dict[str, int]] = {}
    for record in records:
        of_class = counts.setdefault(record["defect_class"], dict.fromkeys(STATUSES, 0))
        of_class[record["status"]] += 1
    return dict(sorted(counts.items()))


def _reasons(records: Sequence[Record]) -> list[tuple[str, int]]:
    """Reasons for what was not kept, most frequent first, without the figures that vary."""
    reasons = Counter(
        str(r.get("reason") or "no reason given").split(":")[0]
        for r in records
        if r["status"] != "kept"
    )
    return sorted(reasons.items(), key=lambda item: (-item[1], item[0]))


def _facts(
    bundle: Bundle | None,
    config: Mapping[str, Any],
    metrics: Sequence[Record],
    records: Sequence[Record],
    profile: Mapping[str, Any] | None,
) -> list[tuple[str, str]]:
    facts = []
    if bundle:
        facts += [
            ("Model", f"{bundle.name}, {bundle.conditioning} conditioning, {bundle.precision}"),
            ("Classes", ", ".join(bundle.class_names)),
            ("Label carrier", bundle.label_carrier),
        ]
    if metrics:
        batch = f" of {config['batch_size']}" if "batch_size" in config else ""
        facts.append(("Training", f"{metrics[-1]['step']} steps{batch}"))
    if records:
        kept = sum(record["status"] == "kept" for record in records)
        facts.append(("Generated", f"{len(records)} requested, {kept} kept"))
        engines = sorted({str(r["engine"]) for r in records if r.get("engine")})
        facts.append(("Engine", ", ".join(engines) or "unknown"))
    if bundle and bundle.parity.get("verdict"):
        facts.append(("Parity", str(bundle.parity["verdict"])))
    if profile:
        facts.append(("Machine", _machine_line(profile["machine"])))
        facts += [("Speed", _speed_line(profile, e)) for e in profile["engines"][:1]]
    return facts


def _machine_line(machine: Mapping[str, Any]) -> str:
    parts = [
        machine.get("gpu") or machine.get("cpu"),
        f"{machine['physical_cores']} cores" if machine.get("physical_cores") else None,
        f"{machine['memory_gib']} GiB" if machine.get("memory_gib") else None,
    ]
    return ", ".join(str(part) for part in parts if part) or "unknown"


def _speed_line(profile: Mapping[str, Any], engine: Mapping[str, Any]) -> str:
    height, width = profile["size"]
    return (
        f"{engine['stages'][-1]['p50_ms']:.1f} ms per crop of {height} × {width} end to end "
        f"(median, {engine['spec']})"
    )


def _provenance(bundle: Bundle | None, config: Mapping[str, Any]) -> dict[str, Any]:
    shown: dict[str, Any] = {}
    if bundle:
        shown["bundle sha256"] = bundle.sha256
        shown["bundle sizes"] = ", ".join(f"{h} x {w}" for h, w in bundle.sizes)
        listed = sorted(bundle.provenance.items())
        shown.update({f"bundle {key}": value for key, value in listed if key not in _SHOWN_APART})
    shown.update({f"training {key}": value for key, value in sorted(config.items())})
    return shown


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
