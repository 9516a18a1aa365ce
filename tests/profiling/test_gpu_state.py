"""The GPU's state, from what the tools print and sysfs holds. The nvidia-smi and nvpmodel texts are
in the forms that NVIDIA documents; none was recorded by us on such a machine."""

import subprocess

import pytest

from aliaug_edge.engines.gpu import Gpu, GpuProbe
from aliaug_edge.profiling import gpu_state
from aliaug_edge.profiling.gpu_state import (
    FIELDS,
    parse_nvidia_smi,
    parse_nvpmodel,
    parse_reasons,
    read_gpu_state,
    worst,
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


def smi(fields, values, ids):
    """nvidia-smi of a driver that knows these fields: one that it does not know fails the query."""

    def run(command):
        if command[0] != "nvidia-smi":
            return ""
        (asked,) = (part.partition("=")[2].split(",") for part in command if "query-gpu" in part)
        ids.append(command[-1])
        if any(field not in fields for field in asked):
            return ""  # it says so, and exits with 2
        return ", ".join(values.get(field, "7") for field in asked) + "\n"

    return run


OLD = [*FIELDS, "clocks_throttle_reasons.active"]
OLD.remove("clocks_event_reasons.active")
THROTTLED = {"clocks_throttle_reasons.active": "0x4", "clocks_event_reasons.active": "0x8"}


@pytest.mark.parametrize(
    ("fields", "reasons"),
    [
        (list(FIELDS), ["hardware slowdown"]),
        (OLD, ["software power cap"]),
        (["driver_version", "clocks.sm"], None),
    ],
)
def test_a_field_that_a_driver_does_not_know_costs_no_other(tmp_path, fields, reasons):
    state = read_gpu_state(smi(fields, THROTTLED, []), tmp_path, "0")
    assert state["throttling"] == reasons
    assert state["sm_clock_mhz"] == 7
    assert (state["power_w"] == 7) == ("power.draw" in fields)


def test_where_there_is_no_nvidia_smi_it_is_asked_twice_at_most(tmp_path):
    ids = []
    assert set(read_gpu_state(smi([], {}, ids), tmp_path, "0").values()) == {None}
    assert len(ids) == 2


@pytest.mark.parametrize(
    ("gpu", "asked"),
    [
        (Gpu("H100", "9.0", 80.0, bus_id="0000:3b:00.0"), "--id=0000:3b:00.0"),
        (Gpu("H100", "9.0", 80.0), "--id=0"),
        (Gpu("Orin", "8.7", 16.0, integrated=True, bus_id="0000:00:00.0"), "--id=0"),
    ],
)
def test_the_gpu_that_is_asked_for_is_the_one_that_cuda_works_on(tmp_path, monkeypatch, gpu, asked):
    """CUDA_VISIBLE_DEVICES numbers them anew, and nvidia-smi does not heed it."""
    monkeypatch.setattr(gpu_state, "probe_gpus", lambda: GpuProbe((gpu,), None, "13.0"))
    ids = []
    read_gpu_state(smi(list(FIELDS), {}, ids), tmp_path)
    assert ids == [asked]


def test_the_worst_of_several_readings_is_kept():
    cool = parse_nvidia_smi(H100)
    hot = cool | {"sm_clock_mhz": 1200.0, "temperature_c": 81.0, "throttling": ["power brake"]}
    state = worst([cool, hot, dict.fromkeys(cool), cool])
    assert (state["sm_clock_mhz"], state["temperature_c"]) == (1200, 81)
    assert state["throttling"] == [*cool["throttling"], "power brake"]
    assert state["driver"] == "580.65.06"


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
