"""What a base's own limits reject of drawn defects, and of its un-tuned first answers.

    python benchmarks/untuned_rejects.py tiny [--count 12]

Both under the same masks on the same parts, which neither the base nor the limits have seen:
`--count` of each class.
"""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Iterable

import numpy as np
from common import failed_signature, print_card, print_json

from aliaug_edge import assets
from aliaug_edge.bundle import load_bundle
from aliaug_edge.data.procedural import DEFECT_CLASSES, Pair, render_pair
from aliaug_edge.generation.blend import blend
from aliaug_edge.generation.pipeline import Pipeline
from aliaug_edge.imaging import is_grey
from aliaug_edge.quality.limits import Limits

FIRST_SEED = 20_000_000  # of pretraining and of calibration there are none so high


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("bundle")
    parser.add_argument("--count", type=int, default=12, help="of each class")
    arguments = parser.parse_args()
    card = print_card()
    bundle = load_bundle(assets.resolve_bundle(arguments.bundle))
    limits = bundle.quality()
    if limits is None:
        parser.error(f"{arguments.bundle} has no limits; scripts/calibrate_drawn.py gives them")
    size_hw = min(bundle.sizes)
    pairs = [
        render_pair(FIRST_SEED + arguments.count * index + number, *size_hw, defect_class=name)
        for index, name in enumerate(DEFECT_CLASSES)
        for number in range(arguments.count)
    ]
    drawn = [_signature(limits, pair, pair.defect) for pair in pairs]
    with Pipeline(bundle, batch=1) as pipeline:
        answered = [_signature(limits, pair, _answer(pipeline, pair)) for pair in pairs]
    print(f"\nrejected by class, {arguments.count} of each     drawn    generated")
    for index, name in enumerate(DEFECT_CLASSES):
        own = slice(index * arguments.count, (index + 1) * arguments.count)
        print(f"  {name:<30} {_rate(drawn[own]):8.1%} {_rate(answered[own]):10.1%}")
    print(f"  {'all':<30} {_rate(drawn):8.1%} {_rate(answered):10.1%}")
    print_json(
        "untuned_rejects",
        card,
        bundle={"name": bundle.name, "sha256": bundle.sha256},
        count=len(pairs),
        drawn={"rejected": round(_rate(drawn), 4), "for": _reasons(drawn)},
        generated={"rejected": round(_rate(answered), 4), "for": _reasons(answered)},
    )


def _answer(pipeline: Pipeline, pair: Pair) -> np.ndarray:
    """The bundle's first try at the pair's defect, blended as `ali-aug generate` does."""
    raw = pipeline.generate(
        pair.good[None], pair.mask[None], [pair.defect_class], [0], [pair.severity]
    )[0]
    return blend(pair.good, pair.mask, pair.good, raw, mode="feather", grey=is_grey(pair.good))


def _signature(limits: Limits, pair: Pair, result: np.ndarray) -> str | None:
    return failed_signature(limits, pair.defect_class, pair.good, result, pair.mask)


def _rate(found: list[str | None]) -> float:
    return sum(name is not None for name in found) / len(found)


def _reasons(found: Iterable[str | None]) -> dict[str, int]:
    return dict(sorted(Counter(name for name in found if name).items()))


if __name__ == "__main__":
    main()
