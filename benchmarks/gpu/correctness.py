"""Is it right? Torch in FP32 against each engine on the same inputs; does a swap of mask or prompt
act?"""

from __future__ import annotations

import functools
from typing import Any

import numpy as np

from .budget import Budget
from .runners import Runner, feeds_of, ours, pixels, torch_runner
from .settings import Settings
from .subjects import Subject

LIMITS_DB = {"fp32": 60.0, "fp16": 40.0}
# A swap acts where the engine makes this share of the change that the reference makes. Its size
# alone proves little: with SD-Turbo's geometry and random weights at 256 px another prompt moves
# the image by 0.0009 of [-1, 1], and rounding each result to FP16 (emulated on a CPU) by 0.0002. A
# kernel that also adds in FP16 may reach the first; but it does not move the image the same way.
FOLLOWS = 0.5
LEAST = 1e-5  # mean change of the reference itself; below it there is nothing to follow
SWAPS = ("mask", "prompt")
CAP_DB = 99.0
SECONDS = 60.0


def check(budget: Budget, settings: Settings, subject: Subject, side: int) -> list[dict[str, Any]]:
    """One row per engine: PSNR against the reference, largest grey difference, swaps, verdict.

    The reference is torch in FP32, or without torch the first engine that runs.
    """
    rows: list[dict[str, Any]] = []
    reference: Any = None
    for name in ("torch-fp32", *settings.engines):
        what = f"correctness of {name} on {subject.name}"
        work = functools.partial(_judge, settings, subject, name, side, reference)
        judged = budget.attempt(what, work, SECONDS)
        if judged is not None:
            reference, row = judged
            rows.append({"model": subject.name, "engine": name, "side": side, **row})
    return rows


def psnr_db(a: Any, b: Any) -> float:
    """Of uint8 images, capped."""
    error = float(((a.astype(np.float64) - b) ** 2).mean())
    return CAP_DB if error == 0 else round(min(CAP_DB, 10 * float(np.log10(255**2 / error))), 1)


def _judge(
    settings: Settings, subject: Subject, name: str, side: int, reference: Any
) -> tuple[Any, dict[str, Any]]:
    """The reference, this engine's own images where there were none, and the engine's row."""
    found = _images(settings, subject, name, side)
    reference = found if reference is None else reference
    return reference, _row(found, reference, subject)


def _images(settings: Settings, subject: Subject, name: str, side: int) -> dict[str, Any]:
    """The image as it is, with another mask and with another prompt, as an engine makes it."""
    feeds = {
        "plain": feeds_of(subject.bundle, side, 1),
        "mask": feeds_of(subject.bundle, side, 1, mask_seed=12),
        "prompt": feeds_of(subject.bundle, side, 1, class_index=1),
    }
    if name == "torch-fp32":
        runner = _torch(settings, subject, feeds["plain"])
        return {kind: runner.infer(given) for kind, given in feeds.items()}
    with ours(name, subject.bundle, side, 1) as runner:
        return {kind: runner.infer(given) for kind, given in feeds.items()}


def _torch(settings: Settings, subject: Subject, own: Any) -> Runner:
    if subject.generator is None:
        raise RuntimeError("torch or diffusers cannot be imported")
    import torch

    from . import models

    torch.backends.cudnn.allow_tf32 = False  # a reference of ten bits is none
    torch.backends.cuda.matmul.allow_tf32 = False
    generator = subject.generator
    return torch_runner(
        "torch-fp32", settings, lambda *t: models.run(generator, torch.float32, *t), own
    )


def _row(found: dict[str, Any], reference: dict[str, Any], subject: Subject) -> dict[str, Any]:
    plain, expected = (np.asarray(a["plain"], dtype=np.float32) for a in (found, reference))
    finite = all(bool(np.isfinite(image).all()) for image in found.values())
    shares = {kind: _share(found, reference, kind) if finite else 0.0 for kind in SWAPS}
    psnr = psnr_db(pixels(expected), pixels(plain)) if finite else 0.0
    acts = {kind: share > FOLLOWS for kind, share in shares.items()}
    limit = LIMITS_DB[subject.bundle.precision]
    return {
        "psnr_db": psnr,
        "limit_db": limit,
        "max_abs": float(np.abs(plain - expected).max()) if finite else None,
        "finite": finite,
        **{f"{kind}_share": round(share, 3) for kind, share in shares.items()},
        **{f"{kind}_acts": acting for kind, acting in acts.items()},
        "right": finite and psnr >= limit and all(acts.values()),
    }


def _share(found: dict[str, Any], reference: dict[str, Any], kind: str) -> float:
    """How much of the reference's change by a swap the engine makes as well: 1 where they agree, 0
    where the engine does not change, or changes in another way."""
    change, expected = (
        np.asarray(images[kind], np.float64) - images["plain"] for images in (found, reference)
    )
    if float(np.abs(expected).mean()) < LEAST:
        return 0.0
    return float(np.vdot(change, expected) / np.vdot(expected, expected))
