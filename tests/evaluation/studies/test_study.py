"""A study's folder: whose it is, what is finished, and how numbers are summed up."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from support.commands import run_command

from aliaug_edge.cli.study import study as command
from aliaug_edge.errors import AliAugError, DataError, OutputError
from aliaug_edge.evaluation.studies.study import (
    FULL,
    Parts,
    StudySettings,
    claim,
    merged,
    summary,
)

NewSettings = Callable[..., StudySettings]


def test_a_finished_part_is_not_made_again(tmp_path: Path) -> None:
    parts, made = Parts(tmp_path), []

    def make() -> dict[str, list[float]]:
        made.append(1)
        return {"l1": [1 / 3]}

    assert parts.values("a", make) == parts.values("a", make) == {"l1": [0.333333]}
    assert len(made) == 1


@pytest.mark.parametrize("text", ["", "[]", '{"l1": ["much"]}', '{"l1": 3}'])
def test_a_damaged_part_is_one_clear_line(tmp_path: Path, text: str) -> None:
    path = tmp_path / "parts" / "a.json"
    path.parent.mkdir()
    path.write_text(text)
    with pytest.raises(DataError, match=r"a\.json is not a part of this study .*remove it"):
        Parts(tmp_path).values("a", dict)


def test_a_part_that_is_no_number_is_refused(tmp_path: Path) -> None:
    with pytest.raises(AliAugError, match="score of a study is nan"):
        Parts(tmp_path).values("a", lambda: {"l1": [float("nan")]})
    assert not (tmp_path / "parts").exists()


def test_the_same_question_continues_and_another_is_refused(
    tmp_path: Path, new_settings: NewSettings
) -> None:
    settings = new_settings()
    claim(tmp_path / "out", "lora", settings)
    claim(tmp_path / "out", "lora", settings)
    with pytest.raises(OutputError, match="holds a study with another seed;"):
        claim(tmp_path / "out", "lora", new_settings(seed=1))
    with pytest.raises(OutputError, match="holds a study with another study;"):
        claim(tmp_path / "out", "steps", settings)


def test_a_folder_with_something_else_is_left_alone(
    tmp_path: Path, new_settings: NewSettings
) -> None:
    (tmp_path / "letter.txt").write_text("mine")
    for out in (tmp_path, tmp_path / "letter.txt"):
        with pytest.raises(OutputError, match="is not a study"):
            claim(out, "lora", new_settings())
    assert [p.name for p in tmp_path.iterdir()] == ["letter.txt"]


@pytest.mark.parametrize("name", ["steps", "seeds", "scenes", "judge_views"])
def test_a_budget_of_nothing_is_refused(new_settings: NewSettings, name: str) -> None:
    flag = "--" + name.replace("_", "-")
    with pytest.raises(AliAugError, match=f"{flag} 0: expected at least 1"):
        new_settings(budget=replace(FULL, **{name: 0}))


def test_a_size_that_no_run_could_have_is_refused(new_settings: NewSettings) -> None:
    with pytest.raises(AliAugError, match="size 100: expected a multiple of 8"):
        new_settings(budget=replace(FULL, size=100))


def test_over_seeds_mean_and_range_over_scenes_median_and_quartiles() -> None:
    values = [1.0, 2.0, 3.0, 10.0, 4.0]
    assert summary(values, "seeds") == {"low": 1, "middle": 4, "high": 10, "count": 5}
    assert summary(values, "scenes") == {"low": 2, "middle": 3, "high": 4, "count": 5}
    assert summary([], "seeds") is None


def test_runs_of_a_row_stand_side_by_side() -> None:
    assert merged([{"a": [1.0]}, {"a": [2.0], "b": [3.0]}]) == {"a": [1.0, 2.0], "b": [3.0]}


@pytest.mark.parametrize("name", ["data-size", "real-synthetic"])
def test_a_size_that_would_be_ignored_is_refused(data_dir: Path, tmp_path: Path, name: str) -> None:
    done = run_command(command, name, "--data", data_dir, "--out", tmp_path / "o", "--size", 64)
    assert done.exit_code == 1
    assert done.stderr.startswith(f"error: study {name} evaluates detectors")
    assert not (tmp_path / "o").exists()
