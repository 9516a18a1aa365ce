"""What the raw output leaves alone: PSNR outside the mask on photos that training never saw.

    python benchmarks/preservation.py BUNDLE DATA [--pool train]

For every defect photo of the test pool the model is asked for that photo's class in its own mask,
at the bundle's first size. Nothing is blended: what is compared is what the model gave.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from common import print_card, print_json

from aliaug_edge import crops
from aliaug_edge.assets import resolve_bundle
from aliaug_edge.bundle import load_bundle
from aliaug_edge.data.load import load_pair
from aliaug_edge.data.reader import load_dataset
from aliaug_edge.generation.pipeline import Pipeline

ASKED_DB = 30.0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("bundle", help="a folder, or tiny")
    parser.add_argument("data", type=Path)
    parser.add_argument("--pool", default="train")
    arguments = parser.parse_args()
    card = print_card()
    bundle = load_bundle(resolve_bundle(arguments.bundle))
    samples = [
        s
        for s in load_dataset(arguments.data, pool=arguments.pool).defects("test")
        if s.defect_class in bundle.class_names
    ]
    size_hw = bundle.sizes[0]
    psnr: list[float] = []
    with Pipeline(bundle) as pipeline:
        for number, sample in enumerate(samples):
            image, mask = load_pair(sample)
            window = crops.window_around(crops.mask_box(mask), image.shape[:2], size_hw)
            crop = crops.resize(crops.cut(image, window), size_hw)
            shape = crops.resize_mask(crops.cut(mask, window), size_hw)
            raw = pipeline.generate(
                crop[None], shape[None], [sample.defect_class], [number], [0.5]
            )[0]
            error = (raw + 1) * 127.5 - crop
            psnr.append(10 * float(np.log10(255**2 / np.mean(error[shape == 0] ** 2))))
    low, middle, high = (float(np.quantile(psnr, q)) for q in (0.05, 0.5, 0.95))
    print(f"{len(psnr)} held-out photos at {size_hw[0]}x{size_hw[1]}, raw output outside the mask:")
    print(f"PSNR dB: min {min(psnr):.1f}  p5 {low:.1f}  median {middle:.1f}  p95 {high:.1f}")
    print(
        f"asked: at least {ASKED_DB:.0f} dB; reached by {np.mean(np.array(psnr) >= ASKED_DB):.1%}"
    )
    print_json(
        "preservation",
        card,
        photos=len(psnr),
        min_db=round(min(psnr), 2),
        p5_db=round(low, 2),
        median_db=round(middle, 2),
    )


if __name__ == "__main__":
    main()
