"""Which appearance a request gets, and the file that keeps those of training."""

from __future__ import annotations

import json

import numpy as np
import pytest

from aliaug_edge.appearances import NUMBERS, drawn, from_text, none_of, to_text
from aliaug_edge.model.conditioning import APPEARANCE


def learned(count: int = 20) -> np.ndarray:
    """Weak defects are bright, strong ones dark."""
    rng = np.random.default_rng(0)
    rows = rng.normal(0, 0.1, (count, 1 + NUMBERS))
    rows[:, 0] = (np.arange(count) + 0.5) / count
    rows[:, 1] += 1 - 2 * rows[:, 0]
    return rows.astype(np.float32)


def test_both_halves_speak_of_the_same_numbers() -> None:
    assert NUMBERS == APPEARANCE


def test_a_seed_has_one_appearance_and_another_seed_another() -> None:
    one = drawn(learned(), 0.5, 3)
    assert one.shape == (NUMBERS,)
    assert one.dtype == np.float32
    assert np.array_equal(one, drawn(learned(), 0.5, 3))
    assert not np.array_equal(one, drawn(learned(), 0.5, 4))


def test_a_severity_gets_appearances_of_its_own() -> None:
    def levels(severity: float) -> np.ndarray:
        return np.array([drawn(learned(), severity, seed)[0] for seed in range(100)])

    assert levels(0.1).mean() > 0.5
    assert levels(0.9).mean() < -0.5


def test_over_all_severities_appearances_spread_as_they_were_learned() -> None:
    rows = learned()
    asked = np.array([drawn(rows, s, i) for i, s in enumerate(np.linspace(0, 1, 500))])
    assert asked.mean(axis=0) == pytest.approx(rows[:, 1:].mean(axis=0), abs=0.1)
    assert asked.std(axis=0) == pytest.approx(rows[:, 1:].std(axis=0), rel=0.25)


def test_one_learned_defect_is_enough_and_none_gives_zeros() -> None:
    only = learned(1)
    assert np.array_equal(drawn(only, 0.0, 7), only[0, 1:])
    assert not drawn(only[:0], 0.5, 7).any()


def test_what_is_written_is_read() -> None:
    given = {"crack": learned(3), "stain": learned(2)}
    found = from_text(to_text(given), ["crack", "stain"])
    assert all(np.allclose(found[name], rows, atol=1e-4) for name, rows in given.items())
    empty = from_text(to_text(none_of(["crack"])), ["crack"])
    assert empty["crack"].shape == (0, 1 + NUMBERS)


@pytest.mark.parametrize(
    "document",
    [
        {},
        {"crack": [[0.5, 1.0]]},
        {"crack": [[0.5] * NUMBERS + [float("nan")]]},
        {"crack": "a"},
        [],
    ],
)
def test_what_is_not_ours_is_refused(document: object) -> None:
    with pytest.raises((LookupError, TypeError, ValueError)):
        from_text(json.dumps(document), ["crack"])


def test_rows_of_another_release_are_refused_with_both_widths() -> None:
    old = json.dumps({"crack": learned(4)[:, :6].tolist()})
    with pytest.raises(
        ValueError, match=f"crack have rows of 6 numbers, this release reads {1 + NUMBERS}"
    ):
        from_text(old, ["crack"])
