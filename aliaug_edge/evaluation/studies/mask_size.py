"""Does the change lie where the mask is, and from which size of mask on?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from aliaug_edge import crops
from aliaug_edge.evaluation.studies.scenes import Scene, scenes_of
from aliaug_edge.evaluation.studies.study import (
    Measure,
    Parts,
    Result,
    Row,
    Say,
    StudySettings,
    Values,
)
from aliaug_edge.evaluation.studies.trained import only_run

SHARES = (0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2)  # of the window's area
ROOM = 0.9  # of the window's side that a mask may take
CHANGED = 3.0  # grey levels from which a pixel counts as changed; `generate --min-change`
MEASURES = (
    Measure("area", "mask area, pixels", "neither", 0),
    Measure("iou", "IoU of change and mask", "higher"),
    Measure("inside", "share of the change's energy inside", "higher"),
    Measure("centroid", "distance of centroids, pixels", "lower", 2),
    Measure("strength", "mean change under the mask, grey levels", "neither", 1),
)
Floats = NDArray[np.float64]


def mask_size(settings: StudySettings, parts: Parts, say: Say) -> Result:
    """The same held-out windows under the same outlines at several sizes, by one run.

    Raises:
        AliAugError: training fails, or the data are unusable.
    """
    run = only_run(settings, parts, say)
    dataset = settings.dataset()
    budget = settings.budget
    scenes = scenes_of(
        dataset,
        settings.classes or dataset.classes,
        "test",
        size=budget.size,
        per_class=budget.scenes,
    )
    rows = []
    for share in SHARES:
        scaled = [s for scene in scenes if (s := with_share(scene, share)) is not None]
        say(f"masks of {share:.1%} of the window: {len(scaled)}")
        if scaled:
            values = parts.values(
                f"share-{share:g}",
                lambda scaled=scaled: placements(scaled, run.draw(scaled, settings.seed)),  # type: ignore[misc]
            )
            rows.append(Row("mask", f"{share:.1%} of the window", values))
    return Result(
        "mask-size",
        "Precision of insertion against mask size",
        "scenes",
        MEASURES,
        tuple(rows),
        (
            "Raw output, before blending. `light` and `full` mix what they draw through a soft "
            "mask that ends 3 pixels beyond the mask: no change can lie farther out, and at small "
            "masks that rim is a large part of it.",
            f"A pixel counts as changed from {CHANGED:g} grey levels on. Where nothing changed, "
            "IoU is 0, and energy and centroid have no number.",
            f"Each mask is a held-out defect's outline, scaled; outlines that would take more than "
            f"{ROOM:.0%} of the window's side at a size are left out there.",
        ),
    )


def with_share(scene: Scene, share: float) -> Scene | None:
    """`scene` with its mask's outline scaled to `share` of the window's area and centred; None
    where it does not fit or vanishes."""
    side = scene.mask.shape[0]
    box = crops.mask_box(scene.mask)
    tight = scene.mask[box.top : box.top + box.height, box.left : box.left + box.width]
    factor = (share * side * side / np.count_nonzero(tight)) ** 0.5
    height, width = (max(1, round(n * factor)) for n in tight.shape)
    if max(height, width) > ROOM * side:
        return None
    mask = np.zeros_like(scene.mask)
    top, left = (side - height) // 2, (side - width) // 2
    mask[top : top + height, left : left + width] = crops.resize_mask(tight, (height, width))
    return replace(scene, mask=mask) if mask.any() else None


def placements(scenes: Sequence[Scene], raw: NDArray[np.float32]) -> Values:
    """Where the change lies, a number per scene and measure; `raw` (N, S, S, 3) in [-1, 1]."""
    values: Values = {measure.key: [] for measure in MEASURES}
    for scene, answer in zip(scenes, raw, strict=True):
        change = change_map(scene, answer)
        for key, value in placement(change, scene.mask > 0).items():
            values[key].append(value)
    return values


def change_map(scene: Scene, raw: NDArray[np.float32]) -> Floats:
    """|output − input| (S, S) in grey levels, averaged over the channels."""
    drawn = (np.clip(raw, -1, 1).astype(np.float64) + 1) * 127.5
    mean: Floats = np.abs(drawn - scene.good).mean(axis=2)
    return mean


def placement(change: Floats, mask: NDArray[np.bool_]) -> dict[str, float]:
    """The measures of one change map (S, S); energy and centroid are left out without change.

    Energy is the squared change; the change's centroid is weighted by it.
    """
    changed = change >= CHANGED
    union = np.count_nonzero(changed | mask)
    found = {
        "area": float(np.count_nonzero(mask)),
        "iou": np.count_nonzero(changed & mask) / union,
        "strength": float(change[mask].mean()),
    }
    energy = change**2
    if changed.any():
        found["inside"] = float(energy[mask].sum() / energy.sum())
        distance = _centroid(energy) - _centroid(mask.astype(np.float64))
        found["centroid"] = float(np.hypot(*distance))
    return found


def _centroid(weight: Floats) -> Floats:
    rows, columns = np.indices(weight.shape)
    return np.array([(rows * weight).sum(), (columns * weight).sum()]) / weight.sum()
