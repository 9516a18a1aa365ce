"""What to make, as plain data: the settings of a run, and the requests that they unfold into.

A request and the folders it names decide everything that follows, so any worker can make any
request and gets the same pixels. Seeds come from SHA-256, never from `hash()` or shared state.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from aliaug_edge.bundle import BACKDROPS, Bundle
from aliaug_edge.errors import AliAugError
from aliaug_edge.generation.quality import MIN_CHANGE, MIN_PRESERVATION_DB

BLENDS = ("none", "feather", "hard")
CALIBRATED, BASIC, OFF = QUALITIES = ("calibrated", "basic", "off")
LEARNED = "learned"  # a backdrop: that of the bundle
PROCEDURAL = "procedural:"


@dataclass(frozen=True)
class RunSettings:
    """What a run is asked for. Everything here changes the dataset's bytes.

    `classes` empty: all of the bundle. `per_class` gives each class its number of samples, which
    add up to `count`; empty: the classes take turns. `area` is (low, high) as fractions of the
    image's area, or None for the mask's own size. `severity` is (low, high) in [0, 1]. `min_change`
    is in grey levels, `min_preservation` in dB (see `quality`). `quality` is
    calibrated (also by the limits that real defects allow, where the bundle has them), basic (by
    those two alone) or off (nothing is rejected). `backdrop` is one of `BACKDROPS`, by which parts
    are told from what lies behind them, or `LEARNED`. `procedural_hw` is the size of the surfaces
    that are drawn when there is no folder of images.
    """

    count: int
    classes: tuple[str, ...] = ()
    per_class: tuple[int, ...] = ()
    seed: int = 0
    area: tuple[float, float] | None = None
    severity: tuple[float, float] = (0.5, 1.0)
    blend: str = "feather"
    labels: tuple[str, ...] = ("coco",)
    engine: str = "auto"
    retries: int = 2
    min_change: float = MIN_CHANGE
    min_preservation: float = MIN_PRESERVATION_DB
    quality: str = CALIBRATED
    backdrop: str = LEARNED
    procedural_hw: tuple[int, int] = (256, 256)


@dataclass(frozen=True)
class Request:
    """One sample to make.

    `source_image` is a file name in the folder of good images, or "procedural:<seed>".
    `mask_source` is "file:<name>", "bank" (a training mask of the class, moved) or "shape" (drawn
    for the class); the place, turn and scale of the latter two follow from `seed`. `area` is the
    fraction of the image that the mask must cover, within this range, or None.
    """

    index: int
    source_image: str
    defect_class: str
    seed: int
    severity: float
    mask_source: str
    area: tuple[float, float] | None = None


def stable_seed(*parts: object) -> int:
    """A seed in [0, 2^48) from `parts`: equal on every machine, and exact as a JSON number."""
    text = "/".join(str(part) for part in parts)
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:6], "big")


def attempt_seed(seed: int, attempt: int) -> int:
    """The seed of the `attempt`-th try (0 = the request's own seed)."""
    return seed if attempt == 0 else stable_seed(seed, "attempt", attempt)


def check_settings(settings: RunSettings, bundle: Bundle) -> RunSettings:
    """`settings` with what the bundle decides filled in: the classes, where none are named, and
    the backdrop.

    Raises:
        BundleError: a class that the bundle does not offer.
        AliAugError: a value out of range; the message names the flag.
    """
    for name in settings.classes:
        bundle.class_spec(name)
    if len(set(settings.classes)) != len(settings.classes):
        raise AliAugError(f"--classes names a class twice: {','.join(settings.classes)}")
    if settings.count < 1:
        raise AliAugError(f"--count must be at least 1, got {settings.count}")
    if settings.per_class and (
        len(settings.per_class) != len(settings.classes) or min(settings.per_class) < 1
    ):
        raise AliAugError("--classes: give every class a count of at least 1, or none of them")
    if settings.per_class and sum(settings.per_class) != settings.count:
        raise AliAugError(
            f"--count {settings.count}: the counts in --classes add up to "
            f"{sum(settings.per_class)}; leave --count out"
        )
    if settings.retries < 0:
        raise AliAugError(f"--retries must not be negative, got {settings.retries}")
    if settings.blend not in BLENDS:
        raise AliAugError(f"--blend must be one of {', '.join(BLENDS)}, got {settings.blend!r}")
    if settings.quality not in QUALITIES:
        raise AliAugError(
            f"--quality must be one of {', '.join(QUALITIES)}, got {settings.quality!r}"
        )
    backdrop = bundle.backdrop if settings.backdrop == LEARNED else settings.backdrop
    if backdrop not in BACKDROPS:
        raise AliAugError(
            f"--backdrop must be one of {', '.join((LEARNED, *BACKDROPS))}, got {backdrop!r}"
        )
    _check_limit("--min-change", settings.min_change)
    _check_limit("--min-preservation", settings.min_preservation)
    _check_range("--severity", settings.severity, 0.0, 1.0)
    if settings.area is not None:
        _check_range("--area", settings.area, 1e-6, 0.9)
    classes = settings.classes or bundle.class_names
    return replace(settings, classes=classes, backdrop=backdrop)


def plan_requests(
    settings: RunSettings,
    bundle: Bundle,
    image_names: Sequence[str],
    mask_names: dict[str, str] | None = None,
) -> list[Request]:
    """The requests of a run, in index order; equal arguments give equal requests.

    Classes take turns, each until it has its number. Sources are used up in a random order before
    any comes again, so classes and sources do not march in step. Without `image_names` each request
    draws its own surface. `mask_names` maps image names to the names of their mask files.

    Raises:
        BundleError: unknown class. AliAugError: a setting out of range.
    """
    settings = check_settings(settings, bundle)
    with_masks = {name for name, masks in bundle.mask_bank().items() if masks}
    low, high = settings.severity
    sources = _sources(settings.seed, settings.count, image_names)
    requests = []
    for index, (defect_class, source) in enumerate(zip(_turns(settings), sources, strict=True)):
        seed = stable_seed(settings.seed, "request", index)
        if mask_names is not None:
            mask_source = f"file:{mask_names[source]}"
        else:
            mask_source = "bank" if defect_class in with_masks else "shape"
        severity = np.random.default_rng(stable_seed(seed, "severity")).uniform(low, high)
        requests.append(
            Request(
                index=index,
                source_image=source,
                defect_class=defect_class,
                seed=seed,
                severity=round(float(severity), 4),
                mask_source=mask_source,
                area=settings.area,
            )
        )
    return requests


def _turns(settings: RunSettings) -> list[str]:
    """The class of each request."""
    if not settings.per_class:
        names = settings.classes
        return [names[index % len(names)] for index in range(settings.count)]
    rounds = range(max(settings.per_class))
    pairs = list(zip(settings.classes, settings.per_class, strict=True))
    return [name for turn in rounds for name, number in pairs if turn < number]


def _sources(run_seed: int, count: int, image_names: Sequence[str]) -> list[str]:
    """The source of each request: a new order of the images for every lap through them."""
    if not image_names:
        return [f"{PROCEDURAL}{stable_seed(run_seed, 'surface', index)}" for index in range(count)]
    names: list[str] = []
    while len(names) < count:
        lap = len(names) // len(image_names)
        rng = np.random.default_rng(stable_seed(run_seed, "sources", lap))
        names += [image_names[place] for place in rng.permutation(len(image_names)).tolist()]
    return names[:count]


def _check_limit(flag: str, value: float) -> None:
    if not (math.isfinite(value) and value >= 0):
        raise AliAugError(f"{flag} expects a finite number of at least 0, got {value:g}")


def _check_range(flag: str, bounds: tuple[float, float], least: float, most: float) -> None:
    low, high = bounds
    if not least <= low <= high <= most:
        raise AliAugError(
            f"{flag} expects LOW:HIGH with {least:g} <= LOW <= HIGH <= {most:g}, "
            f"got {low:g}:{high:g}"
        )
