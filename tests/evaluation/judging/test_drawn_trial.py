"""The judge learns what it is shown, says so reproducibly, and refuses what it cannot judge."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from support.bundles import make_bundle
from support.commands import run_command

from aliaug_edge.bundle import load_bundle
from aliaug_edge.cli import judge as command
from aliaug_edge.data.procedural import render_pair
from aliaug_edge.errors import AliAugError, DataError
from aliaug_edge.evaluation.judging.drawn_report import report_text
from aliaug_edge.evaluation.judging.drawn_trial import training_examples, try_bundle
from aliaug_edge.evaluation.judging.judge import (
    Example,
    JudgeNet,
    JudgeSettings,
    classify,
    judge_accuracy,
    judge_crop,
    train_judge,
)

QUICK = JudgeSettings(side=32, epochs=6, batch_size=8)


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def discs(count: int, seed: int) -> list[Example]:
    """Two classes that anyone can tell apart: bright and dark discs on noise."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:48, :48]
    examples = []
    for number in range(count):
        centre = rng.integers(12, 36, 2)
        disc = (y - centre[0]) ** 2 + (x - centre[1]) ** 2 <= rng.integers(3, 8) ** 2
        name, change = (("bright", 70), ("dark", -70))[number % 2]
        surface = rng.normal(128, 10, (48, 48)) + change * disc
        image = np.repeat(surface.clip(0, 255).astype(np.uint8)[..., None], 3, axis=2)
        examples.append(Example(image, np.where(disc, 255, 0).astype(np.uint8), name))
    return examples


def test_it_learns_two_easy_classes() -> None:
    judge = train_judge(discs(80, seed=0), ("bright", "dark"), QUICK)
    unseen = discs(40, seed=1)
    assert judge_accuracy(classify(judge, unseen), unseen) >= 0.95


def test_equal_examples_and_settings_give_the_same_judge() -> None:
    first, again = (train_judge(discs(16, seed=0), ("bright", "dark"), QUICK) for _ in range(2))
    for ours, theirs in zip(first.network.parameters(), again.network.parameters(), strict=True):
        assert torch.equal(ours, theirs)


def test_training_leaves_the_random_numbers_of_others_alone() -> None:
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    train_judge(discs(16, seed=0), ("bright", "dark"), QUICK)
    assert torch.equal(torch.rand(3), expected)


def test_it_is_small() -> None:
    assert sum(p.numel() for p in JudgeNet(9).parameters()) <= 300_000


def test_a_crop_shows_the_mask_at_full_resolution_also_at_a_corner() -> None:
    image = np.arange(40 * 40 * 3, dtype=np.uint32).astype(np.uint8).reshape(40, 40, 3)
    mask = np.zeros((40, 40), np.uint8)
    mask[0:4, 36:40] = 255
    crop = judge_crop(Example(image, mask, "crack"), 32)
    assert crop.shape == (4, 32, 32)
    assert np.array_equal(crop[:3, 14:18, 14:18], image[0:4, 36:40].transpose(2, 0, 1))
    assert (crop[3, 14:18, 14:18] == 255).all()


def test_an_empty_mask_is_refused() -> None:
    blank = np.zeros((32, 32), np.uint8)
    with pytest.raises(DataError, match="the mask of a crack is empty"):
        judge_crop(Example(np.zeros((32, 32, 3), np.uint8), blank, "crack"), 32)


def test_no_examples_no_accuracy_and_no_training() -> None:
    with pytest.raises(AliAugError, match="no examples to judge"):
        judge_accuracy([], [])
    with pytest.raises(AliAugError, match=r"none of \['bright', 'dark'\]"):
        train_judge([], ("bright", "dark"), QUICK)


def test_one_class_is_nothing_to_tell_apart() -> None:
    with pytest.raises(AliAugError, match="at least 2"):
        train_judge(discs(4, seed=0), ("bright",), QUICK)


def test_half_of_the_training_defects_wear_any_outline() -> None:
    classes = ("crack", "stain")
    examples = training_examples(classes, 4, seed=0)
    assert [e.defect_class for e in examples] == ["crack"] * 4 + ["stain"] * 4
    own = render_pair(77, 64, 64, defect_class="stain", outline="stain")
    lent = render_pair(77, 64, 64, defect_class="stain", outline="crack")
    assert np.array_equal(own.good, lent.good)
    assert not np.array_equal(own.mask, lent.mask)


def test_a_bundle_is_tried_from_end_to_end_and_twice_alike(tmp_path: Path) -> None:
    bundle = load_bundle(make_bundle(tmp_path / "bundle"))
    trials = [
        try_bundle(
            bundle,
            count=4,
            seed=2,
            engine="onnxruntime-cpu",
            pairs_per_class=4,
            settings=JudgeSettings(side=32, epochs=1),
        )
        for _ in range(2)
    ]
    report = trials[0].report
    assert report == trials[1].report
    assert report["classes"] == ["crack", "stain"]
    assert report["chance"] == 0.5
    assert report["own_outline"]["count"] == report["swapped_outline"]["count"] == 4
    assert sum(report["swap_test"][who] for who in ("asked", "outline", "other")) == 4
    assert sum(sum(row.values()) for row in report["confusion"].values()) == 8
    assert len(trials[0].rows) == 8
    assert "swap test: of 4" in report_text(report)


def test_a_bundle_whose_classes_nobody_can_draw_is_refused(tmp_path: Path) -> None:
    bundle = load_bundle(make_bundle(tmp_path / "bundle", classes=("crack", "gremlin")))
    with pytest.raises(AliAugError, match="offers crack, gremlin; the judge knows scratch"):
        try_bundle(bundle, count=4)


def test_a_single_insertion_is_no_trial(tmp_path: Path) -> None:
    bundle = load_bundle(make_bundle(tmp_path / "bundle"))
    with pytest.raises(AliAugError, match="--count 1: expected at least 2"):
        try_bundle(bundle, count=1)


def test_the_command_prints_one_document_and_writes_what_it_is_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("aliaug_edge.evaluation.judging.drawn_trial.TRAIN_PAIRS_PER_CLASS", 4)
    monkeypatch.setattr(
        "aliaug_edge.evaluation.judging.drawn_trial.DEFAULTS", JudgeSettings(side=32, epochs=1)
    )
    bundle = make_bundle(tmp_path / "bundle")
    written, sheet = tmp_path / "report.json", tmp_path / "sheet.png"
    options = ("--count", 2, "--engine", "onnxruntime-cpu", "--json", "-o", written)
    result = run_command(command.judge, bundle, *options, "--sheet", sheet)
    assert result.exit_code == 0, result.stderr
    assert json.loads(result.stdout) == json.loads(written.read_text())
    assert "judge: epoch 1/1" in result.stderr
    assert sheet.read_bytes().startswith(b"\x89PNG")


def test_without_torch_the_command_says_how_to_get_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "torch", None)
    result = run_command(command.judge, tmp_path / "bundle")
    assert result.exit_code == 1
    assert "pip install 'aliaug-edge[train]'" in result.stderr
