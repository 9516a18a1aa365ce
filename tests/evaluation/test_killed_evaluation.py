"""An evaluation that is killed leaves no process behind."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from aliaug_edge.cli.termination import TERMINATED

PARENT = """
import multiprocessing, threading, time
from aliaug_edge.cli.termination import ending_on_sigterm
from aliaug_edge.evaluation.detecting import in_processes

def tell():
    while len(workers := multiprocessing.active_children()) < 2:
        time.sleep(0.05)
    print(*(worker.pid for worker in workers), flush=True)

threading.Thread(target=tell, daemon=True).start()
with ending_on_sigterm():
    for _ in in_processes(time.sleep, [0.01, 0.01, 600, 600, 600, 600], 2):
        print("ready", flush=True)
"""


def is_running(pid: int) -> bool:
    """Whether the process lives; one that has ended may still be listed as a zombie."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except FileNotFoundError:
        return False
    return stat.rpartition(")")[2].split()[0] != "Z"


@pytest.mark.skipif(not Path("/proc/self/stat").is_file(), reason="reads /proc")
@pytest.mark.parametrize(
    ("sent", "code"), [(signal.SIGTERM, TERMINATED), (signal.SIGKILL, -signal.SIGKILL)]
)
def test_the_workers_of_a_killed_evaluation_end_with_it(sent: signal.Signals, code: int) -> None:
    command = [sys.executable, "-c", PARENT]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        lines = [parent.stdout.readline().split() for _ in range(3)]
        assert sorted(line == ["ready"] for line in lines) == [False, True, True]
        workers = [int(pid) for line in lines if line != ["ready"] for pid in line]
        assert all(map(is_running, workers))
        parent.send_signal(sent)
        assert parent.wait(30) == code
    end = time.monotonic() + 30
    while any(map(is_running, workers)) and time.monotonic() < end:
        time.sleep(0.1)
    assert not any(map(is_running, workers))
