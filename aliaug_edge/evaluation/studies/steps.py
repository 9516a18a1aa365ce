"""One denoising step against several: what more steps give, and what they cost."""

from __future__ import annotations

import statistics
import time

from aliaug_edge.evaluation.studies.marks import (
    MEASURES,
    fidelity_note,
    marks,
    new_yardstick,
    references,
)
from aliaug_edge.evaluation.studies.scenes import Scene
from aliaug_edge.evaluation.studies.study import (
    Measure,
    Parts,
    Result,
    Row,
    Say,
    StudySettings,
    Values,
)
from aliaug_edge.evaluation.studies.trained import Trained, only_run
from aliaug_edge.model.sampler import schedule

COUNTS = (1, 2, 4, 8)
REPEATS = 5
TIME = Measure("ms", "time per image, ms", "lower", 1)


def steps(settings: StudySettings, parts: Parts, say: Say) -> Result:
    """The same run on the same held-out scenes with 1, 2, 4 and 8 steps; noise per seed.

    Raises:
        AliAugError: training fails, or the data are unusable.
    """
    run = only_run(settings, parts, say)
    yardstick = new_yardstick(settings, say)
    rows = [Row("reference", label, found) for label, found in references(yardstick).items()]
    for count in COUNTS:

        def made(count: int = count) -> Values:
            say(f"{count} steps")
            values: Values = {}
            for seed in settings.seeds():
                raw = run.draw(yardstick.scenes, seed, steps=count)
                for key, found in marks(yardstick, yardstick.scenes, raw).items():
                    values.setdefault(key, []).extend(found)
            return {**values, "ms": milliseconds(run, yardstick.scenes[0], count)}

        timesteps = ", ".join(map(str, schedule(count)))
        label = f"{count} step{'s' if count > 1 else ''} (t = {timesteps})"
        rows.append(Row("steps", label, parts.values(f"steps-{count}", made)))
    return Result(
        "steps",
        "One step against several",
        "seeds",
        (*MEASURES, TIME),
        tuple(rows),
        (
            "Deterministic DDIM in the same latent with the same conditioning in every step, in "
            "FP32; the last step's answer is decoded once.",
            "Base and run are trained for t = 999 alone. At the timesteps between, the U-Net is "
            "asked what it has never learned: this measures what more steps do to this model, not "
            "what a model trained for several steps could do.",
            fidelity_note(yardstick.classes),
            f"Times are medians of {REPEATS} single images, PyTorch on this machine's processor or "
            "GPU, and differ between machines; a finished part keeps its time.",
        ),
    )


def milliseconds(run: Trained, scene: Scene, count: int) -> list[float]:
    """Time of one image with `count` steps after one run to warm up, in milliseconds."""
    times = []
    for _ in range(REPEATS + 1):
        started = time.perf_counter()
        run.draw([scene], 0, steps=count)
        times.append(1000 * (time.perf_counter() - started))
    return [statistics.median(times[1:])]
