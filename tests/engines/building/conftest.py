from __future__ import annotations

import functools
from collections.abc import Callable
from pathlib import Path

import pytest
from support import ort_toolchain
from support.bundles import make_bundle

from aliaug_edge.bundle import Bundle, load_bundle
from aliaug_edge.engines.building.machine import Machine
from aliaug_edge.engines.plan import Here
from aliaug_edge.generation.trial import trial_feeds
from aliaug_edge.tensors import Arrays

HERE = Here("8.7", "Orin", ort_toolchain.VERSION, "aarch64-linux")
Feeds = Callable[[tuple[int, int], int], Arrays]


@pytest.fixture(autouse=True)
def cache_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """No test reads or writes the timings of the machine it runs on."""
    home = tmp_path / "cache"
    monkeypatch.setenv("XDG_CACHE_HOME", str(home))
    return home


@pytest.fixture
def machine() -> Machine:
    return Machine(HERE, 8.0, unified=True, toolchain=ort_toolchain.NAME)


@pytest.fixture
def bundle(tmp_path: Path) -> Bundle:
    return load_bundle(make_bundle(tmp_path / "bundle", sizes=((64, 64), (64, 96))))


@pytest.fixture
def feeds(bundle: Bundle) -> Feeds:
    return functools.partial(trial_feeds, bundle)
