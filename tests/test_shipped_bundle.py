"""The bundle inside the package, as every user of `tiny` meets it."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
from numpy.typing import NDArray

from aliaug_edge import assets, imaging
from aliaug_edge.bundle import Bundle, load_bundle
from aliaug_edge.data.procedural import DEFECT_CLASSES, render_pair
from aliaug_edge.generation.pipeline import Pipeline

SEEDS = range(40, 48)


@pytest.fixture(scope="module")
def bundle() -> Bundle:
    return load_bundle(assets.resolve_bundle("tiny"))


@pytest.fixture(scope="module")
def pipeline(bundle: Bundle) -> Iterator[Pipeline]:
    with Pipeline(bundle) as opened:
        yield opened


def generated(
    pipeline: Pipeline, name: str, severity: float = 0.6
) -> list[tuple[NDArray[np.float64], NDArray[np.bool_]]]:
    """Change in grey levels (H, W, 3) and mask (H, W) for each of the seeds, asked for `name`."""
    results = []
    for seed in SEEDS:
        pair = render_pair(seed, 128, 128)
        raw = pipeline.generate(pair.good[None], pair.mask[None], [name], [seed], [severity])
        pixels = imaging.tensor_to_images(raw.transpose(0, 3, 1, 2))[0]
        results.append((pixels.astype(np.float64) - pair.good, pair.mask > 0))
    return results


def under_mask(results: list[tuple[NDArray[np.float64], NDArray[np.bool_]]]) -> float:
    return float(np.mean([change[mask].mean() for change, mask in results]))


def test_it_knows_the_procedural_classes_and_passed_its_parity(bundle: Bundle) -> None:
    assert bundle.class_names == DEFECT_CLASSES
    assert bundle.parity["verdict"] == "passed"


def test_swapping_the_class_moves_the_pixels_under_the_mask(pipeline: Pipeline) -> None:
    means = {name: under_mask(generated(pipeline, name)) for name in DEFECT_CLASSES}
    assert max(means.values()) - min(means.values()) > 5, means  # grey levels


def test_a_crack_is_darker_than_the_surface(pipeline: Pipeline) -> None:
    assert under_mask(generated(pipeline, "crack")) < -5


def test_more_severity_changes_more(pipeline: Pipeline) -> None:
    faint, strong = (
        float(np.mean([np.abs(c[m]).mean() for c, m in generated(pipeline, "crack", severity)]))
        for severity in (0.2, 0.9)
    )
    assert strong > faint


def test_what_is_outside_the_mask_stays_before_any_blending(pipeline: Pipeline) -> None:
    for name in ("crack", "stain"):
        error = np.concatenate([change[~mask] for change, mask in generated(pipeline, name)])
        assert 10 * np.log10(255**2 / np.mean(error**2)) > 30
