"""The GPU's state, from what the tools print and sysfs holds. The nvidia-smi and nvpmodel texts are
in the forms that NVIDIA documents; none was recorded by us on such a machine."""

import subprocess

import pytest

from aliaug_edge.profiling import gpu_state
from aliaug_edge.profiling.gpu_state import (
    FIELDS,
    parse_nvidia_smi,
    parse_nvpmodel,
    parse_reasons,
    read_gpu_state,
)

H100 = "580.65.06, P0, 1755, 1980, 2619, 412.55, 700.00, 54, 0x0000000000000024, 2214\n"
GEFORCE = "535.54, P8, 210, 2100, 405, [N/A], [Not Supported], 41, 0x0000000000000001, 9\n"


def test_a_datacenter_gpu_under_load():
    state = parse_nvidia_smi(H100)
    assert state == {
        "driver": "580.65.06",
        "pstate": "P0",
        "sm_clock_mhz": 1755,
        "sm_clock_max_mhz": 1980,
        "memory_clock_mhz": 2619,
        "power_w": 412.55,
        "power_limit_w": 700,
        "temperature_c": 54,
        "throttling": ["software power cap", "software thermal slowdown"],
        "memory_used_mib": 2214,
    }


def test_what_a_card_does_not_measure_is_null_and_idling_is_no_throttling():
    state = parse_nvidia_smi(GEFORCE)
    assert state["power_w"] is state["power_limit_w"] is None
    assert state["throttling"] == []


@pytest.mark.parametrize(
    "text",
    ["", 'Field "clocks.sm" is not a valid field to query.\n', "No devices were found\n", "1, 2\n"],
)
def test_anything_else_is_all_null(text):
    assert set(parse_nvidia_smi(text).values()) == {None}
    assert list(parse_nvidia_smi(text)) == list(FIELDS.values())


def test_reasons_that_cannot_be_read_are_unknown_not_none():
    assert parse_reasons("[N/A]") is None
    assert parse_reasons("0x80") == ["power brake"]


@pytest.mark.parametrize(
    ("text", "mode"),
    [
        ("NV Power Mode: MAXN_SUPER\n2\n", "MAXN_SUPER"),
        (
            "NVPM WARN: fan mode is not set!\nNV Fan Mode:quiet\nNV Power Mode: MODE_15W\n2\n",
            "MODE_15W",
        ),
        ("", None),
    ],
)
def test_the_power_mode_of_a_jetson(text, mode):
    assert parse_nvpmodel(text) == mode


def write(root, files):
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"{text}\n")
    return root


@pytest.fixture
def orin(tmp_path):
    gpu = "class/devfreq/17000000.gpu"
    thermal = "class/thermal"
    return write(
        tmp_path,
        {
            f"{gpu}/min_freq": 306000000,
            f"{gpu}/max_freq": 1300500000,
            f"{gpu}/cur_freq": 1020000000,
            f"{thermal}/thermal_zone0/type": "cpu-thermal",
            f"{thermal}/thermal_zone0/temp": 51000,
            f"{thermal}/thermal_zone1/type": "gpu-thermal",
            f"{thermal}/thermal_zone1/temp": 48250,
            f"{thermal}/cooling_device0/type": "gpu-throttle-alert",
            f"{thermal}/cooling_device0/cur_state": 1,
            f"{thermal}/cooling_device1/type": "cpu-throttle-alert",
            f"{thermal}/cooling_device1/cur_state": 0,
            f"{thermal}/cooling_device2/type": "pwm-fan",
            f"{thermal}/cooling_device2/cur_state": 3,
        },
    )


def nvpmodel_only(command):
    return "NV Power Mode: 15W\n0\n" if command[0] == "nvpmodel" else ""


def test_a_jetson_answers_through_sysfs(orin):
    state = read_gpu_state(nvpmodel_only, orin)
    assert state["power_mode"] == "15W"
    assert (state["sm_clock_mhz"], state["sm_clock_max_mhz"]) == (1020.0, 1300.5)
    assert state["clocks_locked"] is False
    assert state["temperature_c"] == 48.25
    assert state["throttling"] == ["gpu-throttle-alert"]


def test_jetson_clocks_makes_both_ends_equal(orin):
    write(orin, {"class/devfreq/17000000.gpu/min_freq": 1300500000})
    assert read_gpu_state(nvpmodel_only, orin)["clocks_locked"] is True


def test_without_any_of_it_everything_is_null(tmp_path):
    assert set(read_gpu_state(lambda _: "", tmp_path).values()) == {None}


def test_a_program_that_is_missing_or_fails_says_nothing(tmp_path):
    assert gpu_state._output([str(tmp_path / "nvidia-smi")]) == ""
    assert gpu_state._output(["false"]) == ""


def test_a_program_that_hangs_is_not_waited_for(monkeypatch):
    def hangs(*_, timeout, **__):
        raise subprocess.TimeoutExpired("nvidia-smi", timeout)

    monkeypatch.setattr(subprocess, "run", hangs)
    assert gpu_state._output(["nvidia-smi"]) == ""
