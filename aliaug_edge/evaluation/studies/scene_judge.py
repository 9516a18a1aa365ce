"""The judge of a study: that of real data, taught with the scenes that the runs may learn from."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial

import numpy as np
from numpy.typing import NDArray

from aliaug_edge.data.samples import GOOD
from aliaug_edge.evaluation.judging.features import frozen_encoder
from aliaug_edge.evaluation.judging.lessons import enough_seen, lent_outline
from aliaug_edge.evaluation.judging.real_judge import (
    RealJudgeSettings,
    Verdict,
    judge_from,
    verdicts,
)
from aliaug_edge.evaluation.photos import Photo
from aliaug_edge.evaluation.studies.scenes import Scene
from aliaug_edge.generation.request import stable_seed

UInt8 = NDArray[np.uint8]
SIDE = 64  # of the judge's view; a smaller window is seen whole


def train_scene_judge(
    scenes: Sequence[Scene], size: int, views: int, seed: int
) -> Callable[[Sequence[UInt8], Sequence[UInt8]], list[Verdict]]:
    """What the judge sees in images (S, S, 3) under masks (S, S); S is `size`.

    The encoder that it looks through is the shipped base's, whatever base the runs have. Seconds:
    the lessons are cut from the scenes, and the rest is a closed form.

    It tells the classes from each other and from good surface; a single one from good surface.
    """
    lessons = scene_lessons(scenes, views, seed)
    settings = replace(RealJudgeSettings(), side=min(SIDE, size), seed=seed)
    return partial(verdicts, judge_from(lessons, frozen_encoder(), settings))


def scene_lessons(scenes: Sequence[Scene], views: int, seed: int) -> list[Photo]:
    """Three lessons of each scene, `views` times: the photo, good surface under an outline of any
    class, and the defect seen through that outline, where enough of it is. A mask's shape thus
    proves nothing."""
    rng = np.random.default_rng(stable_seed(seed, "lent outlines"))
    by_class: dict[str, list[UInt8]] = {}
    for scene in scenes:
        by_class.setdefault(scene.defect_class, []).append(scene.mask)
    names = sorted(by_class)
    lessons = []
    for _ in range(views):
        for scene in scenes:
            outlines = by_class[names[int(rng.integers(len(names)))]]
            outline = outlines[int(rng.integers(len(outlines)))]
            lessons += _lessons(scene, lent_outline(scene.mask, outline))
    return lessons


def _lessons(scene: Scene, lent: UInt8) -> list[Photo]:
    """`lent` (S, S) is another scene's outline in the middle of this one's defect."""
    photo = Photo(scene.name, scene.truth, scene.mask, scene.defect_class, scene.name)
    seen = np.minimum(scene.mask, lent)
    lessons = [photo]
    if lent.any():
        lessons.append(replace(photo, image=scene.good, mask=lent, defect_class=GOOD))
    if enough_seen(seen, scene.mask):
        image = np.where(seen[..., None] > 0, scene.truth, scene.good)
        lessons.append(replace(photo, image=image, mask=lent))
    return lessons
