"""What limits calibrated on the train pool say of real held-out defects, and of broken ones.

    python benchmarks/quality_limits.py DATA [--pool train] [--groups FILE] [--without uneven]

Real held-out defects should pass; the same defects broken on purpose should not. Each rate is over
crops; `as named` counts only those for which the signature that was broken is the one given.
"""

from __future__ import annotations

import argparse
import time
from collections import Counter
from pathlib import Path

import numpy as np
from common import failed_signature, print_card, print_json

from aliaug_edge.data.reader import load_dataset
from aliaug_edge.quality.broken import SHOWS, broken
from aliaug_edge.quality.calibration import FALSE_REJECTS, Real, calibrate
from aliaug_edge.quality.limits import Limits
from aliaug_edge.training import photos
from aliaug_edge.training.reals import reals_of


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path)
    parser.add_argument("--pool", default="train")
    parser.add_argument("--without", default="", help="classes to leave out, by comma")
    parser.add_argument("--groups", type=Path, help="which photos show the same part")
    parser.add_argument("--size", type=int, default=128)
    arguments = parser.parse_args()
    card = print_card()
    train, test = (_reals(arguments, split) for split in ("train", "test"))
    started = time.perf_counter()
    limits = calibrate(train)
    calibration_s = time.perf_counter() - started
    parts = ", ".join(f"{name} {count}" for name, count in limits.about["parts"].items())
    print(f"limits from {len(train)} crops of parts {parts}, in {calibration_s:.1f} s")
    left_out = limits.about["false_rejects"]
    print(f"false rejects of train crops by limits without their part: {left_out:.1%}")
    held_out, signatures = _held_out(limits, test)
    caught = _caught(limits, test)
    print_json(
        "quality_limits",
        card,
        about=dict(limits.about),
        calibration_s=round(calibration_s, 2),
        held_out=held_out,
        held_out_signatures=signatures,
        caught=caught,
        ms_per_crop=_milliseconds(limits, test),
    )


def _reals(arguments: argparse.Namespace, split: str) -> list[Real]:
    """The real defects of a pool, each against its counterpart."""
    rng = np.random.default_rng(0)
    left_out = arguments.without.split(",")
    sides = (arguments.size, 2 * arguments.size)
    defects = [
        photos.read_defect(sample, arguments.size, rng)[0]
        for sample in load_dataset(
            arguments.data, pool=arguments.pool, groups=arguments.groups
        ).defects(split)
        if sample.defect_class not in left_out
    ]
    return reals_of(defects, [(side, side) for side in sides])


def _held_out(limits: Limits, reals: list[Real]) -> tuple[dict[str, float], dict[str, int]]:
    """Share of real defects that are rejected, per class and in total, and for what."""
    total: Counter[str] = Counter()
    rejected: Counter[str] = Counter()
    signatures: Counter[str] = Counter()
    for real in reals:
        found = _signature(limits, real, real.photo)
        for name in (real.defect_class, "all"):
            total[name] += 1
            rejected[name] += found is not None
        if found is not None:
            signatures[found] += 1
    rates = {name: round(rejected[name] / total[name], 4) for name in sorted(total)}
    print(f"\nreal held-out defects rejected (wanted: about {FALSE_REJECTS:.0%})")
    for name, rate in rates.items():
        print(f"  {name:<14} {rate:6.1%} of {total[name]}")
    print(f"  for {dict(sorted(signatures.items()))}")
    return rates, dict(sorted(signatures.items()))


def _caught(limits: Limits, reals: list[Real]) -> dict[str, dict[str, float]]:
    """Per way of breaking: the share that is rejected, and the share with the signature meant."""
    total: Counter[str] = Counter()
    rejected: Counter[str] = Counter()
    named: Counter[str] = Counter()
    for index, real in enumerate(reals):
        others = [r for r in reals if r.defect_class != real.defect_class]
        other = others[index * 7 % len(others)] if others else None
        for way, result in broken(real, other).items():
            found = _signature(limits, real, result)
            total[way] += 1
            rejected[way] += found is not None
            named[way] += found == SHOWS[way]
    print("\nthe same defects, broken        rejected   as named")
    for way in total:
        print(
            f"  {way:<14} {SHOWS[way]:<22} {rejected[way] / total[way]:6.1%}"
            f"     {named[way] / total[way]:6.1%}"
        )
    return {
        way: {
            "rejected": round(rejected[way] / total[way], 4),
            "as_named": round(named[way] / total[way], 4),
        }
        for way in total
    }


def _signature(limits: Limits, real: Real, result: np.ndarray) -> str | None:
    return failed_signature(limits, real.defect_class, real.good, result, real.mask)


def _milliseconds(limits: Limits, reals: list[Real]) -> float:
    """Median time in ms to score and judge a crop."""
    times = []
    for real in reals:
        started = time.perf_counter()
        _signature(limits, real, real.photo)
        times.append((time.perf_counter() - started) * 1e3)
    print(f"\n{np.median(times):.2f} ms per crop")
    return round(float(np.median(times)), 3)


if __name__ == "__main__":
    main()
