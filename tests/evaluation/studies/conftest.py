"""Studies of a micro base on a small data set: seconds, and every part of them real."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from aliaug_edge.evaluation.studies.study import Budget, StudySettings
from tests.support.bases import write_base, write_dataset

MICRO = Budget(steps=2, batch_size=2, size=32, seeds=1, scenes=2, judge_views=1)
NewSettings = Callable[..., StudySettings]


@pytest.fixture(scope="session", autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def data_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = write_dataset(tmp_path_factory.mktemp("data") / "parts")
    (root / "test" / "good").mkdir()
    for name in ("000.png", "001.png"):  # the test side needs good photos too
        (root / "train" / "good" / name).rename(root / "test" / "good" / name)
    return root


@pytest.fixture(scope="session")
def new_settings(tmp_path_factory: pytest.TempPathFactory, data_dir: Path) -> NewSettings:
    base = write_base(tmp_path_factory.mktemp("bases") / "micro")

    def build(**changes: object) -> StudySettings:
        plain = {"data": str(data_dir), "base": str(base), "quick": True, "budget": MICRO}
        return StudySettings(**{**plain, **changes})  # type: ignore[arg-type]

    return build
