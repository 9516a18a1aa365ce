"""Draw the model card's picture: good | mask | generated | difference, one row a defect class.

python scripts/samples_picture.py BUNDLE OUT.png [--seed 3]
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

from aliaug_edge import assets, files, imaging
from aliaug_edge.bundle import load_bundle
from aliaug_edge.data.procedural import render_pair
from aliaug_edge.generation.pipeline import Pipeline

COLUMNS = 3  # groups of four pictures in a row
GAIN = 4  # of the difference


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("bundle")
    parser.add_argument("out", type=Path)
    parser.add_argument("--seed", type=int, default=3)
    arguments = parser.parse_args()
    bundle = load_bundle(assets.resolve_bundle(arguments.bundle))
    side = bundle.sizes[0][0]
    rows = []
    with Pipeline(bundle) as pipeline:
        for number, name in enumerate(bundle.class_names):
            cells = []
            for column in range(COLUMNS):
                seed = 1_000_000 * arguments.seed + 100 * number + column
                pair = render_pair(seed, side, side, defect_class=name)
                raw = pipeline.generate(
                    pair.good[None], pair.mask[None], [name], [seed], [pair.severity]
                )
                shown = imaging.tensor_to_images(raw.transpose(0, 3, 1, 2))[0]
                change = np.clip(128 + GAIN * (shown.astype(int) - pair.good), 0, 255)
                mask = np.repeat(pair.mask[..., None], 3, axis=2)
                cells += [pair.good, mask, shown, change.astype(np.uint8)]
            rows.append(np.concatenate(cells, axis=1))
    picture = np.concatenate(rows, axis=0)
    files.write_bytes(arguments.out, imaging.encode_png(picture, synthetic=True))


if __name__ == "__main__":
    main()
