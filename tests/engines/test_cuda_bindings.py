"""Every CUDA name that the code speaks, held against the real bindings of NVIDIA's wheels.

`cuda_bindings.json` holds, per version of cuda-bindings, the signatures and enum members that
were read from the wheel (they import without a GPU). `python tests/engines/test_cuda_bindings.py`
prints the record of the bindings that are installed where it runs.
"""

from __future__ import annotations

import inspect
import json
import re
from pathlib import Path
from typing import Any

import pytest
from support.gpu import enums
from support.gpu.driver import FakeDriver
from support.gpu.nvrtc import FakeNvrtc

from aliaug_edge.engines import cuda, cuda_errors

RECORD = Path(__file__).with_name("cuda_bindings.json")
FUNCTION = re.compile(r"\b(?:cu|nvrtc)[A-Z]\w+")
MEMBER = re.compile(r"\bCU(?:DA)?_[A-Z]\w+")
ENUMS = ("CUresult", "CUdevice_attribute", "CUstream_flags", "CUevent_flags", "CUstreamCaptureMode")

Record = dict[str, Any]


def used() -> tuple[set[str], set[str]]:
    """(functions, enum members) in the source of the CUDA layer."""
    text = "".join(inspect.getsource(module) for module in (cuda, cuda_errors))
    return set(FUNCTION.findall(text)), set(MEMBER.findall(text))


def record_of(driver: Any, nvrtc: Any) -> Record:
    """What the bindings say about the names that we use."""
    functions, members = used()
    enums = {name: getattr(driver, name).__members__ for name in ENUMS}
    modules = {name: nvrtc if name.startswith("nvrtc") else driver for name in functions}
    return {
        "functions": {n: getattr(m, n).__doc__.split("\n")[0] for n, m in sorted(modules.items())},
        "members": {
            enum: {name: int(values[name]) for name in sorted(members & set(values))}
            for enum, values in enums.items()
        },
    }


def records() -> dict[str, Record]:
    found: dict[str, Record] = json.loads(RECORD.read_text())
    return found


def parameters(signature: str) -> int:
    """How many a recorded signature has; a type such as Optional[tuple[bytes] | …] holds none."""
    inside = signature[signature.index("(") + 1 : -1].strip()
    return len(re.sub(r"\[[^\[\]]*\]", "", inside).split(",")) if inside else 0


@pytest.mark.parametrize("version", sorted(records()))
def test_every_name_that_is_called_is_in_the_real_bindings(version: str) -> None:
    functions, members = used()
    record = records()[version]
    assert len(functions) > 30
    assert functions == set(record["functions"])
    assert members == {name for enum in record["members"].values() for name in enum}


@pytest.mark.parametrize("version", sorted(records()))
def test_the_fake_takes_what_the_real_bindings_take(version: str) -> None:
    """So that a call which runs on the fake has the right number of arguments for the real one."""
    for name, signature in records()[version]["functions"].items():
        kind = FakeNvrtc if name.startswith("nvrtc") else FakeDriver
        ours = len(inspect.signature(getattr(kind, name)).parameters) - 1
        assert ours == parameters(signature), signature


@pytest.mark.parametrize("version", sorted(records()))
def test_the_fakes_numbers_are_the_real_ones(version: str) -> None:
    for enum, members in records()[version]["members"].items():
        for name, value in members.items():
            ours = getattr(enums, enum).__members__.get(name)
            assert ours is None or int(ours) == value, name


def test_the_installed_bindings_are_as_recorded() -> None:
    bindings = pytest.importorskip("cuda.bindings", reason="cuda-python is not installed")
    driver = pytest.importorskip("cuda.bindings.driver")
    nvrtc = pytest.importorskip("cuda.bindings.nvrtc")
    record = records().get(bindings.__version__)
    if record is None:
        pytest.skip(f"no record of {bindings.__version__}")
    assert record_of(driver, nvrtc) == record


if __name__ == "__main__":
    from cuda import bindings as installed
    from cuda.bindings import driver as real_driver
    from cuda.bindings import nvrtc as real_nvrtc

    print(json.dumps({installed.__version__: record_of(real_driver, real_nvrtc)}, indent=1))
