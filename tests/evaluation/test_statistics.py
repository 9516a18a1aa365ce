"""Statistics that a person can recompute from the raw rows, and that refuse unequal comparisons."""

from __future__ import annotations

import json
from dataclasses import asdict, replace

import numpy as np
import pytest

from aliaug_edge.errors import AliAugError
from aliaug_edge.evaluation.group_table import group_table, image_auroc, usable_seeds
from aliaug_edge.evaluation.results import ImageScore, Run
from aliaug_edge.evaluation.statistics import (
    compare,
    detectable_gain,
    holm,
    level,
    rank_biserial,
    wilcoxon_p,
)


def scored(name: str, group: str, defect_class: str, ap: float | None, score: float) -> ImageScore:
    return ImageScore(name, group, defect_class, 9 if ap is not None else 0, ap, ap, ap, score)


def run_of(
    rows: list[tuple[str, str, str, float]],
    *,
    condition: str = "a",
    seed: int = 0,
    fold: int = 0,
    shift: float = 0.0,
) -> Run:
    """A run from (name, group, class, ap) rows, and two good photos with image score 0.4."""
    images = [scored(n, g, c, ap + shift, ap + shift) for n, g, c, ap in rows]
    images += [scored(f"good{i}", f"good{i}", "good", None, 0.4) for i in range(2)]
    return Run(fold, condition, seed, 0.5, tuple(images), {"ap": 0.1})


ROWS = [
    ("c1", "g1", "crack", 0.2),
    ("c2", "g1", "crack", 0.4),
    ("c3", "g2", "crack", 0.9),
    ("f1", "g3", "fray", 0.6),
]


def spread(
    condition: str, gain: float, *, groups: int = 30, seeds: int = 4, fold: int = 0
) -> list[Run]:
    """Runs on many groups, whose levels depend on the group far more than on the seed."""
    runs = []
    for seed in range(seeds):
        noise = np.random.default_rng([7, seed, fold, *condition.encode()]).normal(0, 0.02, groups)
        base = np.random.default_rng(fold).uniform(0.2, 0.7, groups)
        rows = [
            (f"{fold}/{g}", f"{fold}/g{g:02d}", "crack" if g % 3 else "pit", float(value))
            for g, value in enumerate(base + noise + gain)
        ]
        runs.append(run_of(rows, condition=condition, seed=seed, fold=fold))
    return runs


def test_level_is_mean_inside_a_group_and_then_over_groups() -> None:
    found = level([run_of(ROWS), run_of(ROWS, seed=1, shift=0.1)])

    assert found.mean == pytest.approx((0.3 + 0.9 + 0.6) / 3 + 0.05)
    assert found.by_class == pytest.approx({"crack": 0.65, "fray": 0.65})
    assert found.by_group == pytest.approx({"g1": 0.35, "g2": 0.95, "g3": 0.65})
    assert found.seed_sd == pytest.approx(0.1 / np.sqrt(2))


def test_level_leaves_named_classes_out() -> None:
    found = level([run_of(ROWS)], without=("fray",))

    assert (found.groups, found.mean) == (2, pytest.approx(0.6))
    assert found.seed_sd is None
    with pytest.raises(AliAugError, match="cannot leave out dent: the test photos show crack"):
        level([run_of(ROWS)], without=("dent",))


def test_folds_stand_together_in_one_table() -> None:
    other = [("d1", "h1", "crack", 0.5)]
    table = group_table([run_of(ROWS), run_of(other, fold=1)])

    assert table.groups == ("g1", "g2", "h1", "g3")
    assert table.folds == (0, 0, 1, 0)
    assert table.values[:, 0] == pytest.approx([0.3, 0.9, 0.5, 0.6])


def test_auroc_counts_ties_half_and_is_the_mean_of_its_shares() -> None:
    rows = [("c1", "g1", "crack", 0.4), ("c2", "g2", "crack", 0.1), ("c3", "g3", "crack", 0.8)]

    assert image_auroc(run_of(rows)) == pytest.approx((0.5 + 0 + 1) / 3)
    assert level([run_of(rows)], "auroc").mean == pytest.approx(0.5)


