"""What a run would do: checked before anything is written, and shown by --dry-run."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from aliaug_edge.bundle import Bundle
from aliaug_edge.errors import DataError
from aliaug_edge.generation.pipeline import engine_for
from aliaug_edge.generation.request import (
    CALIBRATED,
    Request,
    RunSettings,
    check_settings,
    plan_requests,
)
from aliaug_edge.generation.sample import Job
from aliaug_edge.generation.sources import Sources
from aliaug_edge.labels.mvtec import folder_name
from aliaug_edge.labels.writer import check_formats


@dataclass(frozen=True)
class Plan:
    """What a run would do, for --dry-run."""

    requested: int
    per_class: Mapping[str, int]
    per_mask_source: Mapping[str, int]
    sources: int
    estimated_mb: float


def plan_run(
    bundle: Bundle, settings: RunSettings, images_dir: Path | None, masks_dir: Path | None = None
) -> Plan:
    """What `generate_dataset` would do with these arguments; writes nothing.

    Raises:
        AliAugError: as `generate_dataset`, for what can be known before.
    """
    job, requests = checked_plan(bundle, settings, images_dir, masks_dir)
    names = [request.source_image for request in requests]
    return Plan(
        requested=len(requests),
        per_class=dict(sorted(Counter(r.defect_class for r in requests).items())),
        per_mask_source=dict(
            sorted(Counter(r.mask_source.split(":")[0] for r in requests).items())
        ),
        sources=len(set(names)),
        estimated_mb=round(job.sources.estimated_bytes(names) / 1e6, 2),
    )


def checked_plan(
    bundle: Bundle, settings: RunSettings, images_dir: Path | None, masks_dir: Path | None
) -> tuple[Job, list[Request]]:
    """Everything that can be known to be wrong before the first byte is written, is found here.

    Raises:
        AliAugError: settings, images, masks, label formats or engine that cannot be used, or class
            names that a label format cannot hold.
    """
    if masks_dir is not None and images_dir is None:
        raise DataError("--masks needs --images: each mask belongs to an image of its name")
    if masks_dir is not None and settings.area is not None:
        raise DataError("--area and --masks exclude each other: mask files are used as they are")
    settings = check_settings(settings, bundle)
    check_formats(settings.labels)
    if "mvtec" in settings.labels:
        for name in settings.classes:
            folder_name(name)
    engine_for(bundle, settings.engine)  # not entered: only to hear now if it cannot run
    sources = Sources(images_dir, masks_dir, settings.procedural_hw, settings.backdrop)
    requests = plan_requests(settings, bundle, sources.names, sources.mask_names)
    sources.check_masks(request.source_image for request in requests)
    limits = bundle.quality() if settings.quality == CALIBRATED else None
    return Job(bundle, settings, sources, bundle.mask_bank(), limits), requests
