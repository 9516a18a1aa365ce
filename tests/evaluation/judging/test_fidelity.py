"""A share weighs classes alike, and its interval is over parts, not over pictures."""

from __future__ import annotations

import pytest

from aliaug_edge.evaluation.judging.fidelity import confusion, share


def test_every_class_weighs_the_same() -> None:
    hits = [True] * 9 + [False]
    found = share(hits, ["hole"] * 9 + ["crack"], [f"g{n}" for n in range(10)])
    assert found["share"] == 0.5
    assert found["per_class"] == {"crack": 0.0, "hole": 1.0}


def test_pictures_of_one_part_do_not_narrow_the_interval() -> None:
    hits = [True, False] * 20
    alone = share(hits, ["hole"] * 40, [f"g{n}" for n in range(40)])
    shared = share(hits, ["hole"] * 40, [f"g{n % 4}" for n in range(40)])
    assert shared["groups"] == 4
    assert shared["high"] - shared["low"] > 2 * (alone["high"] - alone["low"])
    assert alone == share(hits, ["hole"] * 40, [f"g{n}" for n in range(40)])


def test_a_share_of_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="nothing"):
        share([], [], [])


def test_the_confusion_counts_every_answer() -> None:
    table = confusion(
        ["hole", "hole", "crack"], ["hole", "good", "hole"], ["crack", "hole", "good"]
    )
    assert table["hole"] == {"crack": 0, "hole": 1, "good": 1}
    assert table["crack"] == {"crack": 0, "hole": 1, "good": 0}
