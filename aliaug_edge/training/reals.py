"""A run's real defects as crops of the model's size, cut as generation cuts, to calibrate on."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from aliaug_edge import crops, files
from aliaug_edge.bundle import QUALITY
from aliaug_edge.quality.calibration import Real, calibrate
from aliaug_edge.quality.limits import document
from aliaug_edge.training.photos import Defect, Patch, model_sizes

MOST = 8  # crops of one photo: more of the same part is no more evidence


def reals_of(defects: Iterable[Defect], sizes: Sequence[tuple[int, int]]) -> list[Real]:
    """A crop around every part of every defect whose counterpart can be trusted, at the one of
    `sizes` (height, width) that generation would take."""
    return [
        _real(defect, patch, box, sizes)
        for defect in defects
        for patch, box in defect.spots[:MOST]
        if patch.paired
    ]


def save_limits(run_dir: Path, defects: Iterable[Defect], crop: int) -> None:
    """Write what the run's own real defects allow, for crops of `crop` pixels and of twice that;
    nothing where no counterpart can be trusted."""
    reals = reals_of(defects, model_sizes(crop))
    if reals:
        files.write_json(run_dir / QUALITY, document(calibrate(reals)))


def _real(
    defect: Defect, patch: Patch, box: crops.Window, sizes: Sequence[tuple[int, int]]
) -> Real:
    image_hw = (patch.mask.shape[0], patch.mask.shape[1])
    size_hw = crops.size_for(box, sizes)
    window = crops.window_around(box, image_hw, size_hw)
    seen = crops.seen(window, image_hw, size_hw)
    return Real(
        defect_class=defect.defect_class,
        group=defect.group,
        good=crops.resize(crops.cut(patch.good, window), size_hw)[seen],
        photo=crops.resize(crops.cut(patch.image, window), size_hw)[seen],
        mask=crops.resize_mask(crops.cut(patch.mask, window), size_hw)[seen],
    )
