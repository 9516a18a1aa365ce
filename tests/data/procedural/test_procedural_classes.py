"""Classes must be told apart by what they look like, and surfaces must sometimes show an edge."""

from __future__ import annotations

import numpy as np

from aliaug_edge.data.procedural import DEFECT_CLASSES, Pair, render_pair
from aliaug_edge.data.procedural.features import add_features
from aliaug_edge.data.procedural.materials import MAKERS


def look(pair: Pair) -> list[float]:
    """Statistics of the change inside the mask; none of the mask's own shape."""
    inside = pair.mask > 0
    good, bad = pair.good.astype(float) + 8, pair.defect.astype(float) + 8
    ratio = np.log(bad / good)
    tone = np.where(inside, ratio.mean(axis=2), 0)
    values = tone[inside]
    rough = np.abs(np.diff(tone, axis=1))[inside[:, 1:]].mean()
    spread = values.std() + 1e-3
    return [
        values.mean(),
        spread,
        rough / spread,
        np.ptp(ratio, axis=2)[inside].mean() / (np.abs(values).mean() + 1e-3),
        float((values < -0.6 * np.abs(values).max()).mean()),
        float((values > 0.6 * np.abs(values).max()).mean()),
        float((np.abs(values) < 0.15 * np.abs(values).max()).mean()),
        float(np.corrcoef(good.mean(axis=2)[inside], bad.mean(axis=2)[inside])[0, 1]),
    ]


def test_simple_statistics_tell_the_classes_apart_far_above_chance() -> None:
    rows, labels = [], []
    for index, defect_class in enumerate(DEFECT_CLASSES):
        for seed in range(50):
            pair = render_pair(1000 * index + seed, 80, 80, None, defect_class, 0.7)
            rows.append(look(pair))
            labels.append(index)
    table, truth = np.nan_to_num(np.array(rows)), np.array(labels)
    table = (table - table.mean(axis=0)) / (table.std(axis=0) + 1e-6)
    table = np.concatenate([table, table**2, np.ones((len(table), 1))], axis=1)
    learn = np.arange(len(truth)) % 2 == 0
    wanted = np.eye(len(DEFECT_CLASSES))[truth]
    ridge = table[learn].T @ table[learn] + 2.0 * np.eye(table.shape[1])
    weights = np.linalg.solve(ridge, table[learn].T @ wanted[learn])
    accuracy = float(((table[~learn] @ weights).argmax(axis=1) == truth[~learn]).mean())
    assert accuracy > 0.36, accuracy  # chance is 0.11


def test_about_one_surface_in_five_shows_the_border_of_the_part() -> None:
    bordered = 0
    for seed in range(200):
        rng = np.random.default_rng([seed, 9])
        layers = add_features(rng, MAKERS["casting"](rng, 48, 48, 1.0))
        bordered += bool((layers.part < 0.5).any())
    assert 20 <= bordered <= 65
