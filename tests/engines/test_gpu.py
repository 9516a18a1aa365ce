"""The probe of the NVIDIA driver, against small libraries that answer like it."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from aliaug_edge.engines.gpu import Gpu, probe_gpus

DRIVER = """
#include <string.h>
#include <stddef.h>
int cuDriverGetVersion(int *v) { *v = 13010; return 0; }
int cuInit(unsigned flags) { return INIT; }
int cuDeviceGetCount(int *n) { *n = COUNT; return 0; }
int cuDeviceGet(int *d, int i) { *d = i; return 0; }
int cuDeviceGetName(char *s, int n, int d) { strncpy(s, d ? "Other" : "Orin", n); return 0; }
int cuDeviceTotalMem_v2(size_t *b, int d) { *b = (size_t)(d + 1) << 34; return 0; }
int cuDeviceGetPCIBusId(char *s, int n, int d) { strncpy(s, "0000:3b:00.0", n); return d; }
int cuDeviceGetAttribute(int *v, int a, int d) { *v = a == 75 ? 8 : a == 76 ? 7 : 0; return 0; }
"""


def driver(folder: Path, *, init: int, count: int) -> str:
    if shutil.which("cc") is None:
        pytest.skip("no C compiler")
    source, library = folder / "driver.c", folder / "libdriver.so"
    source.write_text(DRIVER)
    options = [f"-DINIT={init}", f"-DCOUNT={count}", "-shared", "-fPIC", "-w"]
    subprocess.run(["cc", *options, "-o", library, source], check=True)
    return str(library)


def test_a_machine_without_a_driver_has_no_gpu() -> None:
    probe = probe_gpus("libcuda-that-is-not-there.so.1")
    assert probe.gpus == ()
    assert probe.problem == (
        "no NVIDIA driver on this machine (libcuda-that-is-not-there.so.1 is not there)"
    )


def test_a_driver_that_does_not_start_is_a_problem_with_its_code(tmp_path: Path) -> None:
    probe = probe_gpus(driver(tmp_path, init=100, count=1))
    assert probe.problem == "the NVIDIA driver reports no usable GPU (CUDA error 100)"
    assert probe.cuda_version == "13.1"


def test_a_driver_that_sees_nothing_is_a_problem(tmp_path: Path) -> None:
    assert probe_gpus(driver(tmp_path, init=0, count=0)).problem == (
        "the NVIDIA driver sees no GPU"
    )


def test_every_device_is_described(tmp_path: Path) -> None:
    probe = probe_gpus(driver(tmp_path, init=0, count=2))
    assert probe.problem is None
    assert probe.gpus == (
        Gpu("Orin", "8.7", 16.0, bus_id="0000:3b:00.0"),
        Gpu("Other", "8.7", 32.0),  # whose place the driver does not say
    )
