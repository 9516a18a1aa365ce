"""Seeds that repeat themselves, or the training defects, are seen."""

from __future__ import annotations

import torch

from aliaug_edge.evaluation.judging.diversity import distance, diversity, memorisation

RNG = torch.Generator().manual_seed(0)


def rows(count: int) -> torch.Tensor:
    return torch.randn(count, 50, generator=RNG, dtype=torch.float64)


def test_seeds_that_make_the_same_have_no_diversity() -> None:
    real = {"crack": rows(4)}
    same = rows(1).repeat(3, 1)
    assert diversity([("crack", same)], real)["seeds"] == 0
    varied = diversity([("crack", rows(3)), ("crack", rows(3))], real)
    assert abs(varied["seeds"] / varied["real"] - 1) < 0.2
    assert varied["per_class"]["crack"]["real"] == varied["real"]


def test_copies_of_train_defects_are_nearer_than_real_test_defects() -> None:
    train, test = {"crack": rows(5), "stain": rows(5)}, rows(40)
    named_test = [(name, row) for name, row in zip(("crack", "stain") * 20, test, strict=True)]
    copies = [("crack", row + 0.01) for row in train["crack"]]
    found = memorisation(copies, named_test, train)
    assert found["closer"] == 1
    assert found["made"] < 0.02 < found["real_test"]
    new = memorisation([("crack", row) for row in rows(40)], named_test, train)
    assert new["closer"] < 0.25


def test_a_class_that_the_generator_never_learned_is_left_out() -> None:
    found = memorisation([("odd", rows(1)[0])], [("odd", rows(1)[0])], {"crack": rows(2)})
    assert found["made"] is None
    assert found["per_class"] == {}


def test_the_distance_is_a_root_mean_square() -> None:
    assert distance(torch.zeros(4), torch.full((4,), 3.0)) == 3
