"""How many threads an engine should use on this machine."""

from __future__ import annotations

import math
import os
import sys
from pathlib import Path

from aliaug_edge.errors import AliAugError

ENVIRONMENT = "ALIAUG_THREADS"
MOST = 1024  # more than any machine has cores: a slip of the keyboard, which ends the process
_CPUS = Path("/sys/devices/system/cpu")
_CGROUP_QUOTA = Path("/sys/fs/cgroup/cpu.max")


def thread_count(asked: int | None = None) -> int:
    """`asked`, else $ALIAUG_THREADS, else one thread per physical core that we may use.

    Measured with benchmarks/session_settings.py on two EPYC cores, a 25 ms convolution graph:
    24.6 ms with one thread, 12.6 ms with two. A second thread on the same core shares its
    vector units, so hyper-threads are not counted.

    Raises:
        AliAugError: the number is not a positive integer, or above `MOST`.
    """
    if asked is not None:
        return _positive("threads", asked)
    text = os.environ.get(ENVIRONMENT, "")
    return _positive(f"${ENVIRONMENT}", text) if text else physical_cores()


def physical_cores() -> int:
    """Physical cores within this process's CPU affinity and its container's CPU quota."""
    cpus = usable_cpus()
    cores = len({_core_of(cpu) for cpu in cpus})
    return max(1, min(cores, _quota()))


def usable_cpus() -> tuple[int, ...]:
    """Logical CPUs that this process may run on."""
    if hasattr(os, "sched_getaffinity"):
        return tuple(sorted(os.sched_getaffinity(0)))
    return tuple(range(os.cpu_count() or 1))  # not Linux


def _core_of(cpu: int) -> str:
    """The hyper-threads that share a core name each other in the same file, e.g. "0,16"."""
    try:
        return (_CPUS / f"cpu{cpu}/topology/thread_siblings_list").read_text().strip()
    except OSError:
        return str(cpu)


def _quota() -> int:
    """CPUs' worth of time that the cgroup allows ("max 100000" where it does not limit)."""
    try:
        quota, period = _CGROUP_QUOTA.read_text().split()
        return math.ceil(int(quota) / int(period))
    except (OSError, ValueError):
        return sys.maxsize


def _positive(what: str, value: int | str) -> int:
    try:
        number = int(value)
    except ValueError:
        number = 0
    if not 1 <= number <= MOST:
        raise AliAugError(
            f"{what}: expected a whole number of at least 1, at most {MOST}, got {value!r}"
        )
    return number
