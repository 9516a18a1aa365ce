"""How many threads."""

from __future__ import annotations

import os

import pytest

from aliaug_edge.engines.threads import physical_cores, thread_count
from aliaug_edge.errors import AliAugError


@pytest.fixture(autouse=True)
def no_override(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ALIAUG_THREADS", raising=False)


def test_by_default_there_is_one_thread_per_usable_core() -> None:
    assert thread_count() == physical_cores()
    assert 1 <= physical_cores() <= (os.cpu_count() or 1)


def test_the_environment_overrides_the_default_and_an_argument_overrides_both(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("ALIAUG_THREADS", "3")
    assert thread_count() == 3
    assert thread_count(5) == 5


@pytest.mark.parametrize("value", ["0", "-1", "two", "1.5"])
def test_a_bad_override_is_refused_by_name(value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ALIAUG_THREADS", value)
    with pytest.raises(AliAugError, match=rf"\$ALIAUG_THREADS: expected a whole .* '{value}'"):
        thread_count()


def test_a_bad_argument_is_refused() -> None:
    for number in (0, 100_000):
        with pytest.raises(
            AliAugError, match=f"threads: .* at least 1, at most 1024, got {number}"
        ):
            thread_count(number)


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="Linux only")
def test_cores_that_the_process_may_not_use_are_not_counted() -> None:
    before = os.sched_getaffinity(0)
    try:
        os.sched_setaffinity(0, {min(before)})
        assert physical_cores() == 1
    finally:
        os.sched_setaffinity(0, before)


@pytest.mark.parametrize(
    ("quota", "cores"), [("max 100000\n", 64), ("150000 100000\n", 2), ("50000 100000\n", 1)]
)
def test_a_containers_cpu_quota_is_a_limit(
    quota: str, cores: int, tmp_path: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    from pathlib import Path

    path = Path(str(tmp_path)) / "cpu.max"
    path.write_text(quota)
    monkeypatch.setattr("aliaug_edge.engines.threads._CGROUP_QUOTA", path)
    monkeypatch.setattr("aliaug_edge.engines.threads._CPUS", Path(str(tmp_path)))
    monkeypatch.setattr("aliaug_edge.engines.threads.usable_cpus", lambda: tuple(range(64)))
    assert physical_cores() == cores