@pytest.mark.parametrize("of", ["defect", "good"])
def test_a_photo_whose_score_is_no_number_has_no_auroc(of: str) -> None:
    run = run_of(ROWS)
    images = [
        replace(image, score=float("nan")) if (image.ap is None) == (of == "good") else image
        for image in run.images
    ]

    with pytest.raises(AliAugError, match="score is not a number"):
        image_auroc(replace(run, images=tuple(images)))


def test_difference_interval_and_effect_sizes_of_a_clear_gain() -> None:
    found = compare(spread("new", 0.05), spread("old", 0.0))

    assert found.difference == pytest.approx(0.05, abs=0.01)
    assert found.relative == pytest.approx(found.difference / found.mean_b)
    assert 0 < found.low < found.difference < found.high
    assert found.p_value < 1e-4
    assert found.rank_biserial > 0.9
    assert found.better > 25
    assert found.detectable is not None and found.detectable < 0.05


def test_comparison_is_antisymmetric_and_repeatable() -> None:
    a, b = spread("new", 0.03), spread("old", 0.0)
    there, back = compare(a, b), compare(b, a)

    assert there == compare(list(reversed(a)), b)
    assert (there.low, there.high) == pytest.approx((-back.high, -back.low))
    assert there.rank_biserial == -back.rank_biserial
    assert there.p_value == back.p_value


def test_interval_over_groups_matches_resampling_by_hand() -> None:
    found = compare(spread("new", 0.05), spread("old", 0.0))
    d = np.array(list(found.by_group.values()))
    pits = np.array([int(name[-2:]) % 3 == 0 for name in found.by_group])
    rng = np.random.default_rng(99)

    def drawn(values: np.ndarray) -> np.ndarray:
        spread = np.sqrt(len(values) / (len(values) - 1))
        return values.mean() + spread * (rng.choice(values, len(values)) - values.mean())

    means = [np.concatenate([drawn(d[pits]), drawn(d[~pits])]).mean() for _ in range(5000)]
    student = 2.048 / 1.96  # 30 groups in two strata: 28 degrees of freedom
    expected = d.mean() + student * (np.percentile(means, [2.5, 97.5]) - d.mean())

    assert (found.low, found.high) == pytest.approx(tuple(expected), abs=0.0007)


@pytest.mark.parametrize("classes", ["abcdef", "aabbcc", "aaaaaab", "aaaaaa"])
def test_intervals_of_few_groups_hold_what_is_true(classes: str) -> None:
    """Two conditions that differ by chance alone: 5 of 100 intervals should leave zero out."""

    def runs(condition: str, trial: int) -> list[Run]:
        values = np.random.default_rng([trial, len(condition)]).normal(0.5, 0.1, len(classes))
        return [
            run_of(
                [(f"p{i}", f"g{i}", name, float(values[i])) for i, name in enumerate(classes)],
                condition=condition,
            )
        ]

    found = [compare(runs("new", trial), runs("other", trial)) for trial in range(120)]
    wrong = np.mean([not c.low <= 0 <= c.high for c in found])

    assert wrong <= 0.1


def test_resampled_seeds_widen_the_interval() -> None:
    a = [run_of(ROWS, condition="new", seed=s, shift=0.2 * s) for s in range(3)]
    b = [run_of(ROWS, condition="old", seed=s) for s in range(3)]
    found = compare(a, b)

    assert found.high - found.low == pytest.approx(0, abs=1e-12)  # every group gained alike
    assert found.low_seeds == pytest.approx(0.0) and found.high_seeds == pytest.approx(0.4)


def test_folds_draw_their_seeds_apart() -> None:
    def runs(condition: str, step: float) -> list[Run]:
        return [
            run_of([(f, f, f"class {f}", 0.3)], condition=condition, seed=s, fold=int(f), shift=v)
            for f in "123"
            for s, v in enumerate([0.0, step])
        ]

    found = compare(runs("new", 0.6), runs("old", 0.0))

    # A draw of one fold gives 0, 0.3 (twice as likely) or 0.6. All three folds are at 0 in 1.6 %
    # of the draws, so 2.5 % lies above; had they one draw in common, it would be 25 %.
    assert found.difference == pytest.approx(0.3)
    assert (found.low_seeds, found.high_seeds) == pytest.approx((0.1, 0.5))


