"""How alike two photos are in what is their own, and not their design's."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from aliaug_edge.evaluation.alignment import centred

Float32 = NDArray[np.float32]


def own_likeness(first: Float32, second: Float32, inside: Float32, others: Float32) -> float:
    """Correlation of two pictures (n, n) where `inside` is 1, without what `others` (c, n, n)
    explain of either; all are details, laid over `first`."""
    shared = np.concatenate([others, _slopes(others.mean(axis=0))]) if len(others) else others
    rows = centred(np.concatenate([first[None], second[None], shared]), inside)
    rows = rows.reshape(len(rows), -1)
    basis = np.linalg.qr(rows[2:].T)[0]
    one, two = (row - basis @ (basis.T @ row) for row in rows[:2])
    return float(one @ two / np.sqrt((one @ one) * (two @ two) + 1e-9))


def _slopes(image: Float32) -> Float32:
    """First and second derivatives (5, n, n) of `image`: what is left of a design where it lies a
    fraction of a pixel beside itself, or was sampled there."""
    down, across = np.gradient(image)
    return np.stack([down, across, *np.gradient(down), np.gradient(across, axis=1)])
