"""The appearances that a generator learned from, and which of them a request gets.

A bundle's `appearances.json` lists, for each class, the real defects of its training: severity,
then the numbers of `aliaug_edge.model.appearance`. A request gets one of about its severity, a
little altered, by its seed: the same class, mask and place look different from seed to seed, as
often in each way as the real ones.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from aliaug_edge import files

FILE = "appearances.json"
NUMBERS = 7
STREAM = 2  # of a seed's random numbers; the noises have 0 and 1
NEAR = 0.12  # severities this far apart are hardly the same
ALTERED = 0.25  # of the class's own spread

Floats = NDArray[np.float32]
Appearances = Mapping[str, Floats]  # (defects, 1 + NUMBERS) of each class


def drawn(learned: Floats, severity: float, seed: int) -> Floats:
    """(NUMBERS,) for a request; zeros where nothing was `learned` (defects, 1 + NUMBERS)."""
    if not len(learned):
        return np.zeros(NUMBERS, np.float32)
    rng = np.random.default_rng([STREAM, seed])
    distance = (learned[:, 0].astype(np.float64) - severity) / NEAR
    odds = np.exp(-0.5 * (distance**2 - (distance**2).min()))
    chosen = learned[int(rng.choice(len(learned), p=odds / odds.sum())), 1:]
    spread = learned[:, 1:] - learned[:, 1:].mean(axis=0)  # their covariance: grey stays grey
    change = rng.standard_normal(len(learned)) @ spread / len(learned) ** 0.5
    result: Floats = (chosen + ALTERED * change).astype(np.float32)
    return result


def none_of(classes: Sequence[str]) -> Appearances:
    """Nothing known of any of `classes`: every request is for zeros."""
    return {name: np.empty((0, 1 + NUMBERS), np.float32) for name in classes}


def to_text(appearances: Appearances) -> str:
    """JSON, numbers rounded to what matters."""
    return files.json_text(
        {
            name: [[round(float(number), 4) for number in row] for row in rows]
            for name, rows in appearances.items()
        }
    )


def from_text(text: str, classes: Sequence[str]) -> Appearances:
    """The appearances of `classes`.

    Raises:
        LookupError, TypeError, ValueError: not what `to_text` gives.
    """
    document = json.loads(text)
    found = {}
    for name in classes:
        rows = np.array(document[name], dtype=np.float32)
        if rows.size and rows.shape[1:] != (1 + NUMBERS,):
            raise ValueError(
                f"appearances of {name} have rows of {rows[0].size} numbers, this release reads "
                f"{1 + NUMBERS}"
            )
        rows = rows.reshape(-1, 1 + NUMBERS)
        if not np.isfinite(rows).all():
            raise ValueError(f"appearances of {name} hold non-finite numbers")
        found[name] = rows
    return found