def test_wilcoxon_agrees_with_the_exact_table() -> None:
    d = np.array([0.01, 0.02, 0.03, 0.04, 0.05, 0.06])

    assert wilcoxon_p(d) == pytest.approx(2 / 2**6)
    assert wilcoxon_p(np.zeros(4)) == 1.0
    assert rank_biserial(d) == 1.0
    assert rank_biserial(np.array([3.0, -1.0, 2.0, 0.0])) == pytest.approx((5 - 1) / 6)


def test_holm_corrects_within_the_family_and_keeps_the_order() -> None:
    found = compare(spread("new", 0.05), spread("old", 0.0))
    family = [replace(found, p_value=p) for p in (0.04, 0.01, 0.03, 0.9)]

    assert [c.p_holm for c in holm(family, 4)] == pytest.approx([0.09, 0.04, 0.09, 0.9])
    assert {c.family for c in holm(family, 4)} == {4}


def test_a_comparison_without_a_result_does_not_lower_the_p_of_others() -> None:
    found = compare(spread("new", 0.05), spread("old", 0.0))
    (alone,) = holm([replace(found, p_value=0.01)], 10)

    assert (alone.p_holm, alone.family) == (pytest.approx(0.1), 10)


def test_detectable_gain_is_that_of_the_baselines() -> None:
    assert detectable_gain(0.022, 0.0164, 5) == pytest.approx(0.060, abs=0.001)


def test_numbers_go_into_json() -> None:
    found = holm([compare(spread("new", 0.05), spread("old", 0.0))], 1)[0]

    assert json.loads(json.dumps(asdict(found)))["p_holm"] == found.p_holm
    assert json.loads(json.dumps(asdict(level([run_of(ROWS)]))))["mean"] == pytest.approx(0.6)


def test_unequal_conditions_are_refused() -> None:
    a = [run_of(ROWS, seed=s) for s in range(2)]
    with pytest.raises(AliAugError, match=r"seeds \(0, 1\) and \(0,\)"):
        compare(a, [run_of(ROWS, condition="b")])
    with pytest.raises(AliAugError, match="group g3 differs"):
        compare(a, [run_of(ROWS[:3], condition="b", seed=s) for s in range(2)])
    with pytest.raises(AliAugError, match="other photos"):
        compare(a, [run_of(ROWS[1:], condition="b", seed=s) for s in range(2)])


def test_unequal_runs_of_a_condition_are_refused() -> None:
    with pytest.raises(AliAugError, match="one condition, got those of none"):
        level([])
    with pytest.raises(AliAugError, match="one condition, got those of a, b"):
        level([run_of(ROWS), run_of(ROWS, condition="b")])
    with pytest.raises(AliAugError, match="twice"):
        level([run_of(ROWS), run_of(ROWS)])
    with pytest.raises(AliAugError, match="seeds 0 and 1 were tried on other photos"):
        level([run_of(ROWS), run_of(ROWS[:3], seed=1)])
    with pytest.raises(AliAugError, match="group g1 is tried in fold 0 and fold 1"):
        level([run_of(ROWS), run_of(ROWS, fold=1)])
    with pytest.raises(AliAugError, match=r"fold 0 has seeds \[0\], fold 1 has \[0, 1\]"):
        other = [("d1", "h1", "crack", 0.5)]
        level([run_of(ROWS), run_of(other, fold=1), run_of(other, fold=1, seed=1)])
    with pytest.raises(AliAugError, match="photo c1 has no iou"):
        row = scored("c1", "g1", "crack", None, 0.3)
        level([Run(0, "a", 0, 0.5, (row,), {})], "iou")
    with pytest.raises(AliAugError, match="unknown metric 'dice'"):
        level([run_of(ROWS)], "dice")


def test_a_failed_run_is_named_and_its_seed_can_be_left_out() -> None:
    failed = Run(0, "a", 1, 0.0, (), {}, failed="loss is not finite")
    with pytest.raises(AliAugError, match="a, fold 0, seed 1 failed"):
        level([run_of(ROWS), failed])

    both = [run_of(ROWS, condition="b", seed=s) for s in range(2)]
    assert usable_seeds({"a": [run_of(ROWS), failed], "b": both}) == (0,)
