"""What a process keeps of the memory that it has freed."""

from __future__ import annotations

import platform
import subprocess
import sys

import pytest

from aliaug_edge.evaluation.allocator import keep_freed_memory

ROUNDS = 40
STEPS = f"""
import resource, sys
import numpy as np
from aliaug_edge.evaluation.allocator import keep_freed_memory

def step():
    return [np.ones(1 << 20, np.float64) for _ in range(6)]  # 48 MiB, freed at once

if sys.argv[1] == "kept":
    assert keep_freed_memory()
step()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range({ROUNDS}):
    step()
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""
glibc = pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="another C library")


def page_faults(how: str) -> int:
    done = subprocess.run(
        [sys.executable, "-c", STEPS, how], capture_output=True, text=True, check=True
    )
    return int(done.stdout)


@glibc
def test_steps_after_the_first_find_their_memory_where_the_first_left_it() -> None:
    assert page_faults("kept") * 20 < page_faults("given back")


def test_another_c_library_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(platform, "libc_ver", lambda: ("", ""))
    assert not keep_freed_memory()
